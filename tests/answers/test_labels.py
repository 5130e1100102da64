"""Sets of labels: how files hold them, how replies list them, what they score."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from harness.answers import LabelsAnswer
from harness.answers.cells import AnswerError
from harness.answers.grammar import grammar_problems
from harness.answers.label_set_reader import LabelSet, LabelSetReader
from harness.answers.metrics import ABSENT, macro_f1
from harness.answers.recognise import recognise_answer
from harness.data import prepare
from harness.errors import DataError
from harness.records import Splits
from tests.data.tiny import experiment, table, words, write_jsonl

LABELS = ("billing", "delivery", "praise", "Salem, OR", "research and development")


def answer(**fields: Any) -> LabelsAnswer:
    return LabelsAnswer.model_validate(
        {"kind": "labels", "labels": LABELS, **({} if "columns" in fields else {"column": "y"})}
        | fields
    )


@pytest.mark.parametrize(
    ("fields", "cell", "text"),
    [
        ({}, ["praise", "billing"], '["billing", "praise"]'),
        ({}, '["praise", "billing", "praise"]', '["billing", "praise"]'),
        ({}, "['praise', 'billing']", '["billing", "praise"]'),
        ({}, [], "[]"),
        ({}, "[]", "[]"),
        ({}, [" billing\u200b"], '["billing"]'),
        ({"separator": ";"}, "praise; billing;;", '["billing", "praise"]'),
        ({"separator": ";"}, "praise", '["praise"]'),
        ({"separator": ";"}, '["praise"]', '["praise"]'),
        ({"separator": ";"}, "Salem, OR", '["Salem, OR"]'),
        ({"separator": "|", "labels": ["1", "2"]}, "2.0|1", '["1", "2"]'),
        ({"separator": ","}, "[praise, billing]", '["billing", "praise"]'),
        ({"separator": ","}, "{'Salem, OR', 'billing'}", '["billing", "Salem, OR"]'),
        ({"separator": ";"}, "{'praise'; billing}", '["billing", "praise"]'),
        ({}, "{'praise', 'billing'}", '["billing", "praise"]'),
        ({"separator": ";", "labels": ["[x]", "y"]}, "[x]", '["[x]"]'),
        ({"labels": None}, ["b", "a", "B"], '["B", "a", "b"]'),
        ({"labels": None}, [3, True], '["3", "true"]'),
        ({"labels": None, "separator": ";"}, 3, '["3"]'),
        ({"empty": True}, None, "[]"),
        ({"empty": True}, " ", "[]"),
        ({"empty": True}, math.nan, "[]"),
    ],
)
def test_cells_are_read_as_one_canonical_list(fields: Any, cell: Any, text: str) -> None:
    rows = answer(**fields).row_reader()
    assert rows.read({"y": cell}) == text
    assert rows.read({"y": text}) == text


@pytest.mark.parametrize(
    ("fields", "cell", "problem"),
    [
        ({}, None, "is missing; fill it in, write .* or set task.answer.empty"),
        ({}, "billing, praise", "say what divides labels with task.answer.separator"),
        ({}, ["other"], r"label 'other' is not one of task.answer.labels \(billing,"),
        ({}, ["Billing"], "label 'Billing' is not one of"),
        ({}, [["billing"]], "whose elements are not all labels"),
        ({}, ["billing", None], "whose elements are not all labels"),
        ({}, ["billing", ""], "a label is empty"),
        ({}, {"billing": 1}, "where a list of labels is needed"),
        ({}, '["billing"', "not valid JSON"),
        ({}, "[billing, praise]", "not valid JSON"),
        ({"separator": ",", "labels": None}, "[bug, ui", "divides .* within brackets or quotes"),
        ({"separator": ",", "labels": None}, "bug (ui, ux)", "divides .* within brackets"),
        ({"separator": ",", "labels": None}, "'bug, ui'", "divides .* within brackets or quotes"),
        ({"separator": ";"}, "billing; N/A", "label 'N/A' is not one of"),
    ],
)
def test_cells_that_are_no_set_are_bad_rows(fields: Any, cell: Any, problem: str) -> None:
    with pytest.raises(AnswerError, match=f"^y: .*{problem}"):
        answer(**fields).row_reader().read({"y": cell})


def test_a_column_for_each_label() -> None:
    flags = answer(columns={"Billing": "b", "praise": "p"}, labels=None)
    rows = flags.row_reader()
    for b, p, text in ((1, 0, '["Billing"]'), ("1.0", True, '["Billing", "praise"]'),
                       ("FALSE", "no", "[]"), (0.0, "yes", '["praise"]')):  # fmt: skip
        assert rows.read({"b": b, "p": p}) == text
    assert flags.columns_read == ("b", "p")
    assert flags.labels_of([]) == ("Billing", "praise")
    for cell, problem in ((2, "2 is neither 1 nor 0"), (None, "missing"), ([1], "neither")):
        with pytest.raises(AnswerError, match=f"^p: .*{problem}"):
            rows.read({"b": 1, "p": cell})


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"columns": {"a": "a"}, "column": "y"}, "exactly one of"),
        ({"column": None}, "exactly one of"),
        ({"columns": {"a": "a"}, "labels": ["a"]}, "`labels` goes with `column`"),
        ({"columns": {"a": "a"}, "labels": None, "extract": {"after": ":"}}, "`extract` goes with"),
        ({"columns": {}, "labels": None}, "names no label"),
        ({"labels": ["a", "a "]}, "stand twice"),
        ({"labels": []}, "at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: Any, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        answer(**fields)


@pytest.mark.parametrize(
    ("reply", "labels", "unlisted"),
    [
        ('["billing", "praise"]', {"billing", "praise"}, 0),
        ('{"labels": ["billing"]}', {"billing"}, 0),
        ("['billing', 'Praise']", {"billing", "praise"}, 0),
        ('```json\n["billing"]\n```', {"billing"}, 0),
        ('The labels are ["billing", "praise"].', {"billing", "praise"}, 0),
        ("[]", set(), 0),
        ("None", set(), 0),
        ("No labels.", set(), 0),
        ("billing", {"billing"}, 0),
        ("Billing, PRAISE.", {"billing", "praise"}, 0),
        ("billing; praise", {"billing", "praise"}, 0),
        ("[billing, praise]", {"billing", "praise"}, 0),
        ("billing | praise", {"billing", "praise"}, 0),
        ("billing and praise", {"billing", "praise"}, 0),
        ("billing, delivery, and praise", {"billing", "delivery", "praise"}, 0),
        ("- billing\n- praise", {"billing", "praise"}, 0),
        ("* billing\n\n* praise\nBoth are named in the text.", {"billing", "praise"}, 0),
        ("1. billing\n2. praise", {"billing", "praise"}, 0),
        ("1) billing\n2) refunds", {"billing"}, 0),
        ("Labels:\n- billing\n- praise", {"billing", "praise"}, 0),
        ("Here are the labels:\nbilling, praise", {"billing", "praise"}, 0),
        ("**Labels:**\n\n1. billing", {"billing"}, 0),
        ("Labels:\nnone", set(), 0),
        ("I think:\nrefunds", set(), 1),
        ("billing, billing", {"billing"}, 0),
        # A label with a mark of lists in it is found whole.
        ("Salem, OR", {"Salem, OR"}, 0),
        ("billing, Salem, OR, praise", {"billing", "Salem, OR", "praise"}, 0),
        ("praise, research and development", {"praise", "research and development"}, 0),
        ("billing, refunds", {"billing"}, 1),
        ('["billing", "refunds", 3, ["x"]]', {"billing"}, 3),
        ("I think it is about billing", set(), 1),
        ("refunds\nbilling", set(), 1),
        # A list that breaks off may have named more.
        ('["billing", ', {"billing"}, 1),
        ('[\n  "billing",\n  "prai', {"billing"}, 1),
        ('["none"]', set(), 0),
        ("[null]", set(), 0),
        ('{"billing": true, "praise": false}', {"billing"}, 0),
        ('{"billing": 1, "refunds": 1}', {"billing"}, 1),
        ('{"billing": 0.9}', set(), 1),
    ],
)
def test_replies_list_labels_in_many_ways(reply: str, labels: set[str], unlisted: int) -> None:
    assert LabelSetReader(LABELS).read(reply) == LabelSet(frozenset(labels), unlisted)


@pytest.mark.parametrize(
    "reply",
    [
        "No labels apply.", "No label applies", "none apply", "None of them applies!", "NO LABELS",
        "None of the labels apply to this text.", "None of the given categories fits.",
        "There are no labels that apply.", "No applicable tags were found.", "no matching label",
        "null", "NULL", "None.", "nil", "neither", "Neither.", "Neither of them", "Nothing applies",
        "N/A", "n/a.", "N / A", "n.a.", "Not applicable.", "Not any", "Empty list", "an empty set",
        '"none"', "'None'", "“none”", "«none»", "**None**", "`null`", "(none)", "<none>", "- none",
        "1. None", "[N/A]", "{none}", "()", "{}", "[ ]", "set()", "`set()`", "ｎｏｎｅ",
        "```\nNo labels apply.\n```", "```json\nnull\n```", "```json\n[null]\n```", "```none```",
        '["No labels apply."]', '["N/A"]', '["null"]', "[None]", '[""]', '["neither"]',
        '{"labels": null}', '{"labels": "none"}', '{"labels": []}', "Labels:\nNo labels apply.",
        "No labels apply.\nThe text is about something else.",
    ],
)  # fmt: skip
def test_that_no_label_applies_is_said_in_many_ways(reply: str) -> None:
    assert LabelSetReader(LABELS).read(reply) == LabelSet(frozenset(), 0)
    metrics = answer().reader()("[]", reply).metrics
    assert (metrics["exact_match"], metrics["valid"]) == (1, 1)


@pytest.mark.parametrize(
    "reply",
    ["No other labels", "none, refunds", "not billing", "set", "no", "-", "None of your business",
     "nothing to see", '{"labels": "refunds"}', '["none", "refunds"]', "neither nor"],
)  # fmt: skip
def test_what_is_no_label_is_not_none(reply: str) -> None:
    read = LabelSetReader(LABELS).read(reply)
    assert read is not None and read.unlisted > 0


def test_labels_that_say_none_are_labels() -> None:
    for label in ("null", "N/A", "neither", "no labels apply"):
        reader = LabelSetReader([label, "a"])
        for reply in (label, f"{label.upper()}.", f'"{label}"', json.dumps([label])):
            assert reader.read(reply) == LabelSet(frozenset({label}), 0)


def test_an_empty_reply_names_nothing_at_all() -> None:
    assert LabelSetReader(LABELS).read(" \n") is None
    # What a list might call nothing may be a label, too.
    assert LabelSetReader(["none", "a"]).read("none") == LabelSet(frozenset({"none"}), 0)


@given(
    chosen=st.sets(st.sampled_from(LABELS)),
    written=st.sampled_from([json.dumps, str, "; ".join, "\n".join, "\n- ".join]),
)
def test_what_is_listed_is_read_back(chosen: set[str], written: Any) -> None:
    reply = written(sorted(chosen))
    if reply:
        assert LabelSetReader(LABELS).read(reply) == LabelSet(frozenset(chosen), 0)


@given(text=st.text(alphabet="abilng,;|[]\"'\n -", max_size=40))
def test_no_reply_breaks_the_reader(text: str) -> None:
    metrics = answer().reader()('["billing"]', text).metrics
    assert all(0 <= value <= 1 for value in metrics.values())


@pytest.mark.parametrize(
    ("target", "reply", "f1", "exact", "jaccard", "valid"),
    [
        ('["billing", "praise"]', "praise, billing", 1, 1, 1, 1),
        ('["billing", "praise"]', "billing", 2 / 3, 0, 1 / 2, 1),
        ('["billing"]', "billing, praise", 2 / 3, 0, 1 / 2, 1),
        ('["billing"]', "billing, refunds", 2 / 3, 0, 1 / 2, 0),
        ('["billing"]', "praise", 0, 0, 0, 1),
        ('["billing"]', "none", 0, 0, 0, 1),
        ("[]", "[]", 1, 1, 1, 1),
        ("[]", "none", 1, 1, 1, 1),
        ("[]", "billing", 0, 0, 0, 1),
        ("[]", "refunds", 0, 0, 0, 0),
        # Saying nothing is not saying that none applies.
        ("[]", "", 0, 0, 0, 0),
        ("[]", "<think>hm", 0, 0, 0, 0),
    ],
)
def test_a_set_is_scored_by_the_labels_it_shares(
    target: str, reply: str, f1: float, exact: float, jaccard: float, valid: float
) -> None:
    metrics = answer().reader()(target, reply).metrics
    assert metrics == {
        "set_f1": pytest.approx(f1),
        "exact_match": exact,
        "jaccard": pytest.approx(jaccard),
        "valid": valid,
    }


def test_macro_f1_is_that_of_the_labels_that_apply() -> None:
    read = answer(labels=["a", "b", "c"]).reader()
    pairs = (('["a"]', "a"), ('["a", "b"]', "a"), ('["a"]', "a, b"), ("[]", "a"))
    items = [read(target, reply).classes for target, reply in pairs]
    assert items[1]["b"] == ("b", ABSENT)
    # a: 3 right, 1 surplus; b: 1 missed, 1 surplus; c never applies.
    assert macro_f1(items) == pytest.approx((6 / 7 + 0) / 2)


def test_labels_are_those_of_training_where_none_are_listed(tmp_path: Path) -> None:
    rows = [{"text": words(n, 8), "label": "x;y" if n % 2 else "y"} for n in range(40)]
    rows += [{"text": words(50, 8), "label": "new;y"}]
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    spec = {"kind": "labels", "column": "label", "separator": ";"}
    prepared = prepare(experiment(path, answer=spec, bad_rows="drop"))
    if prepared.dropped:
        (problem,) = prepared.dropped
        assert problem.what.startswith("label 'new' in ")
        assert prepared.labels == ("x", "y")
    counts = prepared.answers["train"]["label"]
    assert counts["y"] == prepared.counts["train"] > counts["x"]
    form = TypeAdapter[Any](LabelsAnswer).validate_python(spec)
    read = form.reader(form.known_from(Splits(prepared.splits.train, (), ()).train))
    assert read('["x", "y"]', "y and x").metrics["exact_match"] == 1.0
    assert form.valid_answers(prepared.splits.train) is None


def test_order_and_repeats_contradict_nothing() -> None:
    rows = answer().row_reader()
    first, second = (
        rows.read({"y": y}) for y in (["praise", "billing"], ["billing", "praise"] * 2)
    )
    assert answer().meaning(first) == answer().meaning(second)
    spelt = answer(labels=None).respelt(['["1", "2"]', '["1.0"]', "[]"])
    assert spelt == {'["1.0"]': '["1"]'}


def test_a_label_that_seems_to_mean_none_is_named() -> None:
    form = answer(labels=["a", "b", "none"])
    (note,) = form.notes(['["a"]', '["none"]', '["a", "b"]', '["none"]'])
    assert note.startswith("'none' stands alone in 2 rows and is taken for a label")
    assert list(form.notes(['["a", "none"]'])) == []


def test_sets_of_few_labels_are_chosen_among_all_of_them() -> None:
    form = answer(labels=["b", "a", "c"], separator=",")
    assert form.why_not_chosen() == ""
    written = [form.row_reader().read({"y": text}) for text in ("c, a", "b", "c, b, a")]
    sets = form.valid_answers([])
    assert sets is not None and len(sets) == len(set(sets)) == 8
    # As training writes them: in the order of the labels.
    assert {*written, "[]"} <= set(sets)
    read = form.reader()
    assert all(read(text, text).metrics["exact_match"] == 1.0 for text in sets)
    flags = answer(column=None, separator=None, labels=None, columns={"x": "x", "y": "z"})
    assert flags.valid_answers([]) == ("[]", '["x"]', '["y"]', '["x", "y"]')


def test_sets_of_many_labels_are_not_chosen() -> None:
    assert answer(labels=list("abcdefgh")).why_not_chosen() == ""
    many = answer(labels=list("abcdefghi"))
    assert "of which 9 labels have too many (8 labels have 256)" in many.why_not_chosen()
    assert many.valid_answers([]) is None
    assert "needs task.answer.labels" in answer(labels=None).why_not_chosen()
    assert answer(extract={"after": "####"}, labels=["a", "b"]).valid_answers([]) is None


def test_replies_may_be_constrained_where_labels_are_listed() -> None:
    assert answer().why_not_constrained() == ""
    schema = answer().reply_schema()
    assert schema is not None and schema["maxItems"] == len(LABELS)
    assert grammar_problems(schema) == []
    assert "needs task.answer.labels" in answer(labels=None).why_not_constrained()


def test_a_set_may_stand_in_a_longer_answer() -> None:
    form = answer(extract={"after": "####"}, separator=",", labels=["a", "b"])
    whole = form.row_reader().read({"y": "Since it is so. #### b, a"})
    assert whole == 'Since it is so. #### ["a", "b"]'
    read = form.reader()
    assert read(whole, "Hm. #### b and a").metrics["exact_match"] == 1.0
    assert read(whole, "b and a").metrics["valid"] == 0.0


def guessed(values: list[Any]) -> Any:
    return recognise_answer([table({"y": value} for value in values)["y"]]).value


def test_init_knows_columns_of_sets() -> None:
    lists = guessed([["a", "b"], ["a"], [], ["b", "c"]] * 5)
    assert lists.drafted() == {
        "kind": "labels", "column": "y", "labels": ["a", "b", "c"], "empty": False,
    }  # fmt: skip
    assert guessed(["['a', 'b']", "['a']", "['c']"] * 5).kind == "labels"
    for separator in "|;,":
        texts = guessed([separator.join(x) for x in ("ab", "a", "bc", "c", "abc")] * 4)
        assert (texts.kind, texts.separator) == ("labels", separator)
    for texts in (["[a, b]", "[a]", "[b, c]", "[c]", "[a, b, c]"],
                  ["{'a', 'b'}", "{'a'}", "{'b', 'c'}", "{'c'}", "{'a', 'b', 'c'}"]):  # fmt: skip
        form = guessed(texts * 4)
        assert form.drafted()["labels"] == ["a", "b", "c"]
        assert form.row_reader().read({"y": texts[2]}) == '["b", "c"]'
    torn = guessed(["bug (a, b)", "bug (a", "b)", "bug (a, b), c", "c"] * 4)
    assert torn.kind == "label"
    # Sparse cells mean that no label applies.
    sparse = guessed([["a"], None, ["b"], None, ["a", "b"]] * 5)
    assert (sparse.kind, sparse.empty) == ("labels", True)


def test_init_leaves_other_columns_alone() -> None:
    cities = [f"{city}, {state}" for city in ("Salem", "Albany") for state in ("OR", "NY")]
    assert guessed(cities * 5).kind == "label"
    assert guessed([f"{words(n, 5)}, {words(n, 4)}" for n in range(20)]).kind == "text"
    assert guessed([[words(n, 3)] for n in range(20)]).kind == "json"
    assert guessed([[{"a": 1}]] * 20).kind == "json"
    assert guessed(["1,234", "2,345", "3,456", "4,567"] * 5).kind == "label"


def test_init_takes_columns_of_flags_for_labels() -> None:
    columns = table({"a": n % 2, "b": n % 3 > 0} for n in range(12))
    form = recognise_answer(list(columns.values())).value
    assert isinstance(form, LabelsAnswer)
    assert form.columns == {"a": "a", "b": "b"}
    mixed = table({"a": n % 2, "b": words(n, 2)} for n in range(12))
    assert recognise_answer(list(mixed.values())).value.kind == "json"
    with pytest.raises(DataError, match="'b' holds other things than 0 and 1"):
        recognise_answer(list(mixed.values()), "labels")
