"""One arm's Optuna study, rebuilt from the store at every start.

The store is the only truth: the study lives in memory, is filled with the trials already
recorded, and is told of new ones as they end.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from harness.records import content_hash
from harness.spec import Arm, FloatRange, IntRange, Space

STARTUP_TRIALS = 5
ENUMERATED_SETTINGS = 2000


@dataclass(frozen=True, slots=True)
class PastTrial:
    """A trial that has ended. score: primary metric on validation; None where it failed."""

    number: int
    params: dict[str, Any]
    score: float | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What to try next: values of the searched hyperparameters only."""

    number: int
    params: dict[str, Any]


@dataclass(slots=True)
class ArmSearch:
    """Ask for settings and tell their scores; higher scores are better.

    Trial 0 is always the arm's default setting, so that tuning can be compared with not tuning
    ("Overtuning", arXiv 2506.19540).

    Parameters:
        name: arm name; with ``seed`` it fixes the sampler's choices.
        sampler: ``tpe`` (multivariate) or ``random``.
        past: trials that ended in an earlier run of the same study.
    """

    name: str
    arm: Arm
    seed: int
    sampler: str = "tpe"
    past: Sequence[PastTrial] = ()
    _study: optuna.Study = field(init=False)
    _space: dict[str, BaseDistribution] = field(init=False)
    _open: dict[int, optuna.trial.Trial] = field(init=False, default_factory=dict)
    _told: dict[int, PastTrial] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = {
            name: _distribution(space) for name, space in self.arm.search_space().items()
        }
        self._study = optuna.create_study(direction="maximize", sampler=self._new_sampler(0))
        for trial in sorted(self.past, key=lambda trial: trial.number):
            self._add(trial)

    def ask(self) -> Proposal | None:
        """The next setting, or None when a finite space is exhausted.

        In a space of choices and whole numbers, up to 2,000 settings, none is proposed twice.

        Asking again after a restart gives the same answer.
        """
        number = max([*self._told, *self._open], default=-1) + 1
        if number == 0:
            self._study.enqueue_trial(
                {name: _stored(value) for name, value in self.arm.defaults().items()}
            )
        # A sampler's state would be lost in a restart; seeding it by the trial keeps a resumed
        # study equal to one that ran through.
        self._study.sampler = self._new_sampler(number)
        untried = self._untried()
        if untried is not None and not untried:
            return None
        trial = self._study.ask(self._space)
        if untried is not None and trial.params not in untried:
            # The score of a repeated setting is known; spend the trial on a new one.
            self._study.tell(trial, state=TrialState.FAIL)
            drawn = np.random.default_rng(self._seed_of(number)).integers(len(untried))
            self._study.enqueue_trial(untried[drawn])
            trial = self._study.ask(self._space)
        self._open[number] = trial
        space = self.arm.search_space()
        params = {name: _restored(space[name], trial.params[name]) for name in self._space}
        return Proposal(number, params)

    def tell(self, number: int, score: float | None) -> None:
        """Report the score of an asked trial; None says that it failed.

        Raises:
            KeyError: the number was not asked for, or was told already.
        """
        trial = self._open.pop(number)
        if score is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, score)
        self._told[number] = PastTrial(number, dict(trial.params), score)

    def best(self) -> PastTrial | None:
        """The highest score so far, the earliest of equals; None if every trial failed."""
        scored = [trial for trial in self._told.values() if trial.score is not None]
        return max(scored, key=lambda t: (t.score or 0.0, -t.number), default=None)

    def _add(self, past: PastTrial) -> None:
        stored = {name: _stored(past.params[name]) for name in self._space}
        self._study.add_trial(
            create_trial(
                params=stored,
                distributions=self._space,
                value=past.score,
                state=TrialState.FAIL if past.score is None else TrialState.COMPLETE,
            )
        )
        self._told[past.number] = past

    def _untried(self) -> list[dict[str, Any]] | None:
        """Settings of a small finite space that nobody asked for yet; None for any other.

        An arm with nothing to search has one setting.
        """
        axes: list[Sequence[Any]] = []
        for distribution in self._space.values():
            if isinstance(distribution, CategoricalDistribution):
                axes.append(distribution.choices)
            elif isinstance(distribution, IntDistribution):
                axes.append(range(distribution.low, distribution.high + 1))
            else:
                return None
        if math.prod(map(len, axes)) > ENUMERATED_SETTINGS:
            return None
        asked = [trial.params for trial in self._open.values()]
        asked += [
            {name: _stored(trial.params[name]) for name in self._space}
            for trial in self._told.values()
        ]
        every = (dict(zip(self._space, values, strict=True)) for values in itertools.product(*axes))
        return [params for params in every if params not in asked]

    def _seed_of(self, number: int) -> int:
        return int(content_hash([self.name, self.seed, number], 8), 16)

    def _new_sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = self._seed_of(number)
        if self.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(
            seed=seed, multivariate=True, n_startup_trials=STARTUP_TRIALS
        )


def _distribution(space: Space) -> BaseDistribution:
    if isinstance(space, FloatRange):
        return FloatDistribution(space.low, space.high, log=space.log)
    if isinstance(space, IntRange):
        return IntDistribution(space.low, space.high, log=space.log)
    return CategoricalDistribution([_stored(value) for value in space.choices])


def _stored(value: Any) -> Any:
    # Optuna's categories are plain scalars.
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _restored(space: Space, value: Any) -> Any:
    if isinstance(space, FloatRange | IntRange):
        return value
    return next(choice for choice in space.choices if _stored(choice) == value)
