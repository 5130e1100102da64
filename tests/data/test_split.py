"""The division: no group on both sides, the same for any row order, limits kept."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import limited, merge_duplicates, shuffled, split_groups
from harness.errors import DataError
from harness.records import Example

from .tiny import example, words

SHARES = {"train": 0.6, "validation": 0.15, "test": 0.25}


@st.composite
def data_sets(draw: st.DrawFn) -> list[Example]:
    """Examples whose texts and groups repeat often, in at least 3 groups after merging."""
    drawn = draw(
        st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), min_size=3, max_size=60)
    )
    examples = [
        example(str(n), f"text number {text}", answer=str(text % 3), group=f"g{group}")
        for n, (text, group) in enumerate(drawn)
    ]
    # Three that share nothing with the rest, so that every split can have a group.
    return [*examples, *(example(f"own{n}", words(n * 9, 9)) for n in range(3))]


def contents(examples: tuple[Example, ...]) -> Counter[tuple[str, str]]:
    return Counter((e.inputs["text"], e.answer) for e in examples)


@given(data_sets(), st.integers(0, 5))
def test_no_group_and_no_text_straddles(examples: list[Example], seed: int) -> None:
    merged = merge_duplicates(examples)
    splits = split_groups(merged, SHARES, seed)
    assert sorted(e.id for chosen in splits.values() for e in chosen) == sorted(
        e.id for e in examples
    )
    original = {e.id: e.group for e in examples}
    for key in (lambda e: original[e.id], lambda e: e.group, lambda e: e.inputs["text"]):
        homes = [{key(e) for e in chosen} for chosen in splits.values()]
        assert sum(map(len, homes)) == len(set.union(*homes))
    assert all(splits.values())


@given(data_sets(), st.integers(0, 5), st.randoms(use_true_random=False))
def test_row_order_changes_nothing(
    examples: list[Example], seed: int, chance: random.Random
) -> None:
    reordered = list(examples)
    chance.shuffle(reordered)
    once = split_groups(merge_duplicates(examples), SHARES, seed)
    again = split_groups(merge_duplicates(reordered), SHARES, seed)
    assert once == again
    cut = {name: limited(chosen, 5, seed) for name, chosen in once.items()}
    assert cut == {name: limited(chosen, 5, seed) for name, chosen in again.items()}


@given(st.integers(0, 5), st.randoms(use_true_random=False))
def test_line_number_ids_change_no_division(seed: int, chance: random.Random) -> None:
    texts = [words(n * 5, 5) for n in range(30)]
    once = split_groups([example(str(n), text) for n, text in enumerate(texts)], SHARES, seed)
    chance.shuffle(texts)
    again = split_groups([example(str(n), text) for n, text in enumerate(texts)], SHARES, seed)
    for name in SHARES:
        assert contents(once[name]) == contents(again[name])


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 80), st.integers(0, 3))
def test_limits_are_kept_and_filled(sizes: list[int], limit: int, seed: int) -> None:
    examples = [
        example(f"{group}-{n}", words(group * 500 + n * 5, 5), group=str(group))
        for group, size in enumerate(sizes)
        for n in range(size)
    ]
    taken = limited(examples, limit, seed)
    assert len(taken) == min(limit, len(examples))
    assert len({e.id for e in taken}) == len(taken)
    assert all(e in examples for e in taken)


def test_a_limit_spreads_over_the_groups() -> None:
    examples = [
        example(f"{group}-{n}", words(group * 500 + n * 5, 5), group=str(group))
        for group in range(20)
        for n in range(10)
    ]
    assert len({e.group for e in limited(examples, 40, 0)}) >= 15


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_shares_are_met(seed: int) -> None:
    chance = random.Random(seed)
    examples = [
        example(f"{group}-{n}", words(group * 200 + n * 3, 3), group=str(group))
        for group in range(150)
        for n in range(chance.randint(1, 20))
    ]
    splits = split_groups(examples, SHARES, seed)
    for name, share in SHARES.items():
        assert abs(len(splits[name]) / len(examples) - share) < 0.02


def test_seed_changes_the_division() -> None:
    examples = [example(str(n), words(n * 5, 5)) for n in range(40)]
    assert split_groups(examples, SHARES, 0) == split_groups(examples, SHARES, 0)
    assert split_groups(examples, SHARES, 0)["test"] != split_groups(examples, SHARES, 1)["test"]
    assert shuffled(examples, 0) != shuffled(examples, 1)


def test_duplicates_join_groups_through_each_other() -> None:
    merged = merge_duplicates(
        [
            example("1", "Same text!", group="b"),
            example("2", "same TEXT", group="c"),
            example("3", "other", group="c"),
            example("4", "OTHER?", group="a"),
            example("5", "alone", group="d"),
        ]
    )
    assert [e.group for e in merged] == ["a", "a", "a", "a", "d"]
    assert [e.id for e in merged] == ["1", "2", "3", "4", "5"]


def test_texts_of_signs_only_are_not_all_alike() -> None:
    merged = merge_duplicates([example("1", "!!!"), example("2", ":-)"), example("3", "!!!")])
    assert [e.group for e in merged] == ["1", "2", "1"]


def test_one_large_group_leaves_the_others_filled() -> None:
    examples = [example(f"l{n}", words(n * 5, 5), group="large") for n in range(95)]
    examples += [example(f"s{n}", words(9000 + n * 5, 5)) for n in range(5)]
    splits = split_groups(examples, SHARES, 0)
    assert {e.group for e in splits["train"]} >= {"large"}
    assert all(splits.values())


def test_too_few_groups_name_the_empty_split_and_the_largest_group() -> None:
    examples = [example(str(n), words(n * 5, 5), group="acme") for n in range(19)]
    examples.append(example("other", "something else"))
    with pytest.raises(DataError, match=r"test would be empty: 20 example.*2 group.*'acme'.*95 %"):
        split_groups(examples, SHARES, 0)
