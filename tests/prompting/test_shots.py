"""Shots are chosen as the selection says, and never give the item's own answer away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from tiny_model import message

from harness.prompting import ShotSelector
from harness.prompting.shots import WORD
from harness.records import Example

SELECTIONS = ["fixed", "random", "balanced", "nearest"]
POOL = tuple(message(f"p{i}", f"word{i} common", "abc"[(i > 8) + (i > 10)]) for i in range(12))
NEW = message("new", "word3 common", "a")


def selector(
    selection: str, shots: int = 4, pool: Sequence[Example] = POOL, seed: int = 0
) -> ShotSelector:
    return ShotSelector(
        pool, shots, selection, lambda item: item.inputs["text"], np.random.default_rng(seed)
    )


def ids(examples: Sequence[Example]) -> list[str]:
    return [example.id for example in examples]


def test_fixed_takes_the_first_ones() -> None:
    assert ids(selector("fixed").select(NEW)) == ["p0", "p1", "p2", "p3"]


def test_random_draws_once_for_all_items_and_by_its_generator() -> None:
    first, again, other = (selector("random", seed=seed) for seed in (0, 0, 1))
    shown = ids(first.select(NEW))
    assert shown == ids(again.select(NEW)) == ids(first.select(message("z", "else", "b")))
    assert shown != ids(other.select(NEW))
    counts = Counter(
        identity
        for seed in range(300)
        for identity in ids(selector("random", seed=seed).select(NEW))
    )
    # Each of 12 is drawn with probability 1/3: 100 times of 300, standard deviation 8.2.
    assert set(counts) == set(ids(POOL))
    assert all(60 < count < 140 for count in counts.values())


@pytest.mark.parametrize("seed", range(5))
def test_balanced_goes_round_the_answers(seed: int) -> None:
    def answers(shots: int) -> Counter[str]:
        return Counter(e.answer for e in selector("balanced", shots, seed=seed).select(NEW))

    assert answers(3) == {"a": 1, "b": 1, "c": 1}
    assert answers(6) == {"a": 3, "b": 2, "c": 1}
    assert len(set(ids(selector("balanced", 12, seed=seed).select(NEW)))) == 12


def test_nearest_puts_the_most_similar_last() -> None:
    pool = (
        message("far", "nothing alike here", "a"),
        message("near", "the red parcel came late", "b"),
        message("same", "the red parcel came very late", "a"),
        message("half", "the parcel", "b"),
    )
    item = message("i", "the red parcel came very late", "?")
    assert ids(selector("nearest", 3, pool).select(item)) == ["half", "near", "same"]


def test_nearest_leaves_out_the_items_own_group() -> None:
    item = message("i", "red parcel", "?", group="order-7")
    siblings = tuple(message(f"s{i}", "red parcel", "a", group="order-7") for i in range(5))
    others = tuple(message(f"o{i}", f"red thing {i}", "b") for i in range(3))
    assert sorted(ids(selector("nearest", 3, siblings + others).select(item))) == ["o0", "o1", "o2"]
    # Unlike text in the group costs no shot either.
    odd = tuple(message(f"d{i}", "x", "a", group="order-7") for i in range(5))
    assert len(selector("nearest", 3, odd + others).select(item)) == 3


def test_nearest_agrees_with_the_definition() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    rng = np.random.default_rng(3)
    words = [f"w{i}" for i in range(12)]
    pool = [
        message(f"p{i}", " ".join(rng.choice(words, 5)), "a", group=f"g{i % 9}") for i in range(40)
    ]
    choose = selector("nearest", 5, pool)
    vectoriser = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD)
    matrix = vectoriser.fit_transform(e.inputs["text"] for e in pool).toarray()
    for item in pool[:10]:
        similarity = matrix @ vectoriser.transform([item.inputs["text"]]).toarray()[0]
        allowed = [similarity[i] for i, e in enumerate(pool) if e.group != item.group]
        found = [similarity[pool.index(e)] for e in choose.select(item)]
        assert found == pytest.approx(sorted(allowed)[-5:])


@pytest.mark.parametrize("selection", SELECTIONS)
def test_an_item_is_never_its_own_shot_and_still_gets_all(selection: str) -> None:
    choose = selector(selection)
    for item in POOL:
        shown = ids(choose.select(item))
        assert item.id not in shown
        assert len(set(shown)) == len(shown) == 4


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_small_pool_gives_what_it_has(selection: str) -> None:
    assert sorted(ids(selector(selection, 9, POOL[:3]).select(NEW))) == ["p0", "p1", "p2"]
    assert sorted(ids(selector(selection, 9, POOL[:3]).select(POOL[0]))) == ["p1", "p2"]
    assert selector(selection, 3, POOL[:1]).select(POOL[0]) == ()
    assert selector(selection, 3, ()).select(NEW) == ()
    assert selector(selection, 0).select(NEW) == ()


def test_a_pool_without_words_still_gives_shots_of_other_groups() -> None:
    pool = tuple(message(f"p{i}", "!? :-)", "a", group=f"g{i // 2}") for i in range(6))
    shown = selector("nearest", 3, pool).select(pool[0])
    assert len(shown) == 3
    assert "g0" not in {e.group for e in shown}


def test_an_unknown_selection_is_an_error() -> None:
    with pytest.raises(ValueError, match="no selection of shots is called 'best'"):
        selector("best")
