"""Choose worked examples (shots) for an item."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from harness.records import Example

WORD = r"(?u)\b\w+\b"


class ShotSelector:
    """Choose ``shots`` examples of ``pool`` for each item.

    selection: ``fixed`` takes the first ones; ``random`` draws once; ``balanced`` draws once,
    going round the distinct answers; ``nearest`` takes, for each item, the most similar by
    TF-IDF cosine, the most similar last (closest to the item). An item's own group is never
    among its shots under ``nearest``, nor the item itself under any selection.

    Parameters:
        text: what the similarity compares: an example's rendered input.
        rng: the only source of randomness.
    """

    def __init__(
        self,
        pool: Sequence[Example],
        shots: int,
        selection: str,
        text: Callable[[Example], str],
        rng: np.random.Generator,
    ) -> None:
        self._pool = tuple(pool)
        self._shots = min(shots, len(self._pool))
        self._text = text
        self._nearest = selection == "nearest" and self._shots > 0
        # One spare, so that an item that is itself a shot still gets the full number.
        self._drawn: tuple[Example, ...] = ()
        if self._shots and not self._nearest:
            order = _order(self._pool, selection, rng)
            self._drawn = tuple(self._pool[i] for i in order[: self._shots + 1])
        if self._nearest:
            from sklearn.feature_extraction.text import TfidfVectorizer

            self._vectoriser = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD)
            try:
                self._matrix = self._vectoriser.fit_transform([text(e) for e in self._pool])
            except ValueError:
                # No word in the whole pool (only symbols): nothing to compare by.
                self._matrix = None

    def select(self, item: Example) -> tuple[Example, ...]:
        """The shots for ``item``, in the order in which the prompt shows them."""
        if not self._shots:
            return ()
        if not self._nearest:
            return tuple(e for e in self._drawn if e.id != item.id)[: self._shots]
        others = [
            self._pool[i]
            for i in self._ranked(item)[: self._shots + _group_size(self._pool, item)]
            if self._pool[i].group != item.group and self._pool[i].id != item.id
        ]
        return tuple(reversed(others[: self._shots]))

    def _ranked(self, item: Example) -> list[int]:
        """Indices of the pool, the most similar first."""
        if self._matrix is None:
            return list(range(len(self._pool)))
        similarity = (self._vectoriser.transform([self._text(item)]) @ self._matrix.T).toarray()[0]
        return [int(i) for i in np.argsort(-similarity, kind="stable")]


def _group_size(pool: Sequence[Example], item: Example) -> int:
    return sum(e.group == item.group or e.id == item.id for e in pool)


def _order(pool: Sequence[Example], selection: str, rng: np.random.Generator) -> list[int]:
    match selection:
        case "fixed":
            return list(range(len(pool)))
        case "random":
            return [int(i) for i in rng.permutation(len(pool))]
        case "balanced":
            return _balanced_order(pool, rng)
        case _:
            raise ValueError(f"no selection of shots is called {selection!r}")


def _balanced_order(pool: Sequence[Example], rng: np.random.Generator) -> list[int]:
    by_answer: dict[str, list[int]] = {}
    for index in rng.permutation(len(pool)).tolist():
        by_answer.setdefault(pool[index].answer, []).append(index)
    order: list[int] = []
    queues = list(by_answer.values())
    while queues:
        order.extend(queue.pop() for queue in queues)
        queues = [queue for queue in queues if queue]
    return order
