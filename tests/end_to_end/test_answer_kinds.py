"""Tasks of many kinds from file to scored reply: drafted by init, checked, read, and scored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.data import prepare
from harness.records import Example
from harness.spec import Experiment, load_experiment
from lab.example_studies import STUDIES, write_studies
from tests.command_line import harness
from tests.fake_trial import write_model
from tests.real_data import write_snips


def asked(folder: Path, data: Path, *arguments: str) -> Experiment:
    """The experiment that ``init`` drafts of a file, once ``check`` has found it usable."""
    write_model(folder / "model")
    path = folder / "drafted.yaml"
    drafted = harness(
        "init", data, "--yes", "--model", "./model", "--output", path, *arguments, cwd=folder
    )
    assert drafted.returncode == 0, drafted.stderr
    experiment = load_experiment(path)
    # Without worked examples: the pretended model reads little.
    plain = experiment.model_dump(mode="json", by_alias=True)
    plain["arms"] = {"zero-shot": {"kind": "prompt"}}
    return Experiment.model_validate(plain)


def scored(
    experiment: Experiment, items: Sequence[Example], reply: str | None = None
) -> dict[str, float]:
    """Mean of each metric, of one reply to all items; of the right answers if not given."""
    answer = experiment.task.answer
    read = answer.reader(answer.known_from(items))
    found = [
        read(answer.target_of(item), item.answer if reply is None else reply).metrics
        for item in items
    ]
    return {name: sum(one[name] for one in found) / len(found) for name in found[0]}


def lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    write_studies(folder, rows=120)
    return folder


def test_the_example_studies_are_written_alike_and_are_valid(studies: Path, tmp_path: Path) -> None:
    again = write_studies(tmp_path, rows=120)
    assert [path.read_bytes() for path in again] == [
        (studies / path.name).read_bytes() for path in again
    ]
    for name in STUDIES:
        file = f"{name}.jsonl"
        assert (tmp_path / file).read_bytes() == (studies / file).read_bytes()
    for path in again:
        prepared = prepare(load_experiment(path))
        assert prepared.dropped == ()
        assert min(prepared.counts.values()) >= 10


def test_reasoning_that_ends_in_a_number(studies: Path, tmp_path: Path) -> None:
    experiment = asked(tmp_path, studies / "problems.jsonl")
    answer = experiment.task.answer
    assert answer.kind == "number"
    assert answer.extract is not None
    assert answer.extract.after == "####"
    test = prepare(experiment).splits.test
    # All of a solution is learnt; what it ends in is scored.
    assert " = " in test[0].answer
    assert scored(experiment, test)["exact_match"] == 1
    right = answer.final(test[0].answer)
    other = f"Quite another way, over 3 and 4. #### {right}"
    assert scored(experiment, test[:1], other)["exact_match"] == 1
    # A number that is not where it was asked for is none.
    unmarked = scored(experiment, test[:1], f"It is {right}")
    assert (unmarked["exact_match"], unmarked["valid"]) == (0, 0)


def test_calls_whose_tools_stand_in_a_column(studies: Path, tmp_path: Path) -> None:
    experiment = asked(tmp_path, studies / "requests.jsonl")
    answer = experiment.task.answer
    assert (answer.kind, answer.columns_read) == ("calls", ("calls",))
    # All rows have the same tools, in one order or another.
    told = [one["function"] for one in answer.functions]
    assert {one["name"] for one in told} == {"get_weather", "set_timer", "play_song"}
    assert all(one["description"] for one in told)
    test = prepare(experiment).splits.test
    assert scored(experiment, test) == dict.fromkeys(
        ("exact_match", "argument_f1", "right_functions", "valid"), 1
    )
    assert scored(experiment, test, "[]")["right_functions"] < 0.5


def test_tools_that_differ_by_row_are_told_by_row(studies: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (studies / "requests.jsonl").read_text().splitlines()]
    fewer = [{**row, "tools": row["tools"] if n % 2 else row["tools"][:2]}
             for n, row in enumerate(rows)]  # fmt: skip
    usable = [row for row in fewer
              if {call["name"] for call in row["calls"]}
              <= {tool["function"]["name"] for tool in row["tools"]}]  # fmt: skip
    experiment = asked(tmp_path, lines(tmp_path / "requests.jsonl", usable))
    assert experiment.task.answer.row_tools == "tools"
    assert "{tools}" not in experiment.task.template
    test = prepare(experiment).splits.test
    assert {len(json.loads(item.tools)) for item in test} == {2, 3}
    assert scored(experiment, test)["exact_match"] == 1


def test_talks_are_asked_turn_by_turn(studies: Path, tmp_path: Path) -> None:
    experiment = asked(tmp_path, studies / "talks.jsonl")
    assert experiment.data.conversations is not None
    test = prepare(experiment).splits.test
    assert {item.messages[0]["role"] for item in test} == {"system"}
    assert scored(experiment, test)["exact_match"] == 1


@pytest.mark.real_data
def test_pubmedqa_decides_after_a_long_answer(shared_data: Path, tmp_path: Path) -> None:
    """Its `final_decision` is the label, and the long answer is what is written before it."""
    questions = json.loads((shared_data / "pubmedqa" / "ori_pqal.json").read_text("utf-8"))
    rows = [
        {
            "question": row["QUESTION"],
            "answer": f"{row['LONG_ANSWER']}\n#### {row['final_decision']}",
        }
        for row in list(questions.values())[:300]
    ]
    experiment = asked(tmp_path, lines(tmp_path / "pubmedqa.jsonl", rows))
    answer = experiment.task.answer
    assert answer.kind == "label"
    assert set(answer.labels_of(()) or ()) == {"yes", "no", "maybe"}
    test = prepare(experiment).splits.test
    assert scored(experiment, test)["exact_match"] == 1
    share = scored(experiment, test, "No one knows, yes or no.\n#### Yes.")
    assert share["valid"] == 1
    assert 0.3 < share["exact_match"] < 0.9
    assert scored(experiment, test, "yes")["valid"] == 0


@pytest.mark.real_data
def test_snips_slots_are_json(shared_data: Path, tmp_path: Path) -> None:
    source = tmp_path / "snips.jsonl"
    assert write_snips(shared_data, source, per_intent=40) == 280
    experiment = asked(tmp_path, source)
    assert experiment.task.answer.kind == "json"
    test = prepare(experiment).splits.test
    assert scored(experiment, test) == {
        name: 1 for name in scored(experiment, test) if name != "macro_f1"
    }
    item = test[0]
    part = json.dumps({"intent": json.loads(item.answer)["intent"], "slots": {}})
    read = scored(experiment, [item], f"Here you are:\n```json\n{part}\n```")
    assert read["exact_match"] == 0
    assert 0 < read["field_f1"] < 1
    assert (read["valid"], read["valid_json"]) == (1, 0)
