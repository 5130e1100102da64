"""How long work takes: seconds of each unit, measured on small trials or nominal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import Literal

import numpy as np

from harness.forecast.estimate import Estimate
from harness.records import ModelWork

Measure = Literal["train", "check", "score", "single", "around"]
# Operations for a weight and a token: forward 2; a token written alone in a batch costs more than
# one read with its neighbours.
FORWARD, WRITTEN = 2.0, 3.0
# Embeddings are looked up, and the output layer is computed only where an answer stands.
COMPUTING = 0.8
# A model's layers reach this share of what one large matrix product does.
REACHED = {True: 0.2, False: 0.45}
# So few samples do not tell the prices of several units, nor what a request takes beside them.
FEW = 5
# A step is never faster than its kernels can be started.
STEP_SECONDS = {True: 0.06, False: 0.0}


@dataclass(frozen=True, slots=True)
class Prices:
    """Seconds that each unit of work takes."""

    request: float
    """Seconds of a score request, whatever its size."""
    of_pass: float
    """Seconds of a call of the model, whatever its batch."""
    read: float
    """Seconds of a token of text that is read."""
    written: float
    """Seconds of a token of a reply."""
    predicted: float
    """Seconds of a position after which logits of the whole vocabulary are computed."""

    def seconds(self, work: ModelWork, requests: float = 0.0) -> float:
        """What the work takes in all."""
        return (
            self.request * requests
            + self.of_pass * work.passes
            + self.read * work.read
            + self.written * work.written
            + self.predicted * work.predicted
        )


def nominal_prices(
    parameters: int, flops: float, *, on_gpu: bool, operations: float = FORWARD
) -> Prices:
    """Prices before anything is measured.

    Args:
        parameters: weights of the model.
        flops: floating-point operations a second of a large matrix product.
        operations: for a weight and a token that is read: more in training.
    """
    token = operations * parameters * COMPUTING / (flops * REACHED[on_gpu])
    return Prices(0.0, STEP_SECONDS[on_gpu], token, WRITTEN * token, 0.0)


@dataclass(frozen=True, slots=True)
class Activity:
    """What the speed of work depends on, beside how much of it there is."""

    model: str
    """Fingerprint of the model."""
    kind: str
    """Kind of the arm, whose candidates compute alike; ``any`` where the kind makes no
    difference."""
    speed_signature: str
    """Hash of the setting, in so far as it can change the speed."""
    measure: Measure
    """Kind of work: steps of training (``train``), a check of validation loss (``check``), score
    requests in batches (``score``) or one at a time (``single``), or what is done beside scoring
    (``around``)."""
    group: str = ""
    """Name that requests have in common which ask the model in the same way; empty for work that is
    no score request."""
    writes: bool = False
    """Whether replies are generated: what only reads does not tell how long writing takes."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Work that a small trial did."""

    activity: Activity
    """What the speed depended on."""
    counted: ModelWork
    """The work as it is counted from the texts."""
    work: ModelWork
    """The work as the scorer or the training loop reported it."""
    seconds: float
    """Seconds that the work took."""


class CostModel:
    """How long work takes on this machine, learnt from small trials.

    Work is counted from texts and multiplied by what the most similar samples reported over what
    was counted for them. Its seconds are the sum of its units' prices, multiplied by the seconds
    that the most similar samples took over such a sum of their own. The prices of a kind minimise
    the squared relative errors over its samples, and none is below 0 (Lawson and Hanson 1974,
    "Solving Least Squares Problems", chapter 23).
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        # What took time and did no work says nothing of other work.
        self._samples = [s for s in samples if s.seconds > 0 and any(astuple(s.work))]
        by_kind: dict[tuple[str, str, Measure], list[Sample]] = {}
        for sample in self._samples:
            key = (sample.activity.model, sample.activity.kind, sample.activity.measure)
            by_kind.setdefault(key, []).append(sample)
        self._prices = {key: _fitted(alike) for key, alike in by_kind.items()}
        self._few = {key for key, alike in by_kind.items() if len(alike) <= FEW}

    def knows(self, activity: Activity) -> bool:
        """Whether such work was measured with this model."""
        return bool(self._most_alike(activity))

    def measured_group(self, activity: Activity) -> bool:
        """Whether requests of this group were measured with this model."""
        return any(s.activity.group == activity.group for s in self._most_alike(activity))

    def work(self, activity: Activity, counted: ModelWork) -> ModelWork:
        """The work that would be reported, from what texts tell.

        Raises:
            KeyError: no such work was measured with this model.
        """
        alike = self._known(activity)
        units = []
        for place, value in enumerate(astuple(counted)):
            from_texts = sum(astuple(sample.counted)[place] for sample in alike)
            reported = sum(astuple(sample.work)[place] for sample in alike)
            units.append(value * reported / from_texts if from_texts else 0.0)
        return ModelWork(*units)

    def seconds(self, activity: Activity, work: ModelWork) -> Estimate:
        """What the work takes.

        Raises:
            KeyError: no such work was measured with this model.
        """
        alike = self._known(activity)
        first = alike[0].activity
        key = (first.model, first.kind, first.measure)
        prices = self._prices[key]
        typical = Estimate.among(
            sample.seconds / max(1e-12, prices.seconds(sample.work, _requests(sample)))
            for sample in alike
        )
        priced = typical * prices.seconds(work, _requests(alike[0]))
        if key not in self._few:
            return priced
        bounds = [_bounds(sample, work) for sample in alike]
        return Estimate(
            priced.expected,
            min(priced.low, *(low for low, _ in bounds)),
            max(priced.high, *(high for _, high in bounds)),
        )

    def _known(self, activity: Activity) -> list[Sample]:
        alike = self._most_alike(activity)
        if not alike:
            raise KeyError(f"no sample of {activity.measure} by {activity.kind}")
        return alike

    def _most_alike(self, activity: Activity) -> list[Sample]:
        """Samples of the same measure that share most with ``activity``, all of one kind."""
        measured = [
            sample
            for sample in self._samples
            if (sample.activity.model, sample.activity.measure)
            == (activity.model, activity.measure)
        ]
        same = [sample for sample in measured if sample.activity.writes == activity.writes]
        # A few requests that are timed alone weigh little; any of them may stand in.
        if not same and activity.measure == "single":
            same = measured
        own = [sample for sample in same if sample.activity.kind == activity.kind]
        # Another kind of the same model is a fair stand-in, one that asks alike and the untouched
        # one first.
        near = [s for s in same if s.activity.group == activity.group] or same
        others = [s for s in near if s.activity.kind == near[0].activity.kind]
        conditions: tuple[tuple[list[Sample], Callable[[Activity], bool]], ...] = (
            (own, lambda a: a == activity),
            (own, lambda a: a.group == activity.group),
            (own, lambda a: a.speed_signature == activity.speed_signature),
            (own, lambda a: True),
            (others, lambda a: a.group == activity.group),
            (others, lambda a: True),
        )
        for samples, condition in conditions:
            alike = [sample for sample in samples if condition(sample.activity)]
            if alike:
                return alike
        return []


def _bounds(sample: Sample, work: ModelWork) -> tuple[float, float]:
    """Seconds of the work if all that the sample took were due to its one unit that grows least
    from the sample to the work, or most."""
    pairs = zip(astuple(work), astuple(sample.work), strict=True)
    ratios = [wanted / done for wanted, done in pairs if wanted and done]
    if not ratios:
        return math.inf, 0.0
    return sample.seconds * min(ratios), sample.seconds * max(ratios)


def _requests(sample: Sample) -> float:
    """1 for score requests, each of which takes a time of its own; else 0."""
    return float(sample.activity.measure == "score")


def _fitted(samples: Sequence[Sample]) -> Prices:
    from scipy.optimize import nnls

    seconds = np.array([sample.seconds for sample in samples])
    # A few samples cannot tell what a request takes from what its work does.
    telling = len(samples) > FEW
    units = np.array([(telling * _requests(s), *astuple(s.work)) for s in samples])
    # Units as far apart as batches and tokens are brought to one scale first.
    scale = np.maximum(units.max(axis=0), 1e-12)
    prices, _ = nnls(units / scale / seconds[:, None], np.ones(len(samples)))
    return Prices(*(prices / scale).tolist())
