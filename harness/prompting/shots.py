"""Choose worked examples (shots) for an item."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from harness.prompting.similarity import Similarity, similarity, top
from harness.records import Example, whole_conversations

ORDERS = ("selected", "reversed", "shuffled")
BY_ITEM = ("nearest", "bm25")


class ShotSelector:
    """Choose ``shots`` examples of ``pool`` for each item.

    An item is never among its own shots, nor under ``nearest`` and ``bm25`` any of its group. Of
    conversations whole ones are shown, and none of which the item is a turn.
    Without shots selection and order make no difference, nor does the order of a single one.

    Args:
        selection: ``fixed`` takes the first ones; ``random`` draws once; ``balanced`` draws
            once, going round the distinct answers; ``nearest`` and ``bm25`` take, for each
            item, the most similar by TF-IDF cosine or by BM25, the most similar last (closest
            to the item).
        order: ``selected`` as above; ``reversed``; ``shuffled``, drawn once for selections that
            are the same for all items, and for each item by its id where they differ.
        text: what the similarity compares: an example's rendered input.
        rng: the only source of randomness.
        answer: what makes an example's answer distinct from others.

    Raises:
        ValueError: an unknown selection or order.
    """

    def __init__(
        self,
        pool: Sequence[Example],
        shots: int,
        selection: str,
        text: Callable[[Example], str],
        rng: np.random.Generator,
        order: str = "selected",
        answer: Callable[[Example], str] = lambda example: example.answer,
    ) -> None:
        if order not in ORDERS:
            raise ValueError(f"no order of shots is called {order!r}")
        self._pool = whole_conversations(pool)
        self._shots = min(shots, len(self._pool))
        self._text = text
        self._order = order
        self._drawn: tuple[Example, ...] = ()
        self._likeness: Similarity | None = None
        if self._shots and selection in BY_ITEM:
            self._likeness = similarity(selection, [text(example) for example in self._pool])
        elif self._shots:
            # One spare, so that an item that is itself a shot still gets the full number.
            places = _drawing(self._pool, selection, rng, answer)[: self._shots + 1]
            self._drawn = tuple(self._pool[place] for place in places)
        self._groups: defaultdict[str, set[int]] = defaultdict(set)
        self._places: defaultdict[str, set[int]] = defaultdict(set)
        for place, example in enumerate(self._pool):
            self._groups[example.group].add(place)
            self._places[example.id].add(place)
        self._permutation: list[int] = []
        self._salt = 0
        if order == "shuffled":
            self._permutation = rng.permutation(self._shots).tolist()
            self._salt = int(rng.integers(2**63))

    def select(self, item: Example) -> tuple[Example, ...]:
        """The shots for ``item``, in the order in which the prompt shows them."""
        if not self._shots:
            return ()
        if self._likeness is None:
            chosen = tuple(e for e in self._drawn if not _same(e, item))[: self._shots]
        else:
            chosen = self._most_similar(item, self._likeness)
        match self._order:
            case "reversed":
                return chosen[::-1]
            case "shuffled":
                return tuple(chosen[place] for place in self._shuffle(item, len(chosen)))
        return chosen

    def _most_similar(self, item: Example, likeness: Similarity) -> tuple[Example, ...]:
        scores = likeness(self._text(item))
        own = self._groups.get(item.group, set()) | self._places.get(item.id, set())
        scores[list(own)] = -np.inf
        count = min(self._shots, len(self._pool) - len(own))
        return tuple(self._pool[place] for place in reversed(top(scores, count)))

    def _shuffle(self, item: Example, count: int) -> list[int]:
        if self._likeness is None:
            return [place for place in self._permutation if place < count]
        digest = hashlib.sha256(item.id.encode()).digest()
        seed = [self._salt, int.from_bytes(digest[:8], "little")]
        return [int(place) for place in np.random.default_rng(seed).permutation(count)]


def _same(one: Example, other: Example) -> bool:
    if one.conversation:
        return one.conversation == other.conversation
    return one.id == other.id


def _drawing(
    pool: Sequence[Example],
    selection: str,
    rng: np.random.Generator,
    answer: Callable[[Example], str],
) -> list[int]:
    match selection:
        case "fixed":
            return list(range(len(pool)))
        case "random":
            return [int(i) for i in rng.permutation(len(pool))]
        case "balanced":
            return _balanced_order(pool, rng, answer)
        case _:
            raise ValueError(f"no selection of shots is called {selection!r}")


def _balanced_order(
    pool: Sequence[Example], rng: np.random.Generator, answer: Callable[[Example], str]
) -> list[int]:
    by_answer: dict[str, list[int]] = {}
    for index in rng.permutation(len(pool)).tolist():
        by_answer.setdefault(answer(pool[index]), []).append(index)
    order: list[int] = []
    queues = list(by_answer.values())
    while queues:
        order.extend(queue.pop() for queue in queues)
        queues = [queue for queue in queues if queue]
    return order
