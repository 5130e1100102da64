"""Replies are read leniently and scored as the definitions say."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from harness.evaluation.metrics import (
    INVALID,
    Reading,
    first_object,
    leaves,
    macro_f1,
    normalise_label,
    reader,
)
from harness.spec import TaskSpec

LABELS = ("card_arrival", "lost_or_stolen_card", "top up")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "intent": {"enum": ["play", "book"]},
        "stars": {"type": "integer", "minimum": 0, "maximum": 5},
        "slots": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["intent", "slots"],
    "additionalProperties": False,
}
TARGET = json.dumps({"intent": "play", "stars": 3, "slots": {"artist": "Nina", "year": "1965"}})


def task(kind: str, **more: Any) -> TaskSpec:
    return TaskSpec.model_validate(
        {
            "instruction": "Answer.",
            "answer": {"kind": kind, **({} if "schema" in more else {"column": "a"}), **more},
        }
    )


def read_json(reply: str, target: str = TARGET) -> Reading:
    return reader(task("json", schema=SCHEMA, column="a"))(target, reply)


# --------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("reply", "right", "valid"),
    [
        ("card_arrival", 1, 1),
        ("card arrival", 1, 1),
        ("Card-Arrival", 1, 1),
        ('  "card_arrival".', 1, 1),
        ("`card_arrival`", 1, 1),
        ("**card arrival**", 1, 1),
        ("card_arrival\nbecause the card has not come", 1, 1),
        ("top_up", 0, 1),
        ("lost or stolen card", 0, 1),
        ("The label is card_arrival", 0, 0),
        ("cardarrival", 0, 0),
        ("card", 0, 0),
        ("", 0, 0),
        ("\n\n", 0, 0),
    ],
)
def test_labels(reply: str, right: int, valid: int) -> None:
    reading = reader(task("label", labels=LABELS))("card_arrival", reply)
    assert reading.metrics == {"exact_match": right, "valid": valid}
    target, replied = reading.classes["label"]
    assert target == "card_arrival"
    assert (replied == INVALID) is (valid == 0)
    assert (replied == "card_arrival") is (right == 1)


def test_labels_of_the_training_split_stand_in_for_those_not_listed() -> None:
    read = reader(task("label"), ["yes", "no"])
    assert read("yes", "No!").classes["label"] == ("yes", "no")
    assert read("yes", "maybe").metrics == {"exact_match": 0.0, "valid": 0.0}


def test_normalise_label_is_idempotent() -> None:
    for label in (*LABELS, '"Quoted_One"', "ÄRGER", "  a - b "):
        assert normalise_label(normalise_label(label)) == normalise_label(label)


# --------------------------------------------------------------------------- JSON


@pytest.mark.parametrize(
    ("reply", "f1", "exact", "valid_json", "valid"),
    [
        (TARGET, 1, 1, 1, 1),
        (f"\n{json.dumps(json.loads(TARGET), indent=2)}\n", 1, 1, 1, 1),
        (f"```json\n{TARGET}\n```", 1, 1, 0, 1),
        (f"Sure {{see below}}: {TARGET} Anything else?", 1, 1, 0, 1),
        # Case and surrounding white space of texts do not count.
        (TARGET.replace("Nina", " NINA "), 1, 1, 1, 1),
        # One of four leaves wrong: 3 shared of 4 and 4.
        (TARGET.replace("Nina", "Bob"), 3 / 4, 0, 1, 1),
        # One leaf missing: 3 shared of 4 and 3.
        ('{"intent": "play", "stars": 3, "slots": {"artist": "Nina"}}', 6 / 7, 0, 1, 1),
        # One leaf too many, which the schema forbids: 4 shared of 4 and 5.
        (TARGET[:-1] + ', "mood": "calm"}', 8 / 9, 0, 1, 0),
        # The right number as text is another leaf, and breaks the schema.
        (TARGET.replace("3", '"3"'), 3 / 4, 0, 1, 0),
        # One number has many spellings.
        (TARGET.replace("3", "3.0"), 1, 1, 1, 1),
        # The right text at another place is another leaf: 2 shared of 4 and 4.
        ('{"intent":"play","stars":3,"slots":{"year":"Nina","artist":"1965"}}', 1 / 2, 0, 1, 1),
        ("{}", 0, 0, 1, 0),
        ('{"intent": "play", "slots": ', 0, 0, 0, 0),
        ("[1, 2]", 0, 0, 0, 0),
        ("play", 0, 0, 0, 0),
        ("", 0, 0, 0, 0),
        ("{" * 5000, 0, 0, 0, 0),
    ],
)
def test_json_replies(reply: str, f1: float, exact: int, valid_json: int, valid: int) -> None:
    assert read_json(reply).metrics == {
        "field_f1": pytest.approx(f1),
        "exact_match": exact,
        "valid_json": valid_json,
        "valid": valid,
    }


def test_only_closed_fields_are_classes() -> None:
    reading = read_json('{"intent": "book", "slots": {}}')
    assert reading.classes == {"intent": ('"play"', '"book"'), "stars": ("3", INVALID)}
    assert read_json("no idea").classes["intent"] == ('"play"', INVALID)


def test_leaves_of_nested_values() -> None:
    assert leaves({"a": {"b": "X "}, "c": [1, 2, {"d": None}], "e": True}) == {
        (".a.b", '"x"'),
        (".c[]", "1"),
        (".c[]", "2"),
        (".c[].d", "null"),
        (".e", "true"),
    }


def test_a_text_is_not_what_it_spells() -> None:
    assert not leaves(["3", "true", "null"]) & leaves([3, True, None])
    assert leaves(2.0) == leaves(2) != leaves(2.5)


def test_the_first_object_is_found_amid_text() -> None:
    assert first_object('a {b} {"c": {"d": 1}} {"e": 2}') == {"c": {"d": 1}}
    assert first_object('[{"a": 1}]') == {"a": 1}
    assert first_object('{"a": 1') is None


# --------------------------------------------------------------------------- macro F1


def test_macro_f1_known_answer() -> None:
    pairs = [("a", "a"), ("a", "b"), ("b", "b"), ("b", INVALID)]
    # a: precision 1, recall 1/2, F1 2/3. b: precision 1/2, recall 1/2, F1 1/2.
    found = macro_f1([{"label": pair} for pair in pairs])
    assert found == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_macro_f1_is_sklearns_over_the_target_classes() -> None:
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    items = [
        {
            field: (str(rng.choice(list("abc"))), str(rng.choice(["a", "b", "c", INVALID])))
            for field in ("first", "second")
        }
        for _ in range(60)
    ]
    expected = [
        f1_score(
            [item[field][0] for item in items],
            [item[field][1] for item in items],
            labels=["a", "b", "c"],
            average="macro",
        )
        for field in ("first", "second")
    ]
    assert macro_f1(items) == pytest.approx(np.mean(expected))


def test_macro_f1_of_a_field_counts_the_items_that_have_it() -> None:
    assert macro_f1([{"a": ("x", "x"), "b": ("y", "z")}, {"a": ("x", "x")}]) == 0.5
    assert macro_f1([{}, {}]) == 0.0


# --------------------------------------------------------------------------- text


def test_text_metrics_are_those_of_the_reference_packages() -> None:
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    target, reply = "The parcel came two days late.", "  Parcels came a day late \n"
    found = reader(task("text"))(target, reply).metrics
    chrf = sacrebleu.CHRF().sentence_score(reply.strip(), [target]).score / 100
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    assert found["chrf"] == pytest.approx(chrf)
    assert found["rouge_l"] == pytest.approx(scorer.score(target, reply)["rougeL"].fmeasure)
    # Of 6 and 5 words, the stems "parcel", "came", "day" and "late" are in common: 2 * 4 / 11.
    assert found["rouge_l"] == pytest.approx(8 / 11)
    assert found["exact_match"] == 0.0


def test_text_extremes() -> None:
    read = reader(task("text"))
    same = read("Two  words", " Two words\n").metrics
    assert same["exact_match"] == same["rouge_l"] == 1.0
    assert read("Two words", "").metrics == {"exact_match": 0.0, "chrf": 0.0, "rouge_l": 0.0}
