"""What was run, so that it can be checked and repeated."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from harness import wording
from harness.answers.metrics import METRICS
from harness.records import Canaries, TrialSummary
from harness.report.document import Block, Code, Column, Facts, Prose, Section, Table, Unmeasured
from harness.report.naming import form_name
from harness.report.sections.finalists import finalists
from harness.report.sections.material import Material
from harness.report.sections.search_rules import search_rules
from harness.spec.served_arms import endpoints

SETTINGS = "The experiment file, with every default filled in"


def run_section(material: Material) -> Section:
    """What became of the trials; and, in the appendix, all that it takes to repeat them."""
    blocks: list[Block] = [Prose(_summary(material)), *_failed(material)]
    blocks += [Facts(_identity(material), folded=True), Facts(_data(material), folded=True)]
    blocks += [*_canaries(material), *search_rules(material)]
    blocks += [*_answers(material), *finalists(material), *_events(material)]
    environment = material.study.experiment.environment
    if environment:
        rows = tuple((wording.cell(k, 60), wording.cell(v)) for k, v in sorted(environment.items()))
        columns = (Column("Name"), Column("Value"))
        blocks.append(Table("Versions and machine", columns, rows, folded=True))
    text = yaml.safe_dump(
        material.experiment.plain(), sort_keys=False, allow_unicode=True, width=88
    )
    blocks += [
        Prose(
            "To repeat the study, save the text below as a file and give it to harness run: "
            "it states every setting, also those that were left at their defaults.",
            folded=True,
        ),
        # Whole, however long: a setting that is cut off cannot be repeated.
        Code(SETTINGS, wording.clean(text, len(text)), "yaml"),
    ]
    return Section("run", "Protocol", tuple(blocks))


def _identity(material: Material) -> tuple[tuple[str, str], ...]:
    experiment = material.study.experiment
    model = experiment.model
    trusted = "yes" if model.trust_remote_code else "no"
    return (
        ("Experiment", wording.cell(experiment.name)),
        ("Experiment id", wording.cell(experiment.experiment_id)),
        ("Declared", wording.cell(experiment.created_at)),
        *_lock(material),
        ("Model", wording.cell(model.reference)),
        ("Model revision", wording.cell(model.revision) or wording.NOT_APPLICABLE),
        ("Model fingerprint", wording.cell(model.fingerprint) or wording.NOT_MEASURED),
        ("Code that came with the model was run", trusted),
        *_servers(material),
        ("Seeds", wording.setting(material.experiment.seeds)),
        ("Form that was scored", _forms(material)),
    )  # fmt: skip


def _lock(material: Material) -> list[tuple[str, str]]:
    plan = material.findings.plan
    if plan is None:
        return [("Plan locked before the first trial", "no")]
    return [
        ("Plan locked before the first trial", f"{plan.locked_at}, by harness {plan.harness}"),
        ("Hash of the locked plan (plan.lock)", wording.cell(plan.hash, 70)),
    ]


def _servers(material: Material) -> list[tuple[str, str]]:
    return [
        (
            f"Server that {wording.cell(arm)} asked with texts of the data",
            f"{wording.cell(endpoint.model)} at {wording.cell(endpoint.url)}",
        )
        for arm, endpoint in endpoints(material.experiment).items()
    ]


def _forms(material: Material) -> str:
    forms: dict[str, list[str]] = {}
    for trial in material.study.trials:
        if trial.phase != "search":
            for aggregate in trial.aggregates:
                forms.setdefault(trial.arm, [])
                if aggregate.form not in forms[trial.arm]:
                    forms[trial.arm].append(aggregate.form)
    return (
        "; ".join(
            f"{wording.cell(arm)}: {', '.join(form_name(name) for name in names)}"
            for arm, names in forms.items()
        )
        or wording.NOT_MEASURED
    )


def _data(material: Material) -> tuple[tuple[str, str], ...]:
    data = material.study.experiment.data
    splits = material.study.experiment.splits
    examples = ", ".join(f"{wording.cell(k, 40)} {v:,}" for k, v in splits.items())
    leaked = ", ".join(f"{kind} {number:,}" for kind, number in data.audit.counts.items())
    return (
        ("Data", wording.cell(data.source)),
        ("Data fingerprint", wording.cell(data.fingerprint)),
        ("Examples", examples),
        ("Rows dropped because they could not be used", wording.count(data.dropped_rows)),
        ("Leakage audit", leaked),
        (
            "Training examples removed by the audit",
            wording.count(data.audit.dropped_from_train),
        ),
    )


def _answers(material: Material) -> list[Block]:
    answers = material.study.experiment.data.answers
    splits = {name: _by_answer(fields) for name, fields in answers.items() if fields}
    shown = list(dict.fromkeys(name for split in splits.values() for name in split))[:40]
    if not shown:
        return []
    return [
        Table(
            "How often each answer occurs",
            (Column("Answer"), *(Column(wording.cell(name, 40), numeric=True) for name in splits)),
            tuple(
                (
                    wording.cell(answer),
                    *(wording.count(split.get(answer, 0)) for split in splits.values()),
                )
                for answer in shown
            ),
            folded=True,
        )
    ]


def _by_answer(fields: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Answer -> examples; with its field, where there are several."""
    return {
        answer if len(fields) == 1 else f"{field}: {answer}": examples
        for field, answers in fields.items()
        for answer, examples in answers.items()
    }


def _named(trial: TrialSummary) -> str:
    return f"{wording.cell(trial.arm)}, {trial.phase} {trial.number}, seed {trial.seed}"


def _summary(material: Material) -> str:
    """What became of the trials, and of the rows that could not be used."""
    study, data = material.study, material.study.experiment.data
    told = [f"Declared {wording.cell(study.experiment.created_at[:10])}."]
    if study.trials:
        statuses = [trial.status for trial in study.trials]
        told.append(
            f"{wording.plural(len(statuses), 'trial')}: {statuses.count('complete'):,} complete, "
            f"{statuses.count('pruned'):,} stopped early, {statuses.count('failed'):,} failed."
        )
    if checked := [trial.canaries for trial in study.trials if trial.canaries is not None]:
        passed = sum(_passed(canaries) for canaries in checked)
        told.append(f"Correctness checks (canaries): {passed:,} of {len(checked):,} trials passed.")
    if data.dropped_rows:
        told.append(f"{wording.plural(data.dropped_rows, 'row')} could not be used.")
    if removed := data.audit.dropped_from_train:
        examples = wording.plural(removed, "training example")
        told.append(f"The leakage audit removed {examples}.")
    return " ".join(told)


def _failed(material: Material) -> list[Block]:
    rows = tuple(
        (
            _named(trial),
            wording.cell(trial.failure_kind.replace("_", " ")) or wording.NOT_MEASURED,
            wording.cell(trial.failure_message, 300) or wording.NOT_APPLICABLE,
        )
        for trial in material.study.trials
        if trial.status == "failed"
    )
    columns = (Column("Trial"), Column("Kind"), Column("Reason"))
    return [Table("Failed trials", columns, rows)] if rows else []


def _passed(canaries: Canaries) -> bool:
    before, after = canaries.before_max_difference, canaries.after_max_difference
    return (
        (before is None or before == 0)
        and (after is None or after > 0)
        and canaries.prompt_tokens_equal
    )


def _canaries(material: Material) -> list[Block]:
    checked = [(t, t.canaries) for t in material.study.trials if t.canaries is not None]
    if not checked:
        return [
            Unmeasured(
                "Correctness checks (canaries)", "Every trial that trains makes them before it."
            )
        ]
    note = (
        "Before training, a candidate must score exactly as the base; after training it must not; "
        "training and scoring must see the same prompt, with the instruction and the item in it; "
        "what is trained must be the answer with what ends it, and nothing else."
    )
    rows = tuple(
        (
            _named(trial),
            wording.number(canaries.before_max_difference, wording.NOT_APPLICABLE),
            wording.number(canaries.after_max_difference, wording.NOT_APPLICABLE),
            "yes" if canaries.prompt_tokens_equal else "no",
            "passed" if _passed(canaries) else "failed",
        )
        for trial, canaries in checked
    )
    columns = (
        Column("Trial"),
        Column("Largest difference before (must be 0)", numeric=True),
        Column("after (must not be 0)", numeric=True),
        Column("Prompts equal"),
        Column("Result"),
    )
    return [Table("Canaries by trial", columns, rows, (note,), folded=True)]


def _events(material: Material) -> list[Block]:
    events = material.study.events
    if not events:
        return []
    looks = sum(event.kind == "test_access" for event in events)
    rows = tuple(
        (
            wording.cell(event.at, 40),
            wording.cell(event.kind.replace("_", " "), 40),
            wording.cell(event.who, 60) or wording.NOT_APPLICABLE,
            _detail({"hash": event.detail.get("hash")} if event.kind == "locked" else event.detail),
        )
        for event in events
    )  # fmt: skip
    text = f"The test data was read {wording.plural(looks, 'time')}; each reading is logged."
    columns = (Column("When"), Column("What"), Column("Who"), Column("Detail"))
    return [Table("Log of the study", columns, rows, (text,), folded=True)]


def _detail(detail: Mapping[str, object]) -> str:
    shown = (
        f"{wording.cell(name, 40)}: {wording.setting(value)}" for name, value in detail.items()
    )
    return "; ".join(shown) or wording.NOT_APPLICABLE


WORDS = (
    ("Adapter", "a small set of extra weights trained beside a frozen model (LoRA, QLoRA)."),
    ("Arm", "one way to do the task: a way of prompting, or a way of fine-tuning."),
    ("Base", "the model as it was published, untouched."),
    ("Break-even", "the number of requests after which upfront money is repaid by cheaper use."),
    ("Canary", "a check that the measuring itself works, such as that an adapter is applied."),
    ("Chance", "the score of guessing; a score near it says that the model cannot do the task."),
    (
        "Distance from the base",
        "how far next-word predictions on general text moved in training "
        "(Kullback-Leibler divergence, nats per token); it can grow before any answer turns wrong.",
    ),
    ("Forgetting", "loss of abilities that the base had before fine-tuning."),
    ("Held-out (test) data", "examples that no arm was trained or tuned on; only they count."),
    ("Interval", "the range in which the true value plausibly lies; narrow with many items."),
    ("LoRA, QLoRA", "fine-tuning an adapter only; QLoRA also shrinks the base to 4 bits."),
    ("Margin", "the largest difference that is still called no difference; fixed beforehand."),
    ("Pareto front", "the candidates that no other one beats in both directions."),
    ("p-value", "how often chance alone would show a difference at least this large."),
    ("Seed", "a number that fixes the random choices; several seeds show how much luck matters."),
    ("Shots", "worked examples put into the prompt."),
    ("Trial", "one setting of an arm, scored on validation data."),
    ("Validation data", "examples used to choose settings, and so no longer proof of anything."),
)


def words_section(material: Material) -> Section:
    """A short glossary, with the metrics that this report shows."""
    task = material.experiment.task
    names = [material.metric, *(n for row in material.findings.arms for n in row.metrics)]
    infos = [METRICS.get(name) or task.metric_info(name) for name in dict.fromkeys(names)]
    metrics = [
        (wording.cell(info.label, 60), f"{wording.cell(info.meaning, 300)}.")
        for info in infos
        if info is not None
    ]
    items = sorted((*WORDS, *((wording.capitalised(n), t) for n, t in metrics)), key=_alphabetical)
    return Section("words", "Words", (Facts(tuple(items)),))


def _alphabetical(item: tuple[str, str]) -> str:
    return item[0].casefold()
