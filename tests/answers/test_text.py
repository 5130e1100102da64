"""Free text: how like the reference a reply is, in any script."""

from __future__ import annotations

import unicodedata

import pytest

from harness.answers import TextAnswer

ANSWER = TextAnswer(kind="text", column="a")


def test_free_text_has_no_closed_list() -> None:
    assert not ANSWER.is_closed
    assert ANSWER.valid_answers(()) is None
    assert ANSWER.labels_of(()) is None


def test_text_metrics_are_those_of_the_reference_packages() -> None:
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    target, reply = "The parcel came two days late.", "  Parcels came a day late \n"
    found = ANSWER.reader()(target, reply).metrics
    chrf = sacrebleu.CHRF().sentence_score(reply.strip(), [target]).score / 100
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    assert found["chrf"] == pytest.approx(chrf)
    assert found["rouge_l"] == pytest.approx(scorer.score(target, reply)["rougeL"].fmeasure)
    # Of 6 and 5 words, the stems "parcel", "came", "day" and "late" are in common: 2 * 4 / 11.
    assert found["rouge_l"] == pytest.approx(8 / 11)
    assert found["exact_match"] == 0.0


def test_text_extremes() -> None:
    read = ANSWER.reader()
    same = read("Two  words", " Two words\n").metrics
    assert set(same.values()) == {1.0}
    assert read("Two words", "").metrics == {"exact_match": 0.0, "chrf": 0.0, "rouge_l": 0.0}


@pytest.mark.parametrize(
    "text",
    ["Посылка пришла.", "小包が届いた。", "पार्सल आ गया", "وصل الطرد", "חבילה הגיעה", "พัสดุมาแล้ว",
     "소포가 왔다", "Paket geldi", "e\u0301te\u0301", "📦✅", "?!", "=", "می‌رسد"],
)  # fmt: skip
def test_a_text_that_is_the_reference_is_right_in_any_script(text: str) -> None:
    read = ANSWER.reader()
    assert set(read(text, text).metrics.values()) == {1.0}
    assert set(read(text, f"\ufeff {text}\u200b\n").metrics.values()) == {1.0}
    assert set(read(text, unicodedata.normalize("NFD", text)).metrics.values()) == {1.0}
    assert set(read(text, "0").metrics.values()) == {0.0}


def test_words_of_any_script_count() -> None:
    read = ANSWER.reader()
    # Two of three words, in their order, of three and two: 2 * 2 / 5.
    assert read("Посылка пришла поздно.", "посылка поздно").metrics["rouge_l"] == 0.8
    assert read("पार्सल आ गया", "पार्सल गया").metrics["rouge_l"] == 0.8
    # Characters are the words of Chinese: 2 of 3 and 2.
    assert read("包裹晚", "包裹").metrics["rouge_l"] == 0.8
    # Signs and emoji are no words, and texts without any are not alike for that.
    assert read("📦", "✅").metrics["rouge_l"] == 0.0
