"""How long the rest of a study takes, learnt from the trials of it that have ended.

Nothing is measured for it and nothing is taken from other machines: a trial like one that ended
takes as long as that one did; one that is scored on more items, as much longer as these items took
in its arm so far. Of arms of which nothing like it has run yet no time is claimed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from harness.records import Phase, TrialCost, TrialRecord, TrialSummary
from harness.study.asked_models import BASE
from harness.study.coming import Coming
from harness.wording import listed, plural, rough_duration

# A request alone takes longer than its share of a batch; until some were timed.
ALONE = 4.0
# Characters of names that a line of progress has room for.
LONGEST_NAMES = 24
_TASK = ("domain", "out_of_domain")


@dataclass(frozen=True, slots=True)
class Took:
    """What a trial that ended took."""

    arm: str
    """Name of the arm, or of the untouched base."""
    phase: Phase
    """What it was run for."""
    seconds: float
    """Wall time from its start to its end."""
    train_seconds: float
    """Wall time of training."""
    items: int
    """Items of the user's task that it was scored on anew."""
    item_seconds: float
    """Wall time of scoring these."""
    other_seconds: float
    """Wall time of its other scores: general tasks, divergence, memorisation."""

    @property
    def around(self) -> float:
        """Seconds that grow with nothing: start, loading, writing."""
        known = self.train_seconds + self.item_seconds + self.other_seconds
        return max(0.0, self.seconds - known)


def took_of_record(record: TrialRecord, seconds: float) -> Took:
    """What a trial took, as the coordinator saw it.

    Args:
        seconds: wall time from its start to its end.
    """
    own = [score for score in record.scores if score.suite in _TASK]
    return _took(
        record.spec.arm,
        record.spec.phase,
        seconds,
        record.cost,
        sum(len(score.outputs) for score in own),
        math.fsum(score.seconds for score in own),
    )


def took_of_summary(trial: TrialSummary, seconds: float) -> Took:
    """What a trial took, as the store has it.

    Args:
        seconds: wall time from its start to its end.
    """
    scores = {(one.suite, one.task, one.split): one for one in trial.aggregates if not one.reused}
    own = [score for (suite, _, _), score in scores.items() if suite in _TASK]
    return _took(
        trial.arm,
        trial.phase,
        seconds,
        trial.cost,
        sum(score.items for score in own),
        math.fsum(score.seconds for score in own if math.isfinite(score.seconds)),
    )


def _took(
    arm: str, phase: Phase, seconds: float, cost: TrialCost | None, items: int, own: float
) -> Took:
    if cost is None:
        return Took(arm, phase, seconds, 0.0, items, own, 0.0)
    other = max(0.0, cost.score_seconds - own)
    return Took(arm, phase, seconds, cost.train_seconds, items, own, other)


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a study."""

    seconds: float
    """Seconds of the trials of which something is known."""
    unknown: tuple[str, ...]
    """Arms of which nothing is known yet that tells how long their trials take."""

    def sentence(self) -> str:
        """In words, as short as a line of progress."""
        if not self.unknown:
            if self.seconds < 60:
                return "less than a minute left"
            return f"about {rough_duration(self.seconds)} left"
        names = listed(self.unknown)
        if len(names) > LONGEST_NAMES:
            names = plural(len(self.unknown), "arm")
        if self.seconds < 60:
            return f"time left not known before {names} ran"
        return f"over {rough_duration(self.seconds)} left ({names} not timed yet)"


class Remaining:
    """Learns from trials as they end."""

    def __init__(self) -> None:
        self._took: list[Took] = []

    def learn(self, took: Took) -> None:
        """A trial ended."""
        self._took.append(took)

    def left(self, coming: Iterable[Coming], at_once: float = 1.0) -> Left:
        """What trials take that have not ended.

        Args:
            coming: the study's trials, without those that have ended.
            at_once: how many run side by side.
        """
        seconds, unknown = 0.0, dict[str, None]()
        for trials in coming:
            each = self.seconds(trials)
            if each is None:
                unknown[trials.arm] = None
            else:
                seconds += trials.number * each
        return Left(seconds / max(1.0, at_once), tuple(unknown))

    def seconds(self, coming: Coming) -> float | None:
        """Seconds of one of these trials; None where nothing like it has ended."""
        own = self._of(arm=coming.arm)
        if alike := [took for took in own if took.phase == coming.phase]:
            # Of final runs the first may have had no training to do.
            trained = [took for took in alike if bool(took.train_seconds) == coming.trains]
            return fmean(took.seconds for took in trained or alike)
        if not coming.kind.language_model:
            # It is fitted in a moment; beside that, its process starts as the base's did.
            return _mean(self._of(arm=BASE), lambda took: took.around)
        if coming.phase == "latency":
            return self._timed(own, coming.items)
        if not own:
            own = self._stand_ins(coming)
        if not own:
            return None
        return self._built(own, coming)

    def _of(self, *, arm: str) -> list[Took]:
        return [took for took in self._took if took.arm == arm]

    def _stand_ins(self, coming: Coming) -> list[Took]:
        """Trials of other arms that do the same kinds of work."""
        others = [took for took in self._took if took.phase != "latency"]
        if coming.trains or coming.kind.fine_tuned:
            return [took for took in others if took.train_seconds > 0]
        return [took for took in others if not took.train_seconds and took.items]

    def _timed(self, own: Sequence[Took], items: int) -> float | None:
        timed = [took.seconds for took in self._took if took.phase == "latency"]
        if timed:
            return fmean(timed)
        around = _mean(own, lambda took: took.around)
        return None if around is None else around + ALONE * items * _an_item(own)

    def _built(self, alike: Sequence[Took], coming: Coming) -> float:
        """A trial put together from the parts of others."""
        seconds = fmean(took.around for took in alike) + _an_item(alike) * coming.items
        if coming.trains:
            trained = [took.train_seconds for took in alike if took.train_seconds]
            seconds += fmean(trained) if trained else 0.0
        if coming.kind.fine_tuned and coming.phase == "finalist":
            # It is asked the general tasks that the base was asked.
            seconds += _mean(self._of(arm=BASE), lambda took: took.other_seconds) or 0.0
        elif coming.kind.fine_tuned and coming.phase == "search":
            seconds += fmean(took.other_seconds for took in alike)
        return seconds


def without(coming: Iterable[Coming], ended: Iterable[tuple[str, Phase]]) -> list[Coming]:
    """What is left of ``coming`` once trials of these arms and phases have ended."""
    done = Counter(ended)
    left = []
    for trials in coming:
        taken = min(trials.number, done[trials.arm, trials.phase])
        done[trials.arm, trials.phase] -= taken
        if trials.number > taken:
            left.append(replace(trials, number=trials.number - taken))
    return left


def _an_item(took: Sequence[Took]) -> float:
    """Mean seconds of an item of the user's task."""
    items = sum(one.items for one in took)
    return math.fsum(one.item_seconds for one in took) / items if items else 0.0


def _mean(took: Sequence[Took], part: Callable[[Took], float]) -> float | None:
    return fmean(map(part, took)) if took else None


__all__ = ["Left", "Remaining", "Took", "took_of_record", "took_of_summary", "without"]
