"""Classifiers without a language model: what they learn, say of themselves, and repeat."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.answers.json_object import JsonAnswer
from harness.answers.label import LabelAnswer
from harness.answers.labels import LabelsAnswer
from harness.classifier import fit_classifier
from harness.spec import ClassifierArm
from harness.spec.settings import ClassifierSettings

TEXTS = [f"parcel {n} was {'late and torn' if n % 2 else 'great, thank you'}" for n in range(12)]
CLASSES = [{"label": "negative" if n % 2 else "positive"} for n in range(12)]


def settings(method: str = "svm", features: str = "both", c: float = 1.0) -> ClassifierSettings:
    arm = ClassifierArm.model_validate(
        {"kind": "classifier", "method": method, "features": features, "c": c, "neighbours": 3,
         "balanced": False}
    )  # fmt: skip
    found = arm.resolve({})
    assert isinstance(found, ClassifierSettings)
    return found


@pytest.mark.parametrize("method", ["svm", "logistic", "nearest"])
@pytest.mark.parametrize("features", ["both", "words", "characters"])
def test_every_method_learns_a_word(method: str, features: str) -> None:
    fitted = fit_classifier(TEXTS, CLASSES, settings(method, features), seed=1)
    found = fitted.classify(["parcel 99 was late", "parcel 98 was great"])
    assert found == [{"label": "negative"}, {"label": "positive"}]
    assert fitted.bytes > 4 * fitted.numbers > 0


def test_to_fit_again_is_to_find_the_same() -> None:
    one, two = (fit_classifier(TEXTS, CLASSES, settings(), seed=7) for _ in range(2))
    assert (one.parts["label"].coef_ == two.parts["label"].coef_).all()
    assert (one.numbers, one.bytes) == (two.numbers, two.bytes)


def test_a_part_that_is_always_the_same_needs_no_estimator() -> None:
    fitted = fit_classifier(TEXTS, [{"label": "only"}] * 12, settings(), seed=1)
    assert fitted.classify(["anything"]) == [{"label": "only"}]


def test_texts_without_anything_to_count_are_refused() -> None:
    for features in ("both", "words", "characters"):
        for texts in (["", " "], ["", " \t"] * 500):
            classes = CLASSES[:2] * (len(texts) // 2)
            with pytest.raises(ValueError, match=r"no character to count.*the first is ''"):
                fit_classifier(texts, classes, settings(features=features), seed=1)


@pytest.mark.parametrize("features", ["both", "words", "characters"])
@pytest.mark.parametrize(
    ("good", "bad", "rows"),
    [
        ("!!", "??", 12),
        ("😀👍", "😡", 12),
        ("a", "b", 12),
        ("!!", "??", 1000),
        # No run of letters stands there twice.
        ("{}包裹很好谢谢你们", "{}包裹又破又迟到了", 1000),
    ],
)
def test_texts_without_words_are_classified_by_their_characters(
    good: str, bad: str, rows: int, features: str
) -> None:
    texts = [(bad if n % 2 else good).format(chr(0x4E00 + n)) for n in range(rows)]
    classes = (CLASSES * (1 + rows // len(CLASSES)))[:rows]
    fitted = fit_classifier(texts, classes, settings(features=features), seed=1)
    found = fitted.classify([text.format("") for text in (good, bad)])
    assert found == [{"label": "positive"}, {"label": "negative"}]


def test_sets_of_labels_are_a_classifier_a_label() -> None:
    answer = LabelsAnswer(kind="labels", column="tags", labels=("slow", "torn", "kind"))
    texts = ["slow", "slow and torn", "torn", "a kind driver", "nothing"] * 3
    sets = ['["slow"]', '["slow", "torn"]', '["torn"]', '["kind"]', "[]"] * 3
    fitted = fit_classifier(texts, [answer.as_classes(one) for one in sets], settings(c=10), 1)
    replies = [answer.of_classes(found) for found in fitted.classify(texts[:5])]
    assert replies == sets[:5]


def test_json_is_a_classifier_a_field() -> None:
    schema = {
        "type": "object",
        "properties": {
            "tone": {"enum": ["good", "bad"]},
            "stars": {"type": "integer", "minimum": 1, "maximum": 2},
            "spam": {"type": "boolean"},
        },
        "required": ["tone", "stars"],
    }
    answer = JsonAnswer.model_validate({"kind": "json", "column": "a", "schema": schema})
    rows = ['{"tone": "good", "stars": 2}', '{"tone": "bad", "stars": 1, "spam": true}'] * 4
    texts = ["thank you", "buy pills now"] * 4
    assert not answer.why_not_classified()
    fitted = fit_classifier(texts, [answer.as_classes(row) for row in rows], settings(), 1)
    assert [answer.of_classes(one) for one in fitted.classify(texts[:2])] == rows[:2]


def test_answers_without_end_are_refused_with_the_field() -> None:
    schema = {"type": "object", "properties": {"street": {"type": "string"}}}
    answer = JsonAnswer.model_validate({"kind": "json", "column": "a", "schema": schema})
    assert "field 'street' has values without end" in answer.why_not_classified()
    label = LabelAnswer.model_validate(
        {"kind": "label", "column": "a", "extract": {"after": "Answer:"}}
    )
    assert "task.answer.extract" in label.why_not_classified()


def test_only_the_support_vector_machine_draws() -> None:
    assert settings().draws
    assert not replace(settings(), method="nearest").draws
