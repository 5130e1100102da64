"""How long one trial takes, from its work and what small trials showed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.forecast.estimate import NOTHING, Estimate, summed
from harness.forecast.rates import Rates
from harness.forecast.samples import Measured
from harness.forecast.scoring_work import ScoreWork
from harness.forecast.trial_work import TrialWork

MIB = 2**20
# Replies of other batches may end sooner, or later, than those that were seen.
SHORTER, LONGER = 0.8, 1.5
# bytes of a trained weight: adapters are kept in fp32.
ADAPTER_BYTES = 4
DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True)
class TrialTime:
    """Seconds of one trial; ``process``: starting it and writing its record."""

    load: Estimate
    train: Estimate
    score: Estimate
    process: Estimate

    @property
    def total(self) -> Estimate:
        """All parts."""
        return summed((self.load, self.train, self.score, self.process))


class Stopwatch:
    """Works out times of trials.

    Parameters:
        measured: small trials; those that failed are of no use.
    """

    def __init__(self, measured: Iterable[Measured]) -> None:
        self._measured = [one for one in measured if not one.failure]
        self._rates = Rates([sample for one in self._measured for sample in one.samples])

    @property
    def imports_seconds(self) -> float:
        """What the first process takes longer to start than the others."""
        starts = [one.start_seconds for one in self._measured]
        return max(0.0, starts[0] - statistics.median(starts[1:])) if len(starts) > 1 else 0.0

    def knows(self, work: TrialWork) -> bool:
        """Whether a trial of this form was measured, with all that the work needs."""
        needed = {"train"} if work.training else set()
        needed |= {part.pool for _, part in work.scores}
        found = any(one.form == work.form for one in self._measured)
        return found and all(self._rates.knows(work.form, one) for one in needed)  # type: ignore[arg-type]

    def time(self, work: TrialWork) -> TrialTime:
        """Seconds of the trial.

        Raises:
            KeyError: nothing like it was measured; see :meth:`knows`.
        """
        if not self._measured and not work.asks:
            return TrialTime(NOTHING, NOTHING, NOTHING, NOTHING)
        alike = self._alike(work)
        later = self._measured[1:] or self._measured
        return TrialTime(
            load=Estimate.among(one.load_seconds for one in alike),
            train=self._training(work, alike),
            score=self._scoring(work),
            process=Estimate.exactly(
                statistics.median(one.start_seconds for one in later)
                + statistics.median(one.other_seconds for one in self._measured)
            ),
        )

    def steps(self, work: TrialWork, part: ScoreWork) -> Estimate:
        """Steps of generation until a batch's last reply has ended."""
        if not part.room:
            return NOTHING
        learnt = work.training is not None and part.group == "domain"
        if learnt or part.pool == "single":
            # A trained candidate answers as it was taught, or goes on until there is no room.
            usual = float(min(part.room, work.answer[1]))
            if learnt:
                return Estimate(usual, min(usual, work.answer[0]), part.room)
        group = "domain" if part.pool == "single" else part.group
        rows = 1.0 if part.pool == "single" else part.rows / max(1.0, part.batches)
        seen = [_longest_of(lengths, rows) for lengths in self._replies_seen(work, group)]
        if not seen:
            return Estimate(part.room / 2, part.room / 8, part.room)
        mean = math.fsum(seen) / len(seen)
        return Estimate(
            min(part.room, mean),
            min(part.room, SHORTER * min(seen)),
            min(part.room, LONGER * max(seen)),
        )

    def artifact_mib(self, work: TrialWork) -> float:
        """Size of the trained weights."""
        if work.spec.kind == "prompt":
            return 0.0
        one = self._alike(work)[0]
        if work.spec.kind == "full":
            return one.total_parameters * DTYPE_BYTES[work.spec.runtime.dtype] / MIB
        return one.trainable_parameters * ADAPTER_BYTES / MIB

    def _replies_seen(self, work: TrialWork, group: str) -> list[tuple[int, ...]]:
        seen = [
            (one.work.manner, one.work.spec.arm, lengths)
            for one in self._measured
            if one.form == work.form
            for name, lengths in one.replies
            if name == group and lengths
        ]
        own = [lengths for manner, _, lengths in seen if manner == work.manner]
        arm = [lengths for _, arm, lengths in seen if arm == work.spec.arm]
        return own or arm or [lengths for *_, lengths in seen]

    def _alike(self, work: TrialWork) -> Sequence[Measured]:
        same = [one for one in self._measured if one.form == work.form]
        if not same and not work.asks:
            # All its scores are known: it loads its model, as others do, and ends.
            return self._measured
        if not same:
            raise KeyError(f"no trial of kind {work.form.kind} was measured")
        return [one for one in same if one.work.manner == work.manner] or same

    def _training(self, work: TrialWork, alike: Sequence[Measured]) -> Estimate:
        if work.training is None:
            return NOTHING
        form, manner, training = work.form, work.manner, work.training
        units = (float(len(training.steps)), math.fsum(training.steps))
        total = Estimate.among(one.training_start for one in alike)
        total = total + self._rates.seconds(form, "train", units, manner=manner)
        if training.checks and self._rates.knows(form, "check"):
            check = self._rates.seconds(form, "check", training.check, manner=manner)
            total = total + check * training.checks
        if work.spec.keep_artifact:
            writing = Estimate.among(one.writing for one in alike)
            total = total + writing * self.artifact_mib(work)
        return total

    def _scoring(self, work: TrialWork) -> Estimate:
        if not work.scores:
            return NOTHING
        total = NOTHING
        for _, part in work.scores:
            steps = self.steps(work, part)
            times = [
                self._rates.seconds(
                    work.form, part.pool, part.units(one), manner=work.manner, group=part.group
                )
                for one in (steps.expected, steps.low, steps.high)
            ]
            total = total + Estimate(times[0].expected, times[1].low, times[2].high)
        return total + self._around(work)

    def _around(self, work: TrialWork) -> Estimate:
        """Building tasks, and measuring the base's language before training."""
        rest = [
            (one.form, sample.units, sample.seconds)
            for one in self._measured
            for sample in one.samples
            if sample.measure == "rest"
        ]
        plain = [seconds / units[1] for _, units, seconds in rest if not units[2]]
        each = statistics.median(plain) if plain else 0.0
        total = Estimate.exactly(each * len(work.scores))
        texts = sum(part.batches for _, part in work.scores if part.pool == "divergence")
        measured = [
            max(0.0, seconds - each * units[1]) / units[2]
            for form, units, seconds in rest
            if form == work.form and units[2]
        ]
        if texts and measured:
            total = total + Estimate.among(measured) * texts
        return total


def _longest_of(lengths: Sequence[int], rows: float) -> float:
    """Expected length of the longest of ``rows`` replies drawn from those seen."""
    ordered = sorted(lengths)
    count = len(ordered)
    below = [(n / count) ** rows for n in range(count + 1)]
    return math.fsum(
        length * (after - before)
        for length, before, after in zip(ordered, below, below[1:], strict=False)
    )
