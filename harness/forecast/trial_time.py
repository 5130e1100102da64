"""How long one trial takes, from its workload and what small trials showed."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.forecast.cost_model import CostModel
from harness.forecast.estimate import NOTHING, Estimate, summed
from harness.forecast.measured import Measured, around_scores, base_form
from harness.forecast.memory import MIB
from harness.forecast.score_load import ScoreLoad
from harness.forecast.workload import Workload, computes_alike
from harness.records import ModelWork
from harness.spec.kinds import kind_info

# Replies of other batches may end sooner, or later, than those that were seen; of other requests
# next to nothing is known.
SHORTER, LONGER = 0.8, 1.5
UNSEEN_SHORTER, UNSEEN_LONGER = 0.25, 2.0
# Bytes of a trained weight: adapters are kept in fp32.
ADAPTER_BYTES = 4
DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True)
class TrialTime:
    """Seconds of one trial."""

    load: Estimate = NOTHING
    """Seconds of loading the model; 0 where a server is asked."""
    train: Estimate = NOTHING
    """Seconds of training, checks of validation loss included; 0 where nothing is trained."""
    score: Estimate = NOTHING
    """Seconds of scoring; 0 where all scores are known."""
    process: Estimate = NOTHING
    """Seconds of starting the process and writing its record; 0 where a server is asked."""

    @property
    def total(self) -> Estimate:
        """All parts."""
        return summed((self.load, self.train, self.score, self.process))


class Stopwatch:
    """Works out times of trials.

    Args:
        measured: small trials; those that failed are of no use.
    """

    def __init__(self, measured: Iterable[Measured]) -> None:
        self._measured = [small for small in measured if not small.failure]
        self._costs = CostModel([sample for small in self._measured for sample in small.samples])

    @property
    def imports_seconds(self) -> float:
        """What the first process takes longer to start than the others."""
        starts = [small.start_seconds for small in self._measured]
        return max(0.0, starts[0] - statistics.median(starts[1:])) if len(starts) > 1 else 0.0

    @property
    def first_loads_seconds(self) -> float:
        """What loading each base takes the first time beyond what it takes once it is in memory."""
        firsts = {base_form(small.whole.spec): small for small in reversed(self._measured)}
        return sum(
            max(0.0, small.load_seconds - self._loading(small.whole).expected)
            for small in firsts.values()
        )

    def knows(self, load: Workload) -> bool:
        """Whether a trial of this kind was measured, with all that the workload needs."""
        needed = [load.scoring(score) for _, score in load.scores]
        if load.training:
            needed.append(load.activity("train"))
        return bool(self._same_kind(load)) and all(map(self._costs.knows, needed))

    def time(self, load: Workload) -> TrialTime:
        """Seconds of the trial.

        Raises:
            KeyError: nothing like it was measured; see :meth:`knows`.
        """
        if not self._measured and not load.asks:
            return TrialTime()
        later = self._measured[1:] or self._measured
        return TrialTime(
            load=self._loading(load) if load.loads else NOTHING,
            train=self._training(load),
            score=self._scoring(load),
            process=Estimate.exactly(
                statistics.median(small.start_seconds for small in later)
                + statistics.median(small.other_seconds for small in self._measured)
            ),
        )

    def artifact_mib(self, load: Workload) -> float:
        """Size of the trained weights."""
        small = self._alike(load)[0]
        whole = small.trainable_parameters == small.total_parameters
        size = DTYPE_BYTES[load.spec.runtime.dtype] if whole else ADAPTER_BYTES
        return small.trainable_parameters * size / MIB

    def _same_kind(self, load: Workload) -> list[Measured]:
        return [small for small in self._measured if computes_alike(small.whole.spec, load.spec)]

    def _alike(self, load: Workload) -> Sequence[Measured]:
        same = self._same_kind(load)
        if not same and not load.asks:
            # All its scores are known: it loads its model, as others do, and ends.
            return self._measured
        if not same:
            raise KeyError(f"no trial of kind {load.spec.kind} was measured")
        signature = load.speed_signature
        return [small for small in same if small.whole.speed_signature == signature] or same

    def _loading(self, load: Workload) -> Estimate:
        """Seconds until a trial has its model, whose base its process has in memory.

        Where that was not measured of its base, it may take as long as elsewhere, or as loading.
        """
        alike = self._alike(load)
        form = base_form(load.spec)
        own = [small for small in (*alike, *self._measured) if base_form(small.whole.spec) == form]
        for kept in ([small for small in alike if small.kept], [s for s in own if s.kept]):
            if kept:
                return Estimate.among(small.load_seconds for small in kept)
        anew = Estimate.among(small.load_seconds for small in own or alike)
        others = [small.load_seconds for small in self._measured if small.kept]
        if not others:
            return anew
        return Estimate(min(max(others), anew.expected), min(*others, anew.low), anew.high)

    def _training(self, load: Workload) -> Estimate:
        if load.training is None:
            return NOTHING
        steps = load.activity("train")
        total = Estimate.among(small.training_start for small in self._alike(load))
        total += self._costs.seconds(steps, self._costs.work(steps, load.training.counted))
        check = load.activity("check")
        if load.training.checks and self._costs.knows(check):
            total += self._costs.seconds(check, load.training.check * load.training.checks)
        return total

    def _scoring(self, load: Workload) -> Estimate:
        if not load.scores:
            return NOTHING
        total = summed(self._score(load, score) for _, score in load.scores)
        around = load.activity("around")
        if self._costs.knows(around):
            total += self._costs.seconds(around, around_scores(load))
        return total

    def _score(self, load: Workload, score: ScoreLoad) -> Estimate:
        activity = load.scoring(score)
        work = self._costs.work(activity, score.counted)
        shorter, longer = self._reply_range(load, score, work)
        least, expected, most = (
            self._costs.seconds(
                activity,
                replace(work, passes=work.passes * times, written=work.written * times,
                        predicted=work.predicted * times),
            )
            for times in (shorter, 1.0, longer)
        )  # fmt: skip
        return Estimate(expected.expected, least.low, most.high)

    def _reply_range(
        self, load: Workload, score: ScoreLoad, work: ModelWork
    ) -> tuple[float, float]:
        """Factors by which replies may be shorter, and longer, than expected."""
        if not score.answer_limit:
            return 1.0, 1.0
        if kind_info(load.spec.kind).trains and not score.group.startswith("general"):
            # A trained candidate answers as it was taught, or goes on until there is no room.
            mean, longest = load.answer
            return min(1.0, mean / longest), max(1.0, score.answer_limit / longest)
        mean = 1 + work.written / score.items
        bound = max(1.0, score.answer_limit / mean)
        if self._costs.measured_group(load.scoring(score)):
            return SHORTER, min(LONGER, bound)
        return UNSEEN_SHORTER, min(UNSEEN_LONGER, bound)
