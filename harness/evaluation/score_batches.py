"""Ask a task's items batch by batch, so that whoever watches may stop in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Answered:
    """One item of a batch."""

    place: int
    """Place of the item in the set, from 0."""
    value: float
    """Its value of the watched metric."""
    tokens: int
    """Tokens of its prompts and replies."""


Watch = Callable[[Sequence[Answered]], None]
"""Told of every wave; raises to stop the scoring."""


class ScoreBatches:
    """An lm-eval model that answers as ``lm`` does, ``size`` items at a time.

    The order of items is drawn once for their number, so that it is the same for every candidate:
    any first batches are a fair sample, and two candidates can be compared on the same items.

    Args:
        task: the lm-eval task that the requests belong to; its ``process_results`` values them.
        metric: the watched metric of the task.
    """

    def __init__(self, lm: Any, task: Any, metric: str, size: int, watch: Watch) -> None:
        self._lm = lm
        self._task = task
        self._metric = metric
        self._size = size
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lm, name)

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[Any]:
        """Replies in the order of ``requests``."""
        return self._ask("generate_until", requests)

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[Any]:
        """(log-likelihood, greedy) pairs in the order of ``requests``."""
        return self._ask("loglikelihood", requests)

    def _ask(self, method: str, requests: Sequence[Any]) -> list[Any]:
        by_item: dict[int, list[int]] = {}
        for index, request in enumerate(requests):
            by_item.setdefault(request.doc_id, []).append(index)
        places = list(by_item)
        order = [places[n] for n in np.random.default_rng(0).permutation(len(places)).tolist()]
        answers: list[Any] = [None] * len(requests)
        for start in range(0, len(order), self._size):
            wave = order[start : start + self._size]
            indices = [index for place in wave for index in by_item[place]]
            wave_answers = getattr(self._lm, method)(
                [requests[n] for n in indices], disable_tqdm=True
            )
            for index, answer in zip(indices, wave_answers, strict=True):
                answers[index] = answer
            self._watch([self._answered(place, requests, answers, by_item) for place in wave])
        return answers

    def _answered(
        self,
        place: int,
        requests: Sequence[Any],
        answers: Sequence[Any],
        by_item: dict[int, list[int]],
    ) -> Answered:
        mine = by_item[place]
        first = requests[mine[0]]
        results = [answers[n] for n in mine]
        value = self._task.process_results(first.doc, results)[self._metric]
        reply = results[0] if isinstance(results[0], str) else ""
        tokens = sum(self._lm.count_tokens(str(first.arguments[0]), reply))
        return Answered(place, float(value), tokens)
