"""How long one request takes an arm: from the trials that timed single requests, and no others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from harness.analysis.statistics.scores import Scores, aggregates
from harness.findings import ArmSummary, Interval, Latency, TimedTurn
from harness.records import TrialSummary
from harness.wording import per_cent

Floats = NDArray[np.float64]

LEVEL = 0.95
# Half a processor is more than a system's own housekeeping takes, and on the machines of two to
# four processors that small models run on it is what slows a request down noticeably.
BUSY_CORES = 0.5
# Two turns on a quiet machine differ by a few per cent.
DRIFT = 0.2
# Turns follow one another at once; after so long a pause they are another sitting.
PAUSE = timedelta(minutes=10)


def timed_trials(scores: Scores, arm: str) -> list[TrialSummary]:
    """The trials that timed a finalist which counts, the latest of each turn.

    What was timed is kept where the same could not be timed again, as its weights are gone.
    """
    final = [(trial.seed, trial.params) for trial in scores.finalists(arm)]
    latest: dict[int, TrialSummary] = {}
    for trial in scores.trials(arm, "latency"):
        before = latest.get(trial.number)
        newer = before is None or _worth(before) <= _worth(trial)
        if newer and (trial.seed, trial.params) in final:
            latest[trial.number] = trial
    return [latest[turn] for turn in sorted(latest)]


def _worth(trial: TrialSummary) -> tuple[bool, str]:
    return trial.status == "complete", trial.ended_at


def measured_latency(timed: Iterable[TrialSummary]) -> Latency | None:
    """Seconds of a request over all turns; None where no turn ended well.

    The interval is Student's for the mean over items, each item's seconds averaged over the turns
    first; it is widened to hold the mean of every turn, so that a drift between them shows in it.
    Where a turn asks fewer items, turns are compared by what all of them asked, and the mean of one
    is what all items would have taken then.
    """
    measured = [
        (np.array(aggregate.latencies, dtype=np.float64), trial)
        for trial in timed
        if trial.status == "complete"
        for aggregate in aggregates([trial], "latency", "test", "seconds")
        if aggregate.latencies
    ]
    if not measured:
        return None
    seconds = [second for second, _ in measured]
    everything = np.concatenate(seconds)
    items, drifts = _by_item(seconds)
    mean, half = float(items.mean()), 0.0
    if len(items) > 1:
        error = float(items.std(ddof=1)) / math.sqrt(len(items))
        half = float(stdtrit(len(items) - 1, (1 + LEVEL) / 2)) * error
    turns = tuple(
        TimedTurn(mean * drift, _noted(trial, "other_cores"), trial.started_at, trial.ended_at)
        for drift, (_, trial) in zip(drifts, measured, strict=True)
    )
    low, high = min(turn.mean for turn in turns), max(turn.mean for turn in turns)
    return Latency(
        requests=len(everything),
        mean=mean,
        interval=Interval(max(0.0, min(mean - half, low)), max(mean + half, high), LEVEL),
        median=float(np.quantile(everything, 0.5)),
        p95=float(np.quantile(everything, 0.95)),
        cores=max(_noted(trial, "cores") for _, trial in measured),
        turns=turns,
    )


def _by_item(turns: Sequence[Floats]) -> tuple[Floats, list[float]]:
    """Seconds of each item, averaged over the turns that asked it, and by how much each turn was
    slower (above 1) or faster than that average, by the items that all turns asked.

    All turns hold the same items in the same order, or every so-manieth of the longest turn's.
    Where the numbers fit no such step, every request is taken as an item of its own.
    """
    most = max(map(len, turns))
    asked = [range(0, most, -(-most // len(turn))) for turn in turns]
    if any(len(items) != len(turn) for items, turn in zip(asked, turns, strict=True)):
        everything = np.concatenate(turns)
        return everything, [float(turn.mean() / everything.mean()) for turn in turns]
    seconds = np.full((len(turns), most), np.nan)
    for row, items, turn in zip(seconds, asked, turns, strict=True):
        row[items] = turn
    average = np.nanmean(seconds, axis=0)
    # The first item is asked in every turn.
    common = ~np.isnan(seconds).any(axis=0)
    return average, [float(row[common].mean() / average[common].mean()) for row in seconds]


def why_unmeasured(timed: Sequence[TrialSummary]) -> str:
    """Why the first turn that failed did; empty where none did."""
    return next((trial.failure_message for trial in timed if trial.status == "failed"), "")


def latency_caveats(arms: Mapping[str, ArmSummary]) -> list[str]:
    """What makes latencies, and the money that follows from them, less than sure."""
    timed = {name: arm.cost.latency for name, arm in arms.items() if arm.cost.latency is not None}
    # What a server takes does not hang on what else this machine does.
    here = {name: latency for name, latency in timed.items() if not arms[name].cost.by_token}
    busy = {name: latency for name, latency in here.items() if _busiest(latency) > BUSY_CORES}
    apart = [name for name, latency in timed.items() if _drift(latency) > DRIFT]
    once = [name for name, latency in timed.items() if len(latency.turns) < 2]
    caveats = []
    if busy:
        most = max(busy.values(), key=_busiest)
        caveats.append(
            f"While requests of {', '.join(busy)} were timed, other programs kept up to "
            f"{_busiest(most):.1f} of the machine's {most.cores:.0f} processors busy: these "
            "latencies, and the money that follows from them, are too high by an unknown amount."
        )
    if apart:
        caveats.append(
            f"The turns in which requests of {', '.join(apart)} were timed differ by more than "
            f"{per_cent(DRIFT)}: the machine was not as fast throughout, and these latencies, and "
            "the money that follows from them, are too high by an unknown amount."
        )
    if once:
        caveats.append(
            f"Requests of {', '.join(once)} were timed in one turn only, so that a drift of the "
            "machine would not show."
        )
    if gap := _sittings(timed.values()):
        caveats.append(
            f"The arms were not timed in one go, but between {gap[0]} and {gap[1]}: the machine "
            "may have been another one, or in another state, which would show as a difference "
            "between them."
        )
    for name, arm in arms.items():
        if arm.cost.latency is None and arm.cost.latency_unmeasured:
            caveats.append(f"Latency of {name} was not measured: {arm.cost.latency_unmeasured}.")
    return caveats


def _noted(trial: TrialSummary, metric: str) -> float:
    (noted,) = aggregates([trial], "latency", "test", metric)
    return noted.value


def _busiest(latency: Latency) -> float:
    return max(turn.other_cores for turn in latency.turns)


def _drift(latency: Latency) -> float:
    means = [turn.mean for turn in latency.turns]
    return max(means) / min(means) - 1 if min(means) > 0 else 0.0


def _sittings(timed: Iterable[Latency]) -> tuple[str, str] | None:
    """First and last moment of all turns; None where no pause lies between two of them."""
    turns = sorted(
        (turn for latency in timed for turn in latency.turns), key=lambda turn: turn.began
    )
    moments = [
        (datetime.fromisoformat(a.ended), datetime.fromisoformat(b.began))
        for a, b in pairwise(turns)
    ]
    if not any(began - ended > PAUSE for ended, began in moments):
        return None
    return turns[0].began, turns[-1].ended


__all__ = ["latency_caveats", "measured_latency", "timed_trials", "why_unmeasured"]
