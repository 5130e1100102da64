"""Replies are read leniently and scored as the definitions say."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import numpy as np
import pytest

from harness.evaluation.metrics import INVALID, Reading, macro_f1, reader
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


@pytest.mark.parametrize("labels", [(":-)", ":-("), ("=", "=="), ("!", "!!", "...")])
@pytest.mark.parametrize("reply", ["", " ", "\n", "\u200b", "\ufeff", "#", "-", "; ;", "ok", "🙂"])
def test_labels_of_signs_are_met_by_themselves_alone(labels: tuple[str, ...], reply: str) -> None:
    read = reader(task("label", labels=labels))
    for target in labels:
        assert read(target, reply).metrics == {"exact_match": 0.0, "valid": 0.0}
        for replied in labels:
            right = float(replied == target)
            assert read(target, replied).metrics == {"exact_match": right, "valid": 1.0}
            assert read(target, replied).classes == {"label": (target, replied)}


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


ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "parts": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"what": {"type": "string"}, "count": {"type": "integer"}},
            },
        },
        "done": {"type": "boolean"},
    },
}


@pytest.mark.parametrize("target", [{}, {"parts": []}, {"parts": [{}]}, {"done": True}])
@pytest.mark.parametrize(
    "reply",
    ["", "none", "[]", '{"parts": [', '{"parts": {}', "{'parts': {}}", '{"done": NaN, "parts": {}}',
     '{"done": true, "done": true}', '{"parts": [],}', "null", '"{"'],
)  # fmt: skip
def test_a_reply_without_json_is_all_wrong(target: dict[str, Any], reply: str) -> None:
    metrics = reader(task("json", schema=ORDER, column="a"))(json.dumps(target), reply).metrics
    assert set(metrics.values()) == {0.0}


def test_what_stands_in_one_element_is_not_found_in_another() -> None:
    read = reader(task("json", schema=ORDER, column="a"))
    cups, pots = {"what": "cup", "count": 4}, {"what": "pot", "count": 2}
    target = json.dumps({"parts": [cups, pots]})
    swapped = {"parts": [cups | {"count": 2}, pots | {"count": 4}]}
    found = read(target, json.dumps(swapped)).metrics
    assert (found["field_f1"], found["exact_match"], found["valid"]) == (0.5, 0.0, 1.0)
    turned = read(target, json.dumps({"parts": [pots, cups]})).metrics
    assert (turned["field_f1"], turned["exact_match"]) == (1.0, 0.0)


def test_all_metrics_read_a_value_in_one_way() -> None:
    for name, right, written in (("intent", "play", " PLAY."), ("stars", 2, 2.0)):
        target = {"intent": "book", "slots": {}} | {name: right}
        reading = read_json(json.dumps(target | {name: written}), json.dumps(target))
        assert reading.metrics["field_f1"] == reading.metrics["exact_match"] == 1.0
        assert reading.classes[name][0] == reading.classes[name][1]
        assert macro_f1([reading.classes]) == 1.0
    target = {"parts": [], "done": True}
    for other in (1, "true", None, [True]):
        reading = reader(task("json", schema=ORDER, column="a"))(
            json.dumps(target), json.dumps(target | {"done": other})
        )
        assert reading.metrics["exact_match"] == macro_f1([reading.classes]) == 0.0
        assert reading.metrics["field_f1"] == 0.5


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
    assert set(same.values()) == {1.0}
    assert read("Two words", "").metrics == {"exact_match": 0.0, "chrf": 0.0, "rouge_l": 0.0}


@pytest.mark.parametrize(
    "text",
    ["Посылка пришла.", "小包が届いた。", "पार्सल आ गया", "وصل الطرد", "חבילה הגיעה", "พัสดุมาแล้ว",
     "소포가 왔다", "Paket geldi", "e\u0301te\u0301", "📦✅", "?!", "=", "می‌رسد"],
)  # fmt: skip
def test_a_text_that_is_the_reference_is_right_in_any_script(text: str) -> None:
    read = reader(task("text"))
    assert set(read(text, text).metrics.values()) == {1.0}
    assert set(read(text, f"\ufeff {text}\u200b\n").metrics.values()) == {1.0}
    assert set(read(text, unicodedata.normalize("NFD", text)).metrics.values()) == {1.0}
    assert set(read(text, "0").metrics.values()) == {0.0}


def test_words_of_any_script_count() -> None:
    read = reader(task("text"))
    # Two of three words, in their order, of three and two: 2 * 2 / 5.
    assert read("Посылка пришла поздно.", "посылка поздно").metrics["rouge_l"] == 0.8
    assert read("पार्सल आ गया", "पार्सल गया").metrics["rouge_l"] == 0.8
    # Characters are the words of Chinese: 2 of 3 and 2.
    assert read("包裹晚", "包裹").metrics["rouge_l"] == 0.8
    # Signs and emoji are no words, and texts without any are not alike for that.
    assert read("📦", "✅").metrics["rouge_l"] == 0.0
