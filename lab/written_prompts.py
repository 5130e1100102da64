"""The sober table: an instruction that a model writes beside what else the same task could have.

``python -m lab.written_prompts write FOLDER --banking77 DIR --snips DIR`` writes an experiment for
each of three tasks into FOLDER: addresses, whose rows are packaged, and the intents of Banking77
and SNIPS, of which DIR is the authors' folder; one without a DIR is left out. Each has the same
five arms: the user's instruction alone, tuned shots, an instruction that is written twice over by
the model itself, LoRA, and LoRA under the written instruction. They are then run one after the
other:

    harness run FOLDER/written-addresses.yaml --results RESULTS
    harness run FOLDER/written-banking77.yaml --results RESULTS
    harness run FOLDER/written-snips.yaml --results RESULTS

``python -m lab.written_prompts table RESULTS`` prints what came out as Markdown: test scores with
intervals, tokens that tuning and training took, the verdict, and what became of each writing.

They are small enough for minutes each on two CPU cores, with one setting of LoRA, so that they show
what writing took and gave here, and decide nothing for somebody else's data.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import yaml

from harness import wording
from harness.errors import HarnessError, InputError
from harness.findings import OUTCOME_LABELS
from harness.report.document import Block, Bullets, Column, Prose, Section, Table
from harness.report.formats.markdown import section_to_markdown
from harness.report.scales import scale_of
from harness.review.studies import AnalysedStudy, find_study
from harness.spec.instruction_sources import instruction_source
from lab.example_studies import MODEL, Row
from lab.public_studies import write_rows

PARTS = ("number", "street", "unit", "city", "state", "zip")
"""Parts of an address."""
NOTE = (
    "Tokens of tuning are those that search trials were trained on, were asked and replied, and "
    "those of writing; the arm that takes its instruction from another has those of the other too. "
    "Tokens of the final runs are those that they were trained on."
)


def _addresses() -> Row:
    answer = {
        "kind": "json",
        "columns": {part: part for part in PARTS},
        "schema": {
            "type": "object",
            "properties": {part: {"type": "string"} for part in PARTS},
            "additionalProperties": False,
        },
    }
    return {
        "data": {
            "source": "packaged:us-addresses",
            "splits": {"train": 0.4, "validation": 0.2, "test": 0.4},
            "limits": {"train": 200, "validation": 64, "test": 100},
        },
        "task": {
            "instruction": "Give the parts of the US address as JSON: "
            f"{', '.join(PARTS)}. Leave out what the address lacks.",
            "template": "{text}",
            "answer": answer,
            "max_new_tokens": 64,
        },
        "arms": _arms("constrained", shots=(2, 4), epochs=1, learning_rate=2e-3),
        "budget": {"trials": 6, "test_default": False},
    }


def _banking77() -> Row:
    return {
        "data": {
            "source": "banking77.jsonl",
            "splits": {"train": 0.5, "validation": 0.2, "test": 0.3},
            "limits": {"train": 231, "validation": 77, "test": 100},
        },
        "task": {
            "instruction": "What does the bank's customer ask about? Reply with its label.",
            "template": "{text}",
            "answer": {"kind": "label", "column": "category"},
        },
        "arms": _arms("constrained", shots=(4, 8), epochs=2, learning_rate=2e-3),
        "budget": {"trials": 6, "test_default": False},
    }


def _snips() -> Row:
    return {
        "data": {
            "source": "snips.jsonl",
            "splits": {"train": 0.5, "validation": 0.2, "test": 0.3},
            "limits": {"train": 140, "validation": 70, "test": 140},
        },
        "task": {
            "instruction": "What does the speaker want? Reply with the intent.",
            "template": "{text}",
            "answer": {"kind": "label", "column": "intent"},
        },
        "arms": _arms("choice", shots=(2, 7), epochs=1, learning_rate=1e-3),
        "budget": {"trials": 6, "test_default": False},
    }


TASKS: dict[str, Callable[[], Row]] = {
    "addresses": _addresses,
    "banking77": _banking77,
    "snips": _snips,
}
"""Name of a task -> its part of an experiment."""
PACKAGED = "addresses"
"""The task that needs nobody's folder."""


def _arms(answering: str, *, shots: tuple[int, ...], epochs: int, learning_rate: float) -> Row:
    """The five arms, which all answer in the same way."""
    prompt = {"kind": "prompt", "answering": answering}
    lora = {
        "kind": "lora",
        "answering": answering,
        "epochs": epochs,
        "batch_size": 4,
        "learning_rate": learning_rate,
    }
    # A small model that goes on and on writes no better for it.
    reflection = {"model": MODEL, "max_new_tokens": 256}
    return {
        "user": prompt,
        "shots": {
            **prompt,
            "shots": {"choices": list(shots)},
            "selection": {"choices": ["balanced", "nearest"]},
        },
        "written": {
            **prompt,
            "instruction": {"optimise": {"by": "gepa", "reflection": reflection, "seeds": 2}},
        },
        "lora": lora,
        "both": {**lora, "instruction": {"from": "written"}},
    }


def _intent(row: Row) -> Row:
    return {"text": row["text"], "intent": row["answer"]["intent"]}


def name_of(task: str) -> str:
    """Name of the study of a task."""
    return f"written-{task}"


def write_study(task: str, folder: Path, source: Path | None = None) -> Path:
    """Write the experiment of one task, and its rows; the same at every call.

    Args:
        source: the authors' folder; None where the rows are packaged.

    Returns:
        The experiment file.

    Raises:
        InputError: a file of the data set is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drafted = TASKS[task]()
    if source is not None:
        rows = write_rows(task, source, folder, _intent if task == "snips" else None)
        answer = drafted["task"]["answer"]
        answer.setdefault("labels", sorted({row[answer["column"]] for row in rows}))
    experiment = {
        "name": name_of(task),
        "question": "Is an instruction that a model writes worth its tokens?",
        "model": MODEL,
        **drafted,
        # As many as there are writings, each of which has a final run of its own.
        "seeds": [1, 2],
        "general": None,
        "train_gap_items": 8,
        "memorisation_items": 0,
        "contrast": {"margin": 0.05},
    }
    path = folder / f"{name_of(task)}.yaml"
    path.write_text(yaml.safe_dump(experiment, sort_keys=False, allow_unicode=True), "utf-8")
    return path


def table_of(study: AnalysedStudy) -> str:
    """What came out of one study, as Markdown."""
    findings, experiment = study.findings, study.experiment
    scale = scale_of(experiment.task.primary_metric)
    rows = tuple(
        (
            row.arm,
            scale.score(row.test),
            scale.interval(row.test_interval),
            wording.count(tuning_tokens(study, row.arm)),
            wording.count(final_tokens(study, row.arm)),
        )
        for row in findings.arms
    )
    columns = (
        Column("Arm"),
        Column(f"Test score ({experiment.task.primary_metric})", numeric=True),
        Column("95 % interval", numeric=True),
        Column("Tokens of tuning", numeric=True),
        Column("Tokens of the final runs", numeric=True),
    )
    verdict = findings.verdict
    blocks: list[Block] = [
        Table("Test scores, and what they took", columns, rows, (NOTE,)),
        Prose(f"Verdict: {OUTCOME_LABELS[verdict.outcome]}. {verdict.sentence}"),
        *(
            block
            for section in study.view.sections
            if section.key == "writing"
            for block in section.blocks
            if isinstance(block, Bullets) and not block.folded
        ),
    ]
    return section_to_markdown(Section("study", experiment.name, tuple(blocks)))


def tuning_tokens(study: AnalysedStudy, arm: str) -> int | None:
    """Tokens of all searches of an arm, and of those that its instruction is from.

    None where one search did not note them.
    """
    source = instruction_source(study.experiment.arms[arm])
    tokens = [row.tokens for row in study.findings.searches if row.arm in (arm, source)]
    known = [number for number in tokens if number is not None]
    return sum(known) if len(known) == len(tokens) else None


def final_tokens(study: AnalysedStudy, arm: str) -> int | None:
    """Tokens that an arm's final runs were trained on; None where one did not say.

    A run that the search did too is counted there.
    """
    trials = [trial for trial in study.study.trials if trial.arm == arm]
    searched = {trial.trial_id for trial in trials if trial.phase == "search"}
    tokens = [
        trial.cost.train_tokens
        for trial in trials
        if trial.phase == "finalist" and trial.trial_id not in searched and trial.cost
    ]
    known = [number for number in tokens if number is not None]
    return sum(known) if len(known) == len(tokens) else None


def tables(results: Path) -> str:
    """The tables of all studies that are in the results, as Markdown.

    Raises:
        InputError: none of them is.
    """
    found, missing = [], []
    for task in TASKS:
        try:
            found.append(table_of(find_study(results, name_of(task))))
        except InputError as error:
            missing.append((task, error))
    if not found:
        raise missing[0][1]
    left = [f"{name_of(task)} was not run: {error}" for task, error in missing]
    return "\n\n".join([*found, *left])


def main() -> None:
    """Write the studies whose data are there, or print what came out of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write", help="write rows and experiments")
    write.add_argument("folder", type=Path)
    for task in TASKS:
        if task != PACKAGED:
            write.add_argument(f"--{task}", type=Path, metavar="DIR", help="the authors' folder")
    table = commands.add_parser("table", help="print what came out, as Markdown")
    table.add_argument("results", type=Path)
    options = vars(parser.parse_args())
    try:
        if options["command"] == "table":
            print(tables(options["results"]))
            return
        for task in TASKS:
            if task == PACKAGED or options[task]:
                path = write_study(task, options["folder"], options.get(task))
                print(f"harness run {path}")
    except HarnessError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
