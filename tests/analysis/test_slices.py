"""The winner is better on the whole; where it is not, the study says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from harness.analysis.arms.slices import LEAST_ITEMS
from harness.analysis.slice_caveats import slice_caveats
from harness.analysis.whole_study import analyse
from harness.findings import Findings, Slice, Slicing
from harness.records import ItemRow, Study
from tests.data_records import data_record

from .study_builder import StudyBuilder, experiment, right
from .unpowered import unpowered

__all__ = ["unpowered"]

ITEMS = 120
PHONE = range(90, ITEMS)


def study(
    lora: Sequence[float],
    few_shot: Sequence[float],
    *,
    texts: Sequence[str] = ("text",) * ITEMS,
    slices: dict[str, dict[str, tuple[str, ...]]] | None = None,
    higher_is_better: bool = True,
) -> Study:
    """Two arms of one seed; item n has the right answer a where n is even, else b."""
    made = StudyBuilder(
        experiment(seeds=[1]), data=data_record(slices={} if slices is None else slices)
    )
    made.search("few-shot", [0.5]).search("lora", [0.8])
    for arm, values in (("lora", lora), ("few-shot", few_shot)):
        made.finalist(arm, 1, {"test": values, "validation": values})
        made.items += [
            ItemRow(arm, 1, f"test-{n}", f"row {n}", "ab"[n % 2], "a", value, texts[n])
            for n, value in enumerate(values)
        ]
    built = made.build()
    vectors = tuple(replace(v, higher_is_better=higher_is_better) for v in built.vectors)
    return replace(built, vectors=vectors)


def ids(numbers: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"row {n}" for n in numbers)


CHANNELS = {"channel": {"phone": ids(PHONE), "web": ids(range(90))}}


def analysed(given: Study) -> Findings:
    return analyse(given, resamples=500, sensitivity=False)


def slicing(given: Study) -> Slicing:
    found = analysed(given).slicing
    assert found is not None
    return found


def parts(given: Study, by: str) -> dict[str, Slice]:
    return {part.value: part for part in slicing(given).slices if part.by == by}


def winner_loses_by_phone() -> Study:
    lora = [1.0] * 90 + [0.0] * 25 + [1.0] * 5
    few_shot = [1.0] * 20 + [0.0] * 70 + [1.0] * 30
    return study(lora, few_shot, slices=CHANNELS)


def test_the_winner_that_loses_somewhere_is_said_to() -> None:
    found = slicing(winner_loses_by_phone())
    (caveat,) = slice_caveats(found, "lora")
    assert "lora loses on items whose channel is 'phone': of these 30 test items" in caveat
    assert not slice_caveats(None, "lora")
    assert not slice_caveats(found, "")
    # Of a prompt that had won for its cost, it is where the other is better.
    assert all("few-shot loses on" in each for each in slice_caveats(found, "few-shot"))
    assert len(slice_caveats(found, "few-shot")) == 3


def test_each_part_has_the_scores_of_its_items() -> None:
    by_channel = parts(winner_loses_by_phone(), "channel")
    phone, web = by_channel["phone"], by_channel["web"]
    assert phone.declared
    assert (phone.contrast.items, web.contrast.items) == (30, 90)
    assert phone.contrast.mean_a == pytest.approx(5 / 30)
    assert phone.contrast.mean_b == 1.0
    assert phone.contrast.difference == pytest.approx(-25 / 30)
    assert (phone.contrast.outcome, web.contrast.outcome) == ("worse", "better")
    assert web.contrast.difference == pytest.approx(70 / 90)


def test_all_parts_are_one_family() -> None:
    found = slicing(winner_loses_by_phone()).slices
    smallest = min(found, key=lambda part: part.contrast.p_value)
    assert len(found) == 4  # two channels, two classes
    assert smallest.contrast.p_adjusted == pytest.approx(4 * smallest.contrast.p_value)
    assert {part.contrast.family for part in found} == {4}


def test_a_prompt_that_wins_loses_somewhere_too() -> None:
    turned = winner_loses_by_phone()
    vectors = tuple(replace(v, values=1 - v.values) for v in turned.vectors)
    found = analysed(replace(turned, vectors=vectors))
    assert found.slicing is not None
    outcomes = {part.value: part.contrast.outcome for part in found.slicing.slices}
    assert (outcomes["phone"], outcomes["web"]) == ("better", "worse")


def test_lower_scores_can_be_the_better_ones() -> None:
    errors = study(
        [0.0] * 90 + [1.0] * 30,
        [1.0] * 90 + [0.0] * 30,
        slices=CHANNELS,
        higher_is_better=False,
    )
    by_channel = parts(errors, "channel")
    assert by_channel["phone"].contrast.outcome == "worse"
    assert by_channel["phone"].contrast.mean_a == 1.0
    assert by_channel["web"].contrast.outcome == "better"


def test_values_of_few_items_are_counted_and_not_compared() -> None:
    regions = {f"r{n}": ids([n]) for n in range(LEAST_ITEMS)} | {"rest": ids(range(10, ITEMS))}
    found = slicing(study(right(0.8, ITEMS), right(0.4, ITEMS), slices={"region": regions}))
    assert [part.value for part in found.slices if part.by == "region"] == ["rest"]
    assert found.too_small == LEAST_ITEMS


def test_three_lengths_share_all_items() -> None:
    texts = ["x" * (1 + n) for n in range(ITEMS)]
    lengths = parts(study(right(0.8, ITEMS), right(0.4, ITEMS), texts=texts), "length")
    assert list(lengths) == [
        "up to 40 characters",
        "41 to 80 characters",
        "more than 80 characters",
    ]
    assert [part.contrast.items for part in lengths.values()] == [40, 40, 40]
    assert not any(part.declared for part in lengths.values())


def test_texts_of_one_length_are_not_divided() -> None:
    assert parts(study(right(0.8, ITEMS), right(0.4, ITEMS)), "length") == {}


def test_classes_are_those_of_the_right_answers() -> None:
    wrong_on_b = [float(n % 2 == 0) for n in range(ITEMS)]
    classes = parts(study([1.0] * ITEMS, wrong_on_b), "class")
    assert {value: part.contrast.items for value, part in classes.items()} == {"a": 60, "b": 60}
    assert classes["a"].contrast.difference == 0
    assert classes["b"].contrast.difference == 1
    assert classes["b"].contrast.outcome == "better"


def test_items_by_validity_are_shown_and_not_tested() -> None:
    given = winner_loses_by_phone()
    valid = [
        replace(
            vector,
            metric="valid",
            values=np.array(
                [float(n < 100 if vector.arm == "lora" else n >= 60) for n in range(ITEMS)]
            ),
        )
        for vector in given.vectors
        if vector.split == "test"
    ]
    found = slicing(replace(given, vectors=(*given.vectors, *valid)))
    rows = {(part.valid_a, part.valid_b): part for part in found.validity}
    assert {key: part.items for key, part in rows.items()} == {
        (True, True): 40,
        (True, False): 60,
        (False, True): 20,
    }
    assert rows[True, False].mean_a == 1.0
    assert rows[True, False].mean_b == pytest.approx(20 / 60)
    assert len(found.slices) == 4


@pytest.mark.usefixtures("unpowered")
def test_no_difference_anywhere_names_no_loser_too_often() -> None:
    """One family error for all parts: 5 % of studies without a difference name a part."""
    random = np.random.default_rng(5)
    named = 0
    studies = 40
    for _ in range(studies):
        values = random.random((2, ITEMS)) < 0.6
        texts = ["x" * int(n) for n in random.integers(5, 60, ITEMS)]
        found = slicing(study(*values.astype(float).tolist(), texts=texts, slices=CHANNELS))
        named += any(part.contrast.outcome in ("better", "worse") for part in found.slices)
    assert named <= 6  # in 99 % of draws, at 5 %
