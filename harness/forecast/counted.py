"""The trials before a study with the work of each, and which of them show how fast it goes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.forecast.room import least_mib
from harness.forecast.trial_work import TrialWork, manner_of, trial_work
from harness.forecast.upcoming import Upcoming
from harness.records import TrialSpec


class Counted:
    """Upcoming trials with the work of each option; options that take equally long share it."""

    def __init__(self, upcoming: Sequence[Upcoming]) -> None:
        self._upcoming = upcoming
        self._works: dict[tuple[object, ...], TrialWork] = {}
        for one in upcoming:
            for spec in one.options:
                self.work(spec)

    def of(self, arm: str) -> list[Upcoming]:
        return [one for one in self._upcoming if one.arm == arm]

    def work(self, spec: TrialSpec) -> TrialWork:
        unknown = [r for r in spec.scores if r.key not in spec.known_scores]
        asked = tuple((r.suite, r.task, r.split, r.items_path, r.limit, r.wave) for r in unknown)
        epochs = spec.params.get("epochs")
        key = (spec.arm, spec.phase, manner_of(spec), epochs, spec.train_items, asked)
        if key not in self._works:
            self._works[key] = trial_work(spec)
        return self._works[key]

    def all(self) -> list[TrialWork]:
        return [self.work(one.options[0]) for one in self._upcoming]

    def to_measure(self, available: float, *, quick: bool) -> list[TrialWork]:
        """Of each arm the default setting and the heaviest, each where it is asked most.

        Left out are arms that ask a server, and what cannot fit into memory.
        """
        found: dict[tuple[object, ...], TrialWork] = {}
        for arm in dict.fromkeys(one.arm for one in self._upcoming):
            fullest: dict[tuple[object, ...], TrialWork] = {}
            for one in self.of(arm):
                for spec in one.options:
                    if spec.endpoint is not None or least_mib(spec) > available:
                        continue
                    work = self.work(spec)
                    best = fullest.setdefault((work.form, work.manner), work)
                    if work.asks and len(work.scores) > len(best.scores):
                        fullest[work.form, work.manner] = work
            asking = {key: one for key, one in fullest.items() if one.asks}
            keys = list(asking)
            if len(keys) > 1:
                heaviest = max(keys[1:], key=lambda key: _weight(asking[key]))
                keys = keys[:1] if quick else [keys[0], heaviest]
            for key in keys:
                found.setdefault(key, asking[key])
        return list(found.values())


def _weight(work: TrialWork) -> float:
    """Grows with what a setting takes, roughly; only the order counts."""
    params = work.spec.params
    slower = 1.0 + bool(params.get("dora")) + bool(params.get("kl_weight"))
    slower += float(params.get("replay") or 0) + float(params.get("rank") or 0) / 1000
    training = math.fsum(work.training.steps) if work.training else 0.0
    return 3 * slower * training + math.fsum(part.fed for _, part in work.scores)
