"""A final answer inside a longer one: taken out of rows and replies, alone scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from harness.answers import Answer, AnyAnswer
from harness.answers.cells import AnswerError
from harness.answers.extract import Extract
from harness.answers.recognise import recognise_answer
from harness.data import prepare
from harness.errors import DataError, SpecError
from harness.spec import load_experiment
from tests.answers.examples import SCHEMA
from tests.data.tiny import experiment, table, words, write_jsonl

HASHES = {"after": "####"}


def label(extract: dict[str, Any], **fields: Any) -> Answer:
    fields = {"labels": ["yes", "no"], **fields}
    return TypeAdapter[Answer](AnyAnswer).validate_python(
        {"kind": "label", "column": "y", "extract": extract, **fields}
    )


@pytest.mark.parametrize(
    ("extract", "text", "part"),
    [
        ({"after": "####"}, "3 and 4 #### 7 ", "7"),
        ({"after": "####"}, "#### 1 or #### 2", "2"),
        ({"after": "####", "take": "first"}, "#### 1 or #### 2", "1 or #### 2"),
        ({"after": "####"}, "none", None),
        ({"after": "####"}, "#### 1 ####", "1 ####"),
        ({"after": "####"}, "##### 1", "1"),
        ({"after": "####"}, "7 #### \n ", None),
        ({"tag": "answer"}, "<answer> a\nb </answer> <answer>c</answer> d", "c"),
        ({"tag": "answer", "take": "first"}, "<answer>a</answer> <answer>c</answer>", "a"),
        ({"tag": "answer"}, "<answer>draft <answer>c</answer>", "c"),
        ({"tag": "answer"}, "<Answer>c</ANSWER>", "c"),
        ({"tag": "answer"}, "<answer>c", None),
        ({"tag": "answer"}, "<answers>c</answers>", None),
        ({"pattern": r"is (\w+)"}, "it is so, it is yes", "yes"),
        ({"pattern": r"is (\w+)", "take": "first"}, "it is so, it is yes", "so"),
        ({"pattern": r"-?\d+"}, "from 3 to -4.", "-4"),
        ({"pattern": r"= (\d+(\.\d+)?)"}, "a = 3.5", "3.5"),
        ({"pattern": r"A: (\d+)|B: (\w+)"}, "A: 3, B: no", "3"),
        ({"pattern": r"\d*"}, "no digits", None),
        ({"pattern": r"(?s)BEGIN(.*)END"}, "BEGIN a\nb END", "a\nb"),
    ],
)
def test_what_is_extracted(extract: dict[str, Any], text: str, part: str | None) -> None:
    assert Extract(**extract).of(text) == part


@pytest.mark.parametrize(
    ("extract", "problem"),
    [
        ({}, "exactly one of"),
        ({"after": None}, "stands in quotes"),
        ({"after": "#", "tag": "a"}, "exactly one of"),
        ({"after": " "}, "white space"),
        ({"pattern": "(a"}, "not a regular expression: missing"),
        ({"tag": "<answer>"}, "pattern"),
        ({"after": "#", "take": "middle"}, "first"),
    ],
)
def test_what_cannot_be_meant_is_refused(extract: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Extract(**extract)


def test_a_pattern_that_never_ends_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.answers.extract._PATIENCE", 0.05)
    # Of nested repeats over as many letters, and no end.
    assert Extract(pattern=r"((?:x+x+)+)y").of("x" * 60) is None


def test_the_whole_is_learnt_and_the_part_is_scored() -> None:
    answer = label(HASHES)
    whole = "It says so. #### yes"
    assert answer.row_reader().read({"y": f" {whole} \n"}) == whole
    assert (answer.final(whole), answer.labels_in(whole)) == ("yes", ("yes",))
    assert answer.count_classes([whole, "#### yes"]) == {"label": {"yes": 2}}
    read = answer.reader()
    for reply, exact, valid in (
        ("Quite another reason. #### Yes.", 1, 1),
        ("#### no", 0, 1),
        ("#### no #### yes", 1, 1),
        ("yes", 0, 0),
        ("####", 0, 0),
        ("", 0, 0),
        ("<think>#### no</think> So it is #### yes", 1, 1),
        ("<think>#### yes</think> nothing", 0, 0),
        ("<think> #### yes", 0, 0),
    ):
        assert read(whole, reply).metrics == {"exact_match": exact, "valid": valid}, reply


def test_a_thought_before_a_marked_answer_is_learnt_too() -> None:
    answer = label(HASHES)
    whole = "<think>Or #### no?</think> It is. #### yes"
    assert answer.row_reader().read({"y": whole}) == whole
    assert answer.final(whole) == "yes"
    assert answer.reader()(whole, "#### yes").metrics["exact_match"] == 1.0


def test_json_after_a_mark_is_written_as_json_and_scored_by_field() -> None:
    answer = TypeAdapter[Answer](AnyAnswer).validate_python(
        {"kind": "json", "column": "y", "schema": SCHEMA, "extract": {"tag": "answer"}}
    )
    rows = answer.row_reader()
    whole = rows.read({"y": "Hence: <answer> {'a':1} </answer> Done."})
    assert whole == 'Hence: <answer> {"a": 1} </answer> Done.'
    with pytest.raises(AnswerError, match="does not conform"):
        rows.read({"y": '<answer>{"a": "x"}</answer>'})
    read = answer.reader()
    assert read(whole, 'So <answer>{"a": 1}</answer>').metrics["exact_match"] == 1.0
    # Outside its place an object is none.
    assert set(read(whole, '{"a": 1}').metrics.values()) == {0.0}


def test_of_text_the_part_alone_is_compared() -> None:
    answer = TypeAdapter[Answer](AnyAnswer).validate_python(
        {"kind": "text", "column": "y", "extract": HASHES}
    )
    read = answer.reader()
    assert read("why #### a b", "because\n#### a b").metrics["exact_match"] == 1.0
    assert set(read("why #### a b", "a b").metrics.values()) == {0.0}


def test_rows_from_which_nothing_is_extracted_are_bad() -> None:
    rows = label(HASHES).row_reader()
    with pytest.raises(AnswerError, match=r"^y: no answer stands after '####' \(task.answer"):
        rows.read({"y": "just yes"})
    with pytest.raises(AnswerError, match="label 'perhaps' is not one of"):
        rows.read({"y": "#### perhaps"})
    with pytest.raises(AnswerError, match="holds an object"):
        rows.read({"y": {"a": 1}})


def test_a_pattern_that_misses_the_answer_as_it_is_written_is_told() -> None:
    answer = TypeAdapter[Answer](AnyAnswer).validate_python(
        {"kind": "json", "column": "y", "schema": SCHEMA, "extract": {"pattern": r"\{\S+"}}
    )
    with pytest.raises(AnswerError, match="let it take all of the answer"):
        answer.row_reader().read({"y": 'so {"a":1}'})


def test_numbers_are_written_in_one_way_where_they_are_extracted() -> None:
    answer = label(HASHES, labels=None)
    answers = ["a #### 1", "b #### 1.0", "c #### 2"]
    assert answer.respelt(answers) == {"b #### 1.0": "b #### 1"}


def test_data_are_checked_by_what_is_extracted(tmp_path: Path) -> None:
    rows = [
        {"text": words(n, 8), "label": f"Since {words(n + 99, 8)}. #### {'yes' if n % 2 else 'no'}"}
        for n in range(30)
    ]
    # The same text twice, once with another reason, once with another answer.
    rows += [{**rows[0], "label": "Else. #### no"}, {**rows[1], "label": "Else. #### no"}]
    rows.append({"text": words(70, 8), "label": "I do not know."})
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    answer = {"kind": "label", "column": "label", "extract": HASHES}
    prepared = prepare(experiment(path, answer=answer, bad_rows="drop"))
    assert prepared.labels == ("no", "yes")
    assert prepared.contradictions.texts == 1
    (problem,) = prepared.dropped
    assert problem.where.endswith("rows.jsonl:33")
    assert "#### yes" in {e.answer[-8:] for e in prepared.splits.train}
    with pytest.raises(DataError, match="no answer stands after"):
        prepare(experiment(path, answer=answer))


@pytest.mark.parametrize("way", ["choice", "constrained"])
def test_longer_replies_are_neither_chosen_nor_constrained(way: str, tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(
        json.dumps(
            {
                "name": "n",
                "model": "m",
                "data": {"source": "rows.csv"},
                "task": {
                    "instruction": "Answer.",
                    "answer": {
                        "kind": "label", "column": "y", "labels": ["a", "b"], "extract": HASHES,
                    },
                },
                "arms": {"zero": {"kind": "prompt", "answering": way}},
            }
        )
    )  # fmt: skip
    with pytest.raises(SpecError, match=f"answering: {way} cannot be meant with task.answer.ext"):
        load_experiment(path)


def test_a_wrong_pattern_is_told_with_its_field_and_line(tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(
        "name: n\nmodel: m\ndata: {source: rows.csv}\ntask:\n  instruction: Answer.\n"
        "  answer:\n    kind: label\n    column: y\n    extract:\n      pattern: '#### ('\n"
        "arms: {zero: {kind: prompt}}\n"
    )
    with pytest.raises(SpecError) as refused:
        load_experiment(path)
    (problem,) = refused.value.problems
    assert problem.where == f"{path}:10"
    assert problem.what.startswith("task.answer.extract.pattern: not a regular expression")


@pytest.mark.parametrize(
    ("write", "extract"),
    [
        (lambda why, what: f"{why}\n#### {what}", {"after": "####"}),
        (lambda why, what: f"{why} <answer>{what}</answer>", {"tag": "answer"}),
        (lambda why, what: f"{why} <think>x</think> <final>{what}</final>", {"tag": "final"}),
    ],
)
def test_init_knows_the_usual_marks(write: Any, extract: dict[str, str]) -> None:
    column = table({"y": write(words(n, 8), "ab"[n % 2])} for n in range(20))["y"]
    guess = recognise_answer([column])
    assert guess.value.drafted() == {
        "kind": "label", "column": "y", "labels": ["a", "b"], "extract": extract,
    }  # fmt: skip
    assert "20 of 20 texts" in guess.why
    # A text, as the user says, is all of it.
    assert recognise_answer([column], "text").value.extract is None


def test_a_markdown_heading_is_no_mark_of_an_answer() -> None:
    reports = [f"{words(n, 6)}\n#### Steps\n{words(n + 50, 12)}\n{n % 2}" for n in range(20)]
    titles = [f"{words(n, 6)}\n#### {words(n + 50, 3)}" for n in range(20)]
    for texts in (reports, titles):
        guess = recognise_answer([table({"y": text} for text in texts)["y"]]).value
        assert (guess.kind, guess.extract) == ("text", None)


@pytest.mark.parametrize(
    ("closing", "reply", "part"),
    [
        ("The final answer is {}.", "The final answer is 72.\n\nLet me know!", "72"),
        ("Final answer: {}", "**Final answer:** -72\nAnything else?", "-72"),
        ("Answer: {}", "**Answer:** 72\n\nLet me know!", "72"),
    ],
)
def test_a_drafted_pattern_reads_replies_that_go_on(closing: str, reply: str, part: str) -> None:
    rows = ({"y": f"{words(n, 8)}. {closing.format(-n)}"} for n in range(40))
    guess = recognise_answer([table(rows)["y"]]).value
    assert (guess.kind, guess.extract is None) == ("number", False)
    assert guess.extract is not None
    assert guess.extract.of(reply) == part


def test_init_knows_a_closing_sentence_by_short_answers_alone() -> None:
    def guessed(*answers: str) -> Answer:
        rows = ({"y": f"{words(n, 8)}. The answer is {a}."} for n, a in enumerate(answers * 10))
        return recognise_answer([table(rows)["y"]]).value

    known = guessed("yes", "no")
    assert (known.kind, known.drafted()["labels"]) == ("label", ["yes", "no"])
    assert known.extract is not None
    assert known.extract.of("I think the answer is: no") == "no"
    for reply, part in (
        ("The answer is yes.\n\nLet me know if you need more!", "yes"),
        ("Well.\n**The answer is no**", "no"),
    ):
        assert known.extract.of(reply) == part
    prose = recognise_answer(
        [table({"y": f"The answer is {words(n, 8)}."} for n in range(20))["y"]]
    )
    assert (prose.value.kind, prose.value.extract) == ("text", None)
    # Labels that repeat as wholes need no mark.
    assert (
        recognise_answer([table({"y": f"#### {n % 2}"} for n in range(20))["y"]]).value.extract
        is None
    )
