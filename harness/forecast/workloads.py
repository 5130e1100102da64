"""Workloads of all upcoming trials, and the choice of those that are measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.forecast.memory import least_mib
from harness.forecast.upcoming import Upcoming
from harness.forecast.workload import Answered, Workload, speed_signature, workload
from harness.records import TrialSpec

Key = tuple[str, str]
"""Kind and speed signature."""


class Workloads:
    """Upcoming trials with the workload of each option; options that take equally long share it.

    Args:
        answered: what is known of replies.
    """

    def __init__(
        self, upcoming: Sequence[Upcoming], answered: Answered = lambda asked: frozenset()
    ) -> None:
        self._upcoming = upcoming
        self._answered = answered
        self._loads: dict[tuple[object, ...], Workload] = {}

    def of(self, arm: str) -> list[Upcoming]:
        """The arm's trials."""
        return [trials for trials in self._upcoming if trials.arm == arm]

    def of_trial(self, spec: TrialSpec) -> Workload:
        """What the trial takes."""
        asked = tuple(
            replace(score, key="") for score in spec.scores if score.key not in spec.known_scores
        )
        epochs = spec.params.get("epochs")
        what = (spec.arm, spec.phase, spec.adds, spec.train_items)
        key = (*what, speed_signature(spec), epochs, asked)
        if key not in self._loads:
            self._loads[key] = workload(spec, self._answered)
        return self._loads[key]

    def items(self) -> float:
        """Items that are scored in all."""
        loads = [self.of_trial(trials.options[0]) for trials in self._upcoming]
        return sum(score.items for load in loads for _, score in load.scores)

    def to_measure(self, available_mib: float, *, thorough: bool) -> list[Workload]:
        """The workloads to measure: each arm's default setting, with most scores.

        With ``thorough`` its heaviest setting too.

        Single requests, which in a study have a trial of their own, are measured with the rest.
        Left out are arms that ask a server, and settings that cannot fit into memory.
        """
        chosen: dict[Key, Workload] = {}
        for arm in dict.fromkeys(trials.arm for trials in self._upcoming):
            settings = self._settings(arm, available_mib)
            keys = list(settings)
            if len(keys) > 1:
                heaviest = max(keys[1:], key=lambda key: _weight(settings[key]))
                keys = [keys[0], heaviest] if thorough else keys[:1]
            for key in keys:
                chosen.setdefault(key, settings[key])
        # What stands for a kind comes first: there may be no time for the rest.
        firsts = {load.spec.kind: key for key, load in reversed(chosen.items())}
        return [chosen[key] for key in sorted(chosen, key=lambda key: firsts[key[0]] != key)]

    def _settings(self, arm: str, available_mib: float) -> dict[Key, Workload]:
        """Each setting of the arm that takes time of its own, where it is asked most."""
        fullest: dict[Key, Workload] = {}
        single: dict[Key, Workload] = {}
        for trials in self.of(arm):
            for spec in trials.options:
                if spec.endpoint is not None or least_mib(spec) > available_mib:
                    continue
                load = self.of_trial(spec)
                key = (spec.kind, load.speed_signature)
                if trials.phase == "latency":
                    single.setdefault(key, load)
                elif load.asks and len(load.scores) > len(fullest.setdefault(key, load).scores):
                    fullest[key] = load
        for key, load in single.items():
            # Of an arm that tries several ways the finalist has one, and is a setting of its own.
            for place in dict.fromkeys((key, next(iter(fullest), key))):
                if place in fullest and not _times_requests(fullest[place]):
                    both = fullest[place].scores + load.scores
                    fullest[place] = replace(fullest[place], scores=both)
        # Where only requests are left to be timed.
        return fullest or single


def _times_requests(load: Workload) -> bool:
    return any(score.measure == "single" for _, score in load.scores)


def _weight(load: Workload) -> float:
    """Grows with what a setting takes, roughly; only the order counts."""
    params = load.spec.params
    slower = 1.0 + bool(params.get("dora")) + bool(params.get("kl_weight"))
    slower += float(params.get("replay") or 0) + float(params.get("rank") or 0) / 1000
    training = load.training.counted.read if load.training else 0.0
    return 3 * slower * training + sum(score.counted.read for _, score in load.scores)
