"""Shots are chosen as the selection says, and never give the item's own answer away."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.prompting import ShotSelector
from harness.prompting.similarity import WORD, bm25, top
from harness.records import Example
from tests.tiny_model import message

SELECTIONS = ["fixed", "random", "balanced", "nearest", "bm25"]
BY_ITEM = ["nearest", "bm25"]
ORDERS = ["selected", "reversed", "shuffled"]
POOL = tuple(message(f"p{i}", f"word{i} common", "abc"[(i > 8) + (i > 10)]) for i in range(12))
NEW = message("new", "word3 common", "a")


def selector(
    selection: str,
    shots: int = 4,
    pool: Sequence[Example] = POOL,
    seed: int = 0,
    order: str = "selected",
) -> ShotSelector:
    rng = np.random.default_rng(seed)
    return ShotSelector(pool, shots, selection, lambda item: item.inputs["text"], rng, order)


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


@pytest.mark.parametrize("selection", BY_ITEM)
def test_the_most_similar_is_last(selection: str) -> None:
    pool = (
        message("far", "nothing alike here", "a"),
        message("near", "the red parcel came late", "b"),
        message("same", "the red parcel came very late", "a"),
        message("half", "the parcel", "b"),
    )
    item = message("i", "the red parcel came very late", "?")
    assert ids(selector(selection, 3, pool).select(item)) == ["half", "near", "same"]


@pytest.mark.parametrize("selection", BY_ITEM)
def test_the_items_own_group_is_left_out(selection: str) -> None:
    item = message("i", "red parcel", "?", group="order-7")
    siblings = tuple(message(f"s{i}", "red parcel", "a", group="order-7") for i in range(5))
    others = tuple(message(f"o{i}", f"red thing {i}", "b") for i in range(3))
    assert sorted(ids(selector(selection, 3, siblings + others).select(item))) == ["o0", "o1", "o2"]
    # Unlike text in the group costs no shot either.
    odd = tuple(message(f"d{i}", "x", "a", group="order-7") for i in range(5))
    assert len(selector(selection, 3, odd + others).select(item)) == 3


def word_pool() -> list[Example]:
    """Texts of a few words that occur unequally often, in groups of four or five."""
    rng = np.random.default_rng(3)
    words = [f"w{i}" for i in range(12)]
    share = np.arange(1, 13) / 78
    return [
        message(f"p{i}", " ".join(rng.choice(words, 3 + i % 5, p=share)), "a", group=f"g{i % 9}")
        for i in range(40)
    ]


def test_nearest_agrees_with_the_definition() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    pool = word_pool()
    choose = selector("nearest", 5, pool)
    vectoriser = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD)
    matrix = vectoriser.fit_transform(e.inputs["text"] for e in pool).toarray()
    for item in pool[:10]:
        similarity = matrix @ vectoriser.transform([item.inputs["text"]]).toarray()[0]
        allowed = [similarity[i] for i, e in enumerate(pool) if e.group != item.group]
        found = [similarity[pool.index(e)] for e in choose.select(item)]
        assert found == pytest.approx(sorted(allowed)[-5:])


def lucene_bm25(pool: Sequence[Example], item: Example) -> list[float]:
    """BM25 of each text of the pool, word by word as the formula says."""
    texts = [Counter(e.inputs["text"].split()) for e in pool]
    mean = sum(text.total() for text in texts) / len(texts)
    found = []
    for text in texts:
        score = 0.0
        for word in item.inputs["text"].split():
            having = sum(word in other for other in texts)
            rarity = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
            length = 1 - 0.75 + 0.75 * text.total() / mean
            score += rarity * text[word] / (text[word] + 1.5 * length)
        found.append(score)
    return found


def test_bm25_agrees_with_the_definition() -> None:
    pool = word_pool()
    choose = selector("bm25", 5, pool)
    for item in pool[:10]:
        score = lucene_bm25(pool, item)
        allowed = [score[i] for i, e in enumerate(pool) if e.group != item.group]
        found = [score[pool.index(e)] for e in choose.select(item)]
        assert found == pytest.approx(sorted(allowed)[-5:], rel=1e-5)


def test_bm25_and_nearest_differ_where_texts_differ_in_length() -> None:
    shown = [selector(name, 5, word_pool()).select(word_pool()[0]) for name in BY_ITEM]
    assert shown[0] != shown[1]


def test_words_that_the_pool_lacks_do_not_count() -> None:
    likeness = bm25(["red parcel", "blue box"])
    assert likeness("unheard of").tolist() == likeness("").tolist() == [0.0, 0.0]
    first, second = likeness("a RED thing")
    assert first > second == 0.0


@given(
    scores=st.lists(st.integers(0, 4), min_size=1, max_size=30),
    count=st.integers(0, 30),
)
def test_top_is_the_head_of_a_stable_sort(scores: list[int], count: int) -> None:
    values = np.array(scores, dtype=np.float64)
    count = min(count, len(scores))
    assert top(values, count) == np.argsort(-values, kind="stable")[:count].tolist()


# --------------------------------------------------------------------------- order


@pytest.mark.parametrize("selection", SELECTIONS)
def test_reversed_turns_the_selected_order_round(selection: str) -> None:
    backwards = selector(selection, order="reversed")
    for item in (NEW, POOL[0], POOL[3]):
        assert ids(backwards.select(item)) == ids(selector(selection).select(item))[::-1]


@pytest.mark.parametrize("selection", SELECTIONS)
def test_shuffled_shows_the_same_shots_in_an_order_of_the_seed(selection: str) -> None:
    selected = ids(selector(selection, 5).select(NEW))
    shown = set()
    for seed in range(40):
        # A seed also draws other shots under these, so the selected ones are drawn with it.
        if selection in ("random", "balanced"):
            selected = ids(selector(selection, 5, seed=seed).select(NEW))
        found = ids(selector(selection, 5, seed=seed, order="shuffled").select(NEW))
        assert found == ids(selector(selection, 5, seed=seed, order="shuffled").select(NEW))
        assert sorted(found) == sorted(selected)
        shown.add(tuple(selected.index(identity) for identity in found))
    # 40 draws of 120 orders.
    assert len(shown) > 20


@pytest.mark.parametrize("selection", SELECTIONS)
def test_shuffling_differs_between_items_only_where_their_shots_do(selection: str) -> None:
    choose = selector(selection, 5, order="shuffled")
    plain = selector(selection, 5)
    orders = set()
    for number in range(20):
        item = message(f"i{number}", "common", "a")
        selected = ids(plain.select(item))
        orders.add(tuple(selected.index(identity) for identity in ids(choose.select(item))))
    assert len(orders) > 10 if selection in BY_ITEM else len(orders) == 1


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("selection", SELECTIONS)
def test_without_shots_neither_selection_nor_order_makes_a_difference(
    selection: str, order: str
) -> None:
    assert selector(selection, 0, order=order).select(NEW) == ()


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_a_single_shot_makes_no_difference(order: str) -> None:
    for selection in SELECTIONS:
        expected = selector(selection, 1).select(NEW)
        assert selector(selection, 1, order=order).select(NEW) == expected


def test_an_unknown_order_is_an_error() -> None:
    with pytest.raises(ValueError, match="no order of shots is called 'sorted'"):
        selector("random", order="sorted")


# --------------------------------------------------------------------------- every selection


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("selection", SELECTIONS)
def test_an_item_is_never_its_own_shot_and_still_gets_all(selection: str, order: str) -> None:
    choose = selector(selection, order=order)
    for item in POOL:
        shown = ids(choose.select(item))
        assert item.id not in shown
        assert len(set(shown)) == len(shown) == 4


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_small_pool_gives_what_it_has(selection: str, order: str) -> None:
    few = selector(selection, 9, POOL[:3], order=order)
    assert sorted(ids(few.select(NEW))) == ["p0", "p1", "p2"]
    assert sorted(ids(few.select(POOL[0]))) == ["p1", "p2"]
    assert selector(selection, 3, POOL[:1]).select(POOL[0]) == ()
    assert selector(selection, 3, ()).select(NEW) == ()
    assert selector(selection, 0).select(NEW) == ()


@pytest.mark.parametrize("selection", BY_ITEM)
def test_a_pool_without_words_still_gives_shots_of_other_groups(selection: str) -> None:
    pool = tuple(message(f"p{i}", "!? :-)", "a", group=f"g{i // 2}") for i in range(6))
    shown = selector(selection, 3, pool).select(pool[0])
    assert len(shown) == 3
    assert "g0" not in {e.group for e in shown}


def test_an_unknown_selection_is_an_error() -> None:
    with pytest.raises(ValueError, match="no selection of shots is called 'best'"):
        selector("best")
