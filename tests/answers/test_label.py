"""Labels: which lists can be used, how replies are scored."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.answers import LabelAnswer
from harness.answers.answer import INVALID
from harness.records import Example

LABELS = ("card_arrival", "lost_or_stolen_card", "top up")


def answer(labels: tuple[str, ...] | None) -> LabelAnswer:
    return LabelAnswer(kind="label", column="a", labels=labels)


def test_a_list_of_labels_is_closed_and_may_be_that_of_training() -> None:
    train = [Example(str(n), {}, label, str(n)) for n, label in enumerate("bab")]
    listed, unlisted = answer(("x", "y")), answer(None)
    assert listed.finite_answers() == listed.valid_answers(train) == ("x", "y")
    assert unlisted.finite_answers() is None
    assert unlisted.valid_answers(train) == ("a", "b")
    assert listed.is_closed
    assert unlisted.is_closed


@pytest.mark.parametrize(
    "labels",
    [
        (),
        ("a", "b", "a"),
        ("a", "b", " a\u200b"),
        ("\u00e9", "e\u0301"),
        ("a", ""),
        ("a", "\ufeff"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="labels"):
        answer(labels)


def test_the_order_of_labels_does_not_decide_what_is_right() -> None:
    assert answer(("x", "y")).judged_by() == answer(("y", "x")).judged_by()
    assert answer(("x", "y")).judged_by() != answer(("x",)).judged_by()


def test_one_number_is_written_in_one_way_unless_labels_are_listed() -> None:
    assert answer(None).respelt(["1", "1.0", "2"]) == {"1.0": "1"}
    assert answer(("1", "2")).respelt(["1", "1.0", "2"]) == {}


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
        ("“card_arrival”", 1, 1),
        ("「card arrival」", 1, 1),
        ("»card-arrival«.", 1, 1),
        ("card_arrival。", 1, 1),
        ("- card_arrival", 1, 1),
        ("```text\ncard_arrival\n```", 1, 1),
        ("\ufeffcard_\u200barrival\u00ad", 1, 1),
        ("card\u00a0arrival", 1, 1),
        ("card_arrival 🙂", 0, 0),
        ("1. card_arrival", 0, 0),
        ("top_up", 0, 1),
        ("lost or stolen card", 0, 1),
        ("The label is card_arrival", 0, 0),
        ("cardarrival", 0, 0),
        ("card", 0, 0),
        ("", 0, 0),
        ("\n\n", 0, 0),
    ],
)
def test_replies(reply: str, right: int, valid: int) -> None:
    reading = answer(LABELS).reader()("card_arrival", reply)
    assert reading.metrics == {"exact_match": right, "valid": valid}
    target, replied = reading.classes["label"]
    assert target == "card_arrival"
    assert (replied == INVALID) is (valid == 0)
    assert (replied == "card_arrival") is (right == 1)


def test_labels_of_the_training_split_stand_in_for_those_not_listed() -> None:
    read = answer(None).reader(["yes", "no"])
    assert read("yes", "No!").classes["label"] == ("yes", "no")
    assert read("yes", "maybe").metrics == {"exact_match": 0.0, "valid": 0.0}


@pytest.mark.parametrize("labels", [(":-)", ":-("), ("=", "=="), ("!", "!!", "...")])
@pytest.mark.parametrize("reply", ["", " ", "\n", "\u200b", "\ufeff", "#", "-", "; ;", "ok", "🙂"])
def test_labels_of_signs_are_met_by_themselves_alone(labels: tuple[str, ...], reply: str) -> None:
    read = answer(labels).reader()
    for target in labels:
        assert read(target, reply).metrics == {"exact_match": 0.0, "valid": 0.0}
        for replied in labels:
            right = float(replied == target)
            assert read(target, replied).metrics == {"exact_match": right, "valid": 1.0}
            assert read(target, replied).classes == {"label": (target, replied)}
