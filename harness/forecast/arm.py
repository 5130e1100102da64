"""Forecast of one arm: what all its trials together take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from harness.forecast.commanded import peak_of_command, runs_a_command, training_seconds
from harness.forecast.estimate import NOTHING, Estimate, either, greatest, summed
from harness.forecast.findings import ArmForecast, ServerUse
from harness.forecast.measured import Measured
from harness.forecast.memory import least_mib, peak_mib
from harness.forecast.served import ServedTrial, served_trial
from harness.forecast.trial_time import Stopwatch, TrialTime
from harness.forecast.upcoming import Upcoming
from harness.forecast.workload import Workload
from harness.forecast.workloads import Workloads
from harness.records import TrialSummary
from harness.spec.kinds import PROMPT
from harness.study.asked_models import BASE
from harness.study.plan import Plan
from harness.study.spending import Spent
from harness.study.writing import spent_on_writing

# The same trial on the same quiet machine: so much faster or slower from hour to hour.
DRIFT = 0.15


@dataclass(frozen=True, slots=True)
class _Group:
    """Trials of an arm that are alike, with what each of their options takes."""

    trials: Upcoming
    """The trials."""
    number: Estimate
    """Number of them that run within the limits of the search."""
    loads: Sequence[Workload]
    """Workload of each option of such a trial."""
    times: Sequence[TrialTime]
    """Time of each load; empty where the arm's time is not known."""
    seconds: Estimate
    """Seconds of one trial, with early stops in the low end; 0 where the arm's time is not
    known."""


@dataclass(slots=True)
class ArmCost:
    """Adds up what one arm takes."""

    plan: Plan
    """The planned study."""
    arm: str
    """Name of the arm, or of the untouched base."""
    workloads: Workloads
    """Upcoming trials of all arms, with what each takes."""
    stopwatch: Stopwatch
    """What works out the times of trials."""
    measured: Sequence[Measured]
    """The small trials of all arms, failed ones included."""
    available_mib: float
    """Memory (MiB) that is free: of the GPU where one is used, else of the machine."""
    ended: Sequence[TrialSummary]
    """The experiment's trials in the store."""
    _tokens: dict[int, Estimate] = field(init=False)
    """Seed of a search -> tokens that it takes of its budget, up to the trials looked at last."""
    _seconds: dict[int, Estimate] = field(init=False)
    """Seed of a search -> seconds that it takes of its budget, up to the same."""

    def forecast(self) -> ArmForecast:
        """All that is still to be spent on the arm."""
        upcoming = self.workloads.of(self.arm)
        loads = [self.workloads.of_trial(spec) for trials in upcoming for spec in trials.options]
        unknown = self._unknown(loads)
        self._look_at_what_is_spent()
        groups = [self._group(trials, timed=not unknown) for trials in upcoming]
        seconds = None
        if not unknown:
            seconds = summed(group.seconds * group.number for group in groups).widened(DRIFT)
        trials: dict[str, Estimate] = {}
        for group in groups:
            phase = group.trials.phase
            trials[phase] = trials.get(phase, NOTHING) + group.number
        server = self._server(groups)
        return ArmForecast(
            arm=self.arm,
            kind=self.plan.experiment.arms[self.arm].kind if self.arm != BASE else PROMPT.name,
            trials=trials,
            train_tokens=None
            if any(map(runs_a_command, loads))
            else summed(either(map(_trained, g.loads)) * g.number for g in groups),
            scored_tokens=summed(either(map(_scored, g.loads)) * g.number for g in groups),
            seconds=seconds,
            money=seconds and seconds * (self.plan.experiment.cost.machine_per_hour / 3600),
            load=_expected(groups, "load"),
            train=_expected(groups, "train"),
            score=_expected(groups, "score"),
            process=_expected(groups, "process"),
            artifact_mib=summed(
                Estimate.among(map(self.stopwatch.artifact_mib, group.loads)) * group.number
                for group in groups
                if group.times and group.loads[0].spec.keep_artifact
            ),
            peak_mib=None if server else self._peak(loads),
            server=server,
            unknown=unknown,
        )

    def _unknown(self, loads: Sequence[Workload]) -> str:
        """Why the arm's time is not known; empty where it is."""
        local = [load for load in loads if load.spec.endpoint is None]
        least = max((least_mib(load.spec) for load in local), default=0.0)
        if least > self.available_mib:
            free = f"{self.available_mib:,.0f} are available"
            return f"needs at least {least:,.0f} MiB of memory; {free}"
        if any(map(runs_a_command, loads)) and self._command_seconds() is None:
            return f"how long its command takes: say arms.{self.arm}.minutes, or run a first trial"
        if all(self.stopwatch.knows(load) for load in local if load.asks):
            return ""
        own = (small for small in self.measured if small.whole.spec.arm == self.arm)
        failures = (small.failure for small in own if small.failure)
        return next(failures, "nothing like it could be measured")

    def _group(self, trials: Upcoming, *, timed: bool) -> _Group:
        loads = [self.workloads.of_trial(spec) for spec in trials.options]
        times = [self._time(load) for load in loads] if timed else []
        seconds = either(time.total for time in times) if times else NOTHING
        if trials.prunable:
            seconds = replace(seconds, low=seconds.low * self._least_share(loads[0]))
        tokens = either(_trained(load) + _scored(load) for load in loads)
        number = trials.times
        seed = trials.options[0].seed
        if trials.phase == "search":
            number = self._within_budget(number, tokens, seconds, seed)
        if trials.phase in ("writing", "search", "bootstrap"):
            # What is asked once for all searches of an arm counts for each.
            for search in self._tokens if trials.phase == "bootstrap" else (seed,):
                self._tokens[search] += tokens * number
                self._seconds[search] += seconds * number
        return _Group(trials, number, loads, times, seconds)

    def _time(self, load: Workload) -> TrialTime:
        endpoint = load.spec.endpoint
        if endpoint is not None:
            return TrialTime(score=served_trial(load, endpoint).seconds)
        time = self.stopwatch.time(load)
        command = self._command_seconds()
        return replace(time, train=command) if command and runs_a_command(load) else time

    def _command_seconds(self) -> Estimate | None:
        return training_seconds(self.plan.experiment, self.arm, self.ended)

    def _least_share(self, load: Workload) -> float:
        """Share of a trial that is done before anything may stop it."""
        if load.training:
            return 1 / max(1, load.training.checks)
        if runs_a_command(load):
            # When it first tells a validation loss is its own affair.
            return 0.0
        items = max(1, len(self.plan.prepared.splits.validation))
        wave = self.plan.runtime.score_batch_size
        least = self.plan.experiment.search.prompt_pruner_items
        return min(1.0, math.ceil(least / wave) * wave / items)

    def _look_at_what_is_spent(self) -> None:
        """Take note of what earlier runs took of the budget of each search."""
        self._tokens, self._seconds = {}, {}
        experiment = self.plan.experiment
        for repeat in range(experiment.repeats_of(self.arm)) if self.arm != BASE else ():
            spent = Spent(*spent_on_writing(self.plan, self.arm, repeat))
            for trial in self.ended:
                if (trial.arm, trial.phase, trial.search_repeat) == (self.arm, "search", repeat):
                    spent.add(trial)
            seed = experiment.search_seed(self.arm, repeat)
            self._tokens[seed] = Estimate.exactly(spent.tokens)
            self._seconds[seed] = Estimate.exactly(spent.seconds)

    def _within_budget(
        self, times: Estimate, tokens: Estimate, seconds: Estimate, seed: int
    ) -> Estimate:
        """How many of these trials start before a limit of the search of that seed is reached."""
        budget = self.plan.experiment.budget
        minutes = None if budget.minutes is None else 60 * budget.minutes
        for limit, spent, each in (
            (budget.tokens, self._tokens[seed], tokens),
            (minutes, self._seconds[seed], seconds),
        ):
            if limit is not None and each.expected > 0:
                times = Estimate(
                    trials_started(times.expected, limit, spent.expected, each.expected),
                    trials_started(times.low, limit, spent.high, each.high),
                    trials_started(times.high, limit, spent.low, each.low),
                )
        return times

    def _peak(self, loads: Sequence[Workload]) -> Estimate | None:
        if any(map(runs_a_command, loads)):
            return peak_of_command(self.arm, self.ended)
        own = [small for small in self.measured if small.whole.spec.arm == self.arm]
        peaks = [peak_mib(load, own) or peak_mib(load, self.measured) for load in loads]
        known = [peak for peak in peaks if peak is not None]
        return greatest(known) if known else None

    def _server(self, groups: Sequence[_Group]) -> ServerUse | None:
        endpoint = self.plan.endpoint_of(self.arm)
        if endpoint is None:
            return None
        served = [([served_trial(load, endpoint) for load in g.loads], g.number) for g in groups]

        def total(name: str) -> Estimate:
            def of(trial: ServedTrial) -> Estimate:
                value: Estimate = getattr(trial, name)
                return value

            return summed(either(map(of, trials)) * number for trials, number in served)

        return ServerUse(
            total("requests"),
            total("prompt_tokens"),
            total("completion_tokens"),
            total("money"),
            endpoint.spending_cap,
        )


def trials_started(times: float, limit: float, spent: float, each: float) -> float:
    """How many of ``times`` trials start: the one that passes the limit is the last."""
    return min(times, math.ceil(max(0.0, limit - spent) / each)) if each > 0 else times


def _expected(groups: Sequence[_Group], part: str) -> float:
    """Expected seconds of a part of all trials."""
    return math.fsum(
        either(getattr(time, part) for time in group.times).expected * group.number.expected
        for group in groups
        if group.times
    )


def _trained(load: Workload) -> Estimate:
    return Estimate.exactly(load.training.counted.read if load.training else 0.0)


def _scored(load: Workload) -> Estimate:
    """Tokens of prompts and replies; a reply is as long as a training answer, or runs on.

    Those of requests that are only timed are left out: no score counts them.
    """
    scores = [score for _, score in load.scores if score.measure != "single"]
    known = math.fsum(score.prompt_tokens + score.answer_tokens for score in scores)
    replies = [
        Estimate(usual, usual, score.answer_limit) * score.items
        for score in scores
        if score.answer_limit
        for usual in [min(load.answer.mean, score.answer_limit)]
    ]
    return summed([Estimate.exactly(known), *replies])
