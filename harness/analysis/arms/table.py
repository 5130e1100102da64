"""The table of arms, and which of them meet in the primary contrast."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from harness.analysis.arms.cost import summarise_cost
from harness.analysis.arms.latency import timed_trials
from harness.analysis.arms.making import trials_to_make
from harness.analysis.arms.tokens import search_tokens
from harness.analysis.searches.selection import search_ends, search_winner
from harness.analysis.statistics.scores import (
    DOMAIN,
    Scores,
    aggregates,
    mean_of,
    validation_score,
    validation_worth,
)
from harness.analysis.statistics.single_arm import mean_interval
from harness.errors import StoreError
from harness.findings import ArmSummary, CostSummary, Interval
from harness.records import NO_WORTH, Aggregate, JsonValue, SearchEnded, TrialSummary, Worth
from harness.spec import Experiment
from harness.spec.arm_base import PROMPT_KEYS
from harness.spec.experiment import Constraints
from harness.spec.instruction_sources import instruction_source
from harness.spec.kinds import kind_info


def summarise_arm(
    scores: Scores,
    arm: str,
    experiment: Experiment,
    resamples: int,
    generator: np.random.Generator,
) -> ArmSummary:
    """One row of the table of arms, from whatever of the arm has run."""
    metric = experiment.task.primary_metric
    search = scores.trials(arm, "search")
    finalists = scores.finalists(arm)
    repeats = range(experiment.repeats_of(arm))
    choices = [search_winner(scores, arm, experiment, repeat) for repeat in repeats]
    winners = [winner for winner in choices if winner]
    first = [t for t in search if t.number == 0 and t.status == "complete"]
    seen = [t for t in search if t.status in ("complete", "pruned")]
    test = scores.vectors(arm, metric, task=DOMAIN, split="test")
    try:
        interval = (
            mean_interval(test, experiment.contrast.level, resamples, generator) if test else None
        )
    except StoreError:
        interval = None
    on_test = aggregates(finalists, "domain", "test")
    elsewhere = aggregates(finalists, "out_of_domain", "test", metric)
    selected = _settings(finalists or winners)
    return ArmSummary(
        arm=arm,
        kind=experiment.arms[arm].kind,
        tuned=bool(experiment.arms[arm].search_space()),
        budget_trials=len(repeats) * experiment.trials_of(arm),
        complete=sum(trial.status == "complete" for trial in search),
        failed=sum(trial.status == "failed" for trial in search),
        pruned=sum(trial.status == "pruned" for trial in search),
        seeds=tuple(vector.seed for vector in scores.runs(arm, metric, task=DOMAIN, split="test")),
        params=_shown(selected[0], experiment.arms[arm].kind) if selected else {},
        validation=_mean(validation_score(winner, metric) for winner in winners),
        default_validation=_mean(validation_score(trial, metric) for trial in first),
        test=mean_of(test),
        test_interval=interval,
        metric_intervals=_intervals(on_test),
        metrics=_means({a.metric: [] for a in on_test}, [(a.metric, a.value) for a in on_test]),
        out_of_domain=_means(
            {a.task: [] for a in elsewhere}, [(a.task, a.value) for a in elsewhere]
        ),
        cost=summarise_cost(
            trials_to_make(scores, arm), finalists, timed_trials(scores, arm), experiment, arm
        ),
        search_tokens=search_tokens(search),
        searches=len(repeats),
        settings=experiment.arms[arm].settings(),
        settings_tried=len(_settings(seen)),
    )


def short_of_budget(scores: Scores, experiment: Experiment) -> frozenset[str]:
    """Tuned arms with trials of their budget missing or failed, where another has all of its own.

    A pruned trial was seen through: its setting was judged. An arm that ended at a limit of
    tokens or minutes has spent its budget, but for trials that failed.
    """
    ends = search_ends(scores.study)
    missing = {
        name: sum(
            _promised(experiment.trials_of(name), ends.get((name, repeat)))
            for repeat in range(experiment.repeats_of(name))
        )
        - sum(t.status in ("complete", "pruned") for t in scores.trials(name, "search"))
        for name, arm in experiment.arms.items()
        if arm.search_space()
    }
    short = frozenset(name for name, trials in missing.items() if trials > 0)
    return short if len(short) < len(missing) else frozenset()


def _promised(trials: int, end: SearchEnded | None) -> int:
    if end is None:
        return trials
    # What an instruction cost to write leaves fewer, of the same budget; where none was written
    # there are fewer settings.
    fewer = end.limit in ("tokens", "minutes") or end.reason == "settings_exhausted"
    return end.trials if fewer or end.written else trials


@dataclass(frozen=True, slots=True)
class Sides:
    """The arms of the primary contrast, each empty where there is none, and why."""

    fine_tuned: str
    """The fine-tuned arm."""
    against: str
    """The arm that ``fine_tuned`` is compared with, of either kind."""
    prompt: str
    """The best prompt arm, the same as ``against`` unless two fine-tuned arms are compared. Of a
    study of prompts only, ``fine_tuned`` and ``prompt`` are the leader of the ranking."""
    prompts: tuple[str, ...]
    """Prompt arms that could stand for their kind, the best on validation first."""
    excluded: dict[str, str]
    """Arm -> sentence about the limit that it breaks."""
    notes: tuple[str, ...]
    """What a reader must know of the choice, a sentence each."""


def choose_sides(
    worths: Mapping[str, Worth], arms: Mapping[str, ArmSummary], experiment: Experiment
) -> Sides:
    """The best fine-tuned and the best prompt arm, by validation alone, unless declared.

    Arms that break a declared limit stand back while their side has another; limits are about
    cost, so the test scores still play no part. Of arms that validation ranks alike, one under an
    instruction of its own goes first: trained under the task's own because nothing else was
    selected, one that takes another arm's may be the same weights. Then goes the one that trains
    fewer parameters, then the one whose prompts hold fewer tokens, then the one that is declared
    first: nothing that is timed, as the same study would compare other arms on another day.

    Args:
        worths: arm -> worth on validation; see :func:`validation_worths`.
        arms: the table of arms.
        experiment: the experiment as declared.
    """
    limits = experiment.constraints
    excluded = {
        name: sentence
        for name, arm in arms.items()
        if (sentence := broken_limit(name, arm, limits)) is not None
    }
    notes: list[str] = []
    best = []
    declared = (experiment.contrast.fine_tuned, experiment.contrast.against)
    kinds = (list(experiment.trained_arms()), list(experiment.prompt_arms()))
    for named, names in zip(declared, kinds, strict=True):
        ranked = sorted(
            names,
            key=lambda name: (worths[name], *(-n for n in _burden(name, arms, experiment))),
            reverse=True,
        )
        able = [name for name in ranked if arms[name].test is not None]
        if not named and able and ranked[0] != able[0]:
            notes.append(
                f"{ranked[0]} was the best of its kind on validation but has no test result, "
                f"so {able[0]} stands for its kind."
            )
        best.append([name for name in able if name not in excluded] or able)
        if not named or not experiment.trained_arms():
            # Of prompts alone the second one, too, is in the primary contrast.
            decided = 1 if named or experiment.trained_arms() else 2
            notes += _ties(best[-1], decided, worths, arms, experiment)
    fine_tuned, against = (
        named or (names or [""])[0] for named, names in zip(declared, best, strict=True)
    )
    prompts = tuple(best[1])
    prompt = (prompts or ("",))[0] if against in kinds[0] else against
    return Sides(fine_tuned, against, prompt, prompts, excluded, tuple(notes))


def _burden(name: str, arms: Mapping[str, ArmSummary], experiment: Experiment) -> tuple[float, ...]:
    """By what arms that validation ranks alike are told apart, in this order; the least goes first.

    Each is counted or declared, so that it is the same whenever the study is run.
    """
    cost = arms[name].cost
    return (
        instruction_source(experiment.arms[name]) is not None,
        cost.trainable_parameters,
        cost.prompt_tokens or 0.0,
        list(experiment.arms).index(name),
    )


# In the order of the above.
_WHY_FIRST = (
    "which has an instruction of its own",
    "which trains fewer parameters",
    "whose prompts hold fewer tokens",
    "which is declared first",
)


def _ties(
    ranked: Sequence[str],
    decided: int,
    worths: Mapping[str, Worth],
    arms: Mapping[str, ArmSummary],
    experiment: Experiment,
) -> list[str]:
    """A sentence on each place, of the first ``decided``, that validation alone does not fill."""
    sentences = []
    for first, second in pairwise(ranked[: decided + 1]):
        if worths[first] == NO_WORTH or worths[first] != worths[second]:
            continue
        burdens = (_burden(name, arms, experiment) for name in (first, second))
        place = next(n for n, (one, other) in enumerate(zip(*burdens, strict=True)) if one != other)
        sentences.append(
            f"Validation ranks {first} and {second} alike: {first}, {_WHY_FIRST[place]}, goes "
            "before the other in what is compared."
        )
    return sentences


def validation_worths(scores: Scores, experiment: Experiment) -> dict[str, Worth]:
    """Arm -> its worth on validation."""
    return {name: _validation_worth(scores, name, experiment) for name in experiment.arms}


def broken_limit(name: str, arm: ArmSummary, limits: Constraints) -> str | None:
    """A sentence about the first declared limit that the arm breaks, or None.

    Memory is the device's where one was measured, else the host's, and binds only arms that
    train. What was not measured breaks nothing; the caveats name it.
    """
    cost = arm.cost
    if limits.latency_ms is not None and cost.latency_p95 is not None:
        latency = cost.latency_p95 * 1000
        if latency > limits.latency_ms:
            return (
                f"{name} needs {latency:,.0f} ms for one request in twenty or more, "
                f"above the limit of {limits.latency_ms:,.0f} ms."
            )
    memory = training_memory(cost)
    bound = limits.memory_mib if kind_info(arm.kind).trains else None
    if bound is not None and memory is not None and memory > bound:
        return (
            f"{name} needs {memory:,.0f} MiB of memory to train, "
            f"above the limit of {bound:,.0f} MiB."
        )
    if limits.artifact_mib is not None:
        size = cost.artifact_bytes / 2**20
        if size > limits.artifact_mib:
            return (
                f"{name} leaves {size:,.0f} MiB to deploy, "
                f"above the limit of {limits.artifact_mib:,.0f} MiB."
            )
    return None


def training_memory(cost: CostSummary) -> float | None:
    """Peak MiB of training: of the device where it was measured, else of the host."""
    return cost.peak_device_mib if cost.peak_device_mib is not None else cost.peak_memory_mib


def _validation_worth(scores: Scores, arm: str, experiment: Experiment) -> Worth:
    """Worth of an arm on validation: the score of the search trial whose setting was selected.

    The mean over its searches, where it was searched several times. Never that of its finalists:
    these are the runs that are tested. A seed that did well on validation did so on test, and an
    arm picked for its lucky seeds would be tested on them.
    """
    winners = (
        search_winner(scores, arm, experiment, repeat)
        for repeat in range(experiment.repeats_of(arm))
    )
    worths = [validation_worth(winner, experiment.task.primary) for winner in winners if winner]
    if not worths:
        return NO_WORTH
    whole = all(worth.whole for worth in worths)
    return Worth(whole, float(np.mean([worth.value for worth in worths])))


def _settings(trials: Iterable[TrialSummary]) -> list[dict[str, JsonValue]]:
    """The distinct settings of some trials, in their order."""
    return list({repr(sorted(trial.params.items())): trial.params for trial in trials}.values())


def _shown(params: Mapping[str, JsonValue], kind: str) -> dict[str, JsonValue]:
    """The settings that mean something to arms of the kind."""
    unused = () if kind_info(kind).language_model else PROMPT_KEYS
    return {name: value for name, value in params.items() if name not in unused}


def _mean(scores: Iterable[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return float(np.mean(known)) if known else None


def _means(values_of: dict[str, list[float]], rows: list[tuple[str, float]]) -> dict[str, float]:
    for name, value in rows:
        if np.isfinite(value):
            values_of[name].append(value)
    return {name: float(np.mean(values)) for name, values in values_of.items() if values}


def _intervals(on_test: Sequence[Aggregate]) -> dict[str, Interval]:
    """Metric with an interval of each run -> the mean of its ends."""
    ends: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for one in on_test:
        if one.low is not None and one.high is not None:
            ends[one.metric].append((one.low, one.high))
    return {
        name: Interval(*(float(end) for end in np.mean(pairs, axis=0)))
        for name, pairs in ends.items()
    }


__all__ = [
    "Sides",
    "broken_limit",
    "choose_sides",
    "short_of_budget",
    "summarise_arm",
    "training_memory",
    "validation_worths",
]
