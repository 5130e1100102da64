"""What one arm takes, all its trials together."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.forecast.counted import Counted
from harness.forecast.estimate import NOTHING, Estimate, either, summed
from harness.forecast.findings import ArmForecast, ServerUse
from harness.forecast.room import least_mib, peak_mib
from harness.forecast.samples import Measured
from harness.forecast.served import ServedTrial, served_trial
from harness.forecast.trial_time import Stopwatch, TrialTime
from harness.forecast.trial_work import TrialWork
from harness.forecast.upcoming import Upcoming
from harness.planning import BASE, Plan
from harness.records import TrialSummary

# The same trial on the same quiet machine: so much faster or slower from hour to hour.
DRIFT = 0.15


@dataclass(slots=True)
class ArmSum:
    """Adds up what one arm takes, within the limits of its search."""

    plan: Plan
    arm: str
    counted: Counted
    stopwatch: Stopwatch
    measured: Sequence[Measured]
    available: float
    ended: Sequence[TrialSummary]
    trials: dict[str, Estimate] = field(default_factory=lambda: defaultdict(lambda: NOTHING))
    seconds: list[Estimate] = field(default_factory=list)
    parts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    trained: Estimate = NOTHING
    scored: Estimate = NOTHING
    kept: Estimate = NOTHING
    served: list[tuple[Estimate, list[ServedTrial]]] = field(default_factory=list)
    search_tokens: Estimate = NOTHING
    search_seconds: Estimate = NOTHING

    def forecast(self) -> ArmForecast:
        upcoming = self.counted.of(self.arm)
        works = [self.counted.work(spec) for one in upcoming for spec in one.options]
        unknown = self._unknown(works)
        self._spent()
        for one in upcoming:
            self._add(one, timed=not unknown)
        seconds = None if unknown else summed(self.seconds).widened(DRIFT)
        price = self.plan.experiment.cost.machine_per_hour / 3600
        server = self._server()
        return ArmForecast(
            arm=self.arm,
            kind=self.plan.experiment.arms[self.arm].kind if self.arm != BASE else "prompt",
            trials=dict(self.trials),
            train_tokens=self.trained,
            scored_tokens=self.scored,
            seconds=seconds,
            money=None if seconds is None else seconds * price,
            artifact_mib=self.kept,
            peak_mib=None if server else self._peak(works),
            server=server,
            unknown=unknown,
            **self.parts,
        )

    def _unknown(self, works: Sequence[TrialWork]) -> str:
        """Why the arm's time cannot be told; empty where it can."""
        local = [work for work in works if work.spec.endpoint is None]
        for work in local:
            least = least_mib(work.spec)
            if least > self.available:
                free = f"{self.available:,.0f} are available"
                return f"needs at least {least:,.0f} MiB of memory; {free}"
        asking = [work for work in local if work.asks]
        if all(self.stopwatch.knows(work) for work in asking):
            return ""
        failed = [
            one.failure for one in self.measured if one.failure and one.work.spec.arm == self.arm
        ]
        return failed[0] if failed else "nothing like it could be measured"

    def _add(self, one: Upcoming, *, timed: bool) -> None:
        works = [self.counted.work(spec) for spec in one.options]
        tokens = either(self._tokens(work) for work in works)
        times = [self._time(work) for work in works] if timed else []
        total = either(time.total for time in times) if times else NOTHING
        if one.prunable:
            total = Estimate(total.expected, total.low * self._least_share(works[0]), total.high)
        number = one.times
        if one.phase == "search":
            number = self._within_budget(one.times, tokens, total)
            self.search_tokens = self.search_tokens + tokens * number
            self.search_seconds = self.search_seconds + total * number
        self.trials[one.phase] = self.trials[one.phase] + number
        trained = either(
            Estimate.exactly(work.training.tokens if work.training else 0) for work in works
        )
        self.trained = self.trained + trained * number
        self.scored = self.scored + either(self._scored(work) for work in works) * number
        self.seconds.append(total * number)
        for name in ("load", "train", "score", "process"):
            mean = either(getattr(time, name) for time in times).expected if times else 0.0
            self.parts[name] += mean * number.expected
        if timed and works[0].spec.keep_artifact:
            sizes = Estimate.among(self.stopwatch.artifact_mib(work) for work in works)
            self.kept = self.kept + sizes * number
        endpoint = one.options[0].endpoint
        if endpoint is not None:
            self.served.append((number, [served_trial(work, endpoint) for work in works]))

    def _time(self, work: TrialWork) -> TrialTime:
        endpoint = work.spec.endpoint
        if endpoint is not None:
            return TrialTime(NOTHING, NOTHING, served_trial(work, endpoint).seconds, NOTHING)
        return self.stopwatch.time(work)

    def _scored(self, work: TrialWork) -> Estimate:
        """Tokens of prompts and replies; a reply is as long as a training answer, or runs on."""
        mean, _ = work.answer
        known = Estimate.exactly(work.scored_tokens)
        replies = [
            Estimate(min(mean, part.room), min(mean, part.room), part.room) * part.items
            for _, part in work.scores
            if part.room
        ]
        return known + summed(replies)

    def _tokens(self, work: TrialWork) -> Estimate:
        trained = work.training.tokens if work.training else 0
        return self._scored(work) + Estimate.exactly(trained)

    def _least_share(self, work: TrialWork) -> float:
        """Share of a trial that is done before anything may stop it."""
        rules = self.plan.experiment.search
        if work.training:
            return 1 / max(1, work.training.checks)
        items = max(1, len(self.plan.prepared.splits.validation))
        wave = self.plan.runtime.score_batch_size
        asked = math.ceil(rules.prompt_pruner_items / wave) * wave
        return min(1.0, asked / items)

    def _spent(self) -> None:
        """What earlier runs of the search took of its budget."""
        for trial in self.ended:
            if (trial.arm, trial.phase) != (self.arm, "search") or trial.cost is None:
                continue
            cost = trial.cost
            took = cost.load_seconds + cost.train_seconds + cost.score_seconds
            scored = {
                (one.suite, one.task): one.items * (one.prompt_tokens + one.completion_tokens)
                for one in trial.aggregates
                if not one.reused and math.isfinite(one.prompt_tokens)
            }
            used = cost.train_tokens + sum(scored.values())
            self.search_tokens = self.search_tokens + Estimate.exactly(used)
            self.search_seconds = self.search_seconds + Estimate.exactly(took)

    def _within_budget(self, times: Estimate, tokens: Estimate, seconds: Estimate) -> Estimate:
        """How many of these trials start before a limit of the search is reached."""
        budget = self.plan.experiment.budget
        minutes = None if budget.minutes is None else 60 * budget.minutes
        for limit, spent, each in (
            (budget.tokens, self.search_tokens, tokens),
            (minutes, self.search_seconds, seconds),
        ):
            if limit is not None and each.expected > 0:
                times = Estimate(
                    _starts(times.expected, limit, spent.expected, each.expected),
                    _starts(times.low, limit, spent.high, each.high),
                    _starts(times.high, limit, spent.low, each.low),
                )
        return times

    def _peak(self, works: Sequence[TrialWork]) -> Estimate | None:
        found = [
            peak
            for work in works
            if (peak := peak_mib(work, [m for m in self.measured if m.work.spec.arm == self.arm]))
            or (peak := peak_mib(work, self.measured))
        ]
        if not found:
            return None
        return Estimate(
            max(one.expected for one in found),
            min(one.low for one in found),
            max(one.high for one in found),
        )

    def _server(self) -> ServerUse | None:
        endpoint = self.plan.endpoint_of(self.arm)
        if endpoint is None:
            return None

        def total(name: str) -> Estimate:
            return summed(
                either(getattr(trial, name) for trial in trials) * number
                for number, trials in self.served
            )

        requests = summed(
            Estimate.among(trial.requests for trial in trials) * number
            for number, trials in self.served
        )
        return ServerUse(
            requests,
            total("prompt_tokens"),
            total("completion_tokens"),
            total("money"),
            endpoint.spending_cap,
        )


def _starts(times: float, limit: float, spent: float, each: float) -> float:
    left = max(0.0, limit - spent)
    return min(times, math.ceil(left / each)) if each > 0 else times
