"""One arm's search, rebuilt from the trials on record before every proposal.

The store is the only truth: an Optuna study lives for one proposal. A proposal depends on the
arm, the seed, and the trials at least ``ahead`` places before it; those in between count as
running, whether they have ended or not. So the same experiment asks for the same trials on one
core and on a cluster, in one go and after any interruption.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from harness.records import (
    NO_WORTH,
    Confirmation,
    Pruning,
    Status,
    TrialCurve,
    Worth,
    content_hash,
    keeps_abilities,
    loss_beyond_margin,
    selected,
)
from harness.search.confirming import seeded_confirmation
from harness.search.covering import covering
from harness.search.samplers import learns, new_sampler, remembers, startup_trials
from harness.search.space import distributions, restored, stored, untried
from harness.spec import Arm, SearchSpec
from harness.spec.arm_base import ORIGIN_FIELDS, REASONING_KEYS, STUDY_FIELDS
from harness.spec.endpoint import TERMS
from harness.spec.kinds import kind_info

GENERAL_LOSS = "general_loss_beyond_margin"


@dataclass(frozen=True, slots=True)
class PastTrial:
    """A trial that has ended."""

    number: int
    """Number of the trial within its search, from 0."""
    params: dict[str, Any]
    """Values of the searched hyperparameters."""
    status: Status
    """How it ended."""
    score: float | None = None
    """Primary metric on validation, signed so that higher is better; None unless the trial is
    complete."""
    general_change: float | None = None
    """Mean change of the general tasks against the base, -1 to 1, positive is better; None where it
    was not measured."""
    values: tuple[tuple[int, float], ...] = ()
    """What a pruner looks at, as in :class:`~harness.records.TrialCurve`."""
    whole: bool = True
    """As :attr:`harness.records.Worth.whole`."""

    @property
    def worth(self) -> Worth:
        """The score as it is ranked."""
        return NO_WORTH if self.score is None else Worth(self.whole, self.score)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What to try next."""

    number: int
    """Number of the trial within its search, from 0."""
    params: dict[str, Any]
    """Values of the searched hyperparameters."""
    pruning: Pruning | None = None
    """What may stop the trial; None where nothing may."""


@dataclass(slots=True)
class ArmSearch:
    """Ask for settings and tell how they did; higher scores are better.

    Trial 0 is always the arm's default setting, so that tuning can be compared with not tuning
    ("Overtuning", arXiv 2506.19540). Where the sampler would draw its first trials at random they
    cover the space instead; see :func:`~harness.search.covering.covering`.
    """

    name: str
    """Name of the arm."""
    arm: Arm
    """The arm as declared; with ``seed`` and ``repeat`` it fixes the sampler's choices."""
    seed: int
    """Seed of the data's division, from which the sampler's own is made."""
    rules: SearchSpec
    """The rules of the search as declared."""
    margin: float | None = None
    """Loss of general abilities (0 to 1) that is accepted; None where the search does not look at
    them."""
    past: Iterable[PastTrial] = ()
    """Trials that ended in an earlier run of the same study."""
    labels: int | None = None
    """Number of labels of the task; None for other answers."""
    repeat: int = 0
    """Which of the arm's searches it is, from 0."""
    written: str | None = None
    """Instruction that was written for it: the next trial holds it against the task's own, at the
    default setting, and it is tried no more where it does no better. None where none was."""
    _space: dict[str, BaseDistribution] = field(init=False)
    """Hyperparameter -> what Optuna knows of it."""
    _open: dict[int, dict[str, Any]] = field(init=False, default_factory=dict)
    """Number of a trial that was proposed and has not ended -> its setting."""
    _told: dict[int, PastTrial] = field(init=False, default_factory=dict)
    """Number of a trial that ended -> the trial."""

    def __post_init__(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = distributions(self.arm.search_space())
        self._told = {trial.number: trial for trial in self.past}

    @property
    def asked(self) -> int:
        """Number of trials that were proposed, ended or not."""
        return len(self._told) + len(self._open)

    @property
    def under_way(self) -> bool:
        """Whether a trial was proposed that has not ended."""
        return bool(self._open)

    def ready(self) -> bool:
        """Whether :meth:`ask` can answer before another trial ends."""
        if not self._depends_on_others():
            return True
        number = self._next_number()
        return all(earlier in self._told for earlier in range(number - self.rules.ahead + 1))

    def ask(self) -> Proposal | None:
        """The next setting, or None when a finite space is exhausted.

        In a space of choices and whole numbers, up to 2,000 settings, none is proposed twice.

        Asking again after a restart gives the same answer.

        Raises:
            ValueError: the answer depends on trials that have not ended (see :meth:`ready`).
        """
        if not self.ready():
            raise ValueError("the next proposal depends on trials that have not ended")
        number = self._next_number()
        before = self._before(number)
        left, dropped = untried(self._space, before), self._dropped(self._visible(number))
        if dropped and left is not None:
            left = [params for params in left if params["instruction"] != self.written]
        if left is not None and not left:
            return None
        params = self._sampled(number, before)
        if dropped:
            params["instruction"] = None
        if left is not None and params not in left:
            # The score of a repeated setting is known; spend the trial on a new one.
            params = left[np.random.default_rng(self._seed_of(number)).integers(len(left))]
        self._open[number] = params
        return Proposal(number, restored(self.arm.search_space(), params), self._pruning(number))

    def tell(self, trial: PastTrial) -> None:
        """Report how an asked trial ended.

        Raises:
            KeyError: the number was not asked for, or was told already.
        """
        del self._open[trial.number]
        self._told[trial.number] = trial

    def best(self) -> PastTrial | None:
        """The setting to go on with; None if no trial is complete."""
        scored = (trial for trial in self._told.values() if trial.score is not None)
        if self._dropped(self._told.values()):
            scored = (one for one in scored if one.params["instruction"] != self.written)
        return selected(scored, self.margin)

    @property
    def owes(self) -> bool:
        """Whether what was written is still to be held against the task's own instruction."""
        return self._written_setting() not in (None, *self._before(len(self._told | self._open)))

    def confirmation(self) -> Confirmation | None:
        """Whether what was written is kept; None where nothing was, or it cannot be told yet."""
        return self._confirmation(self._told.values())

    def keeps(self, trial: PastTrial) -> bool:
        """Whether the trial lost no more of the general abilities than is accepted."""
        return keeps_abilities(trial.general_change, self.margin)

    def _next_number(self) -> int:
        taken = self._told.keys() | self._open.keys()
        return next(number for number in range(len(taken) + 1) if number not in taken)

    def _depends_on_others(self) -> bool:
        return learns(self.rules.sampler) or self._pruner() != "none" or self.written is not None

    def _written_setting(self) -> dict[str, Any] | None:
        """The default setting under what was written; None where nothing was."""
        if self.written is None:
            return None
        return stored(self.arm.defaults() | {"instruction": self.written}, self._space)

    def _confirmation(self, ended: Iterable[PastTrial]) -> Confirmation | None:
        setting = self._written_setting()
        if self.written is None:
            return None
        by_number = {trial.number: trial for trial in ended}
        own = by_number.get(0)
        theirs = next(
            (by_number[n] for n in sorted(by_number)
             if stored(by_number[n].params, self._space) == setting), None,
        )  # fmt: skip
        if own is None or own.score is None or theirs is None:
            return None
        worths = None if theirs.score is None else (theirs.worth, own.worth)
        seed = (self.seed, self.repeat)
        return seeded_confirmation(self.written, theirs.values, own.values, worths, seed)

    def _dropped(self, ended: Iterable[PastTrial]) -> bool:
        """Whether what was written is known to be no better than the task's own."""
        found = self._confirmation(ended)
        return found is not None and not found.kept

    def _before(self, number: int) -> list[dict[str, Any]]:
        """Searched values of all earlier trials, in order."""
        by_number = {n: params for n, params in self._open.items() if n < number}
        by_number |= {n: stored(t.params, self._space) for n, t in self._told.items() if n < number}
        return [by_number[n] for n in sorted(by_number)]

    def _visible(self, number: int) -> list[PastTrial]:
        last = number - self.rules.ahead
        return [self._told[n] for n in sorted(self._told) if n <= last]

    def _sampled(self, number: int, before: Sequence[dict[str, Any]]) -> dict[str, Any]:
        if number == 0:
            return stored(self.arm.defaults(), self._space)
        if (written := self._written_setting()) is not None and written not in before:
            return written
        if not self._space:
            return {}
        first = number < startup_trials(self.rules.sampler)
        if first and (params := covering(self._space, before, self._seed_of(number), self.labels)):
            return params
        study = self._replayed(number) if remembers(self.rules.sampler) else self._filled(number)
        study.sampler = self._sampler_of(number)
        return dict(study.ask(self._space).params)

    def _filled(self, number: int) -> optuna.Study:
        """The study before the proposal: what has ended with its outcome, the rest running."""
        study = self._empty_study()
        visible = {trial.number: trial for trial in self._visible(number)}
        for earlier, params in enumerate(self._before(number)):
            past = visible.get(earlier)
            study.add_trial(
                create_trial(
                    state=TrialState.RUNNING if past is None else _STATES[past.status],
                    params=params,
                    distributions=self._space,
                    **({} if past is None else self._outcome(past)),
                )
            )
        return study

    def _replayed(self, number: int) -> optuna.Study:
        """The same study, with every earlier proposal drawn again, for what samplers note."""
        study = self._empty_study()
        visible = {trial.number: trial for trial in self._visible(number)}
        for earlier, params in enumerate(self._before(number)):
            study.sampler = self._sampler_of(earlier)
            study.enqueue_trial(params)
            trial = study.ask(self._space)
            past = visible.get(earlier)
            if past is None:
                continue
            excess = loss_beyond_margin(past.general_change, self.margin)
            if excess is not None and not self._two_objectives():
                trial.set_constraint(GENERAL_LOSS, excess)
            outcome = self._outcome(past)
            values = outcome.get("values")
            study.tell(trial, values, state=None if values else _STATES[past.status])
        return study

    def _empty_study(self) -> optuna.Study:
        objectives = 2 if self._two_objectives() else 1
        return optuna.create_study(directions=[StudyDirection.MAXIMIZE] * objectives)

    def _outcome(self, past: PastTrial) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if past.status == "complete" and past.score is not None:
            change = past.general_change
            second = [0.0 if change is None else change] if self._two_objectives() else []
            fields["values"] = [past.score, *second]
        if not self._two_objectives():
            fields["intermediate_values"] = dict(past.values)
            excess = loss_beyond_margin(past.general_change, self.margin)
            if excess is not None:
                fields["constraints"] = {GENERAL_LOSS: excess}
        return fields

    def _two_objectives(self) -> bool:
        return self.margin is not None and self.rules.forgetting == "objective"

    def _pruner(self) -> str:
        kind = kind_info(self.arm.kind)
        if not kind.language_model:
            # Its trials take seconds.
            return "none"
        return self.rules.trained_pruner if kind.trains else self.rules.prompt_pruner

    def _pruning(self, number: int) -> Pruning | None:
        visible = [trial for trial in self._visible(number) if trial.values]
        match self._pruner():
            case "wilcoxon":
                done = [trial for trial in visible if trial.score is not None]
                best = max(done, key=lambda t: (t.score or 0.0, -t.number), default=None)
                past: Sequence[PastTrial] = () if best is None else (best,)
                level, items = self.rules.prompt_pruner_level, self.rules.prompt_pruner_items
                return Pruning("wilcoxon", _courses(past), level, items) if past else None
            case "median" | "halving" as pruner:
                return Pruning(pruner, _courses(visible)) if visible else None
            case _:
                return None

    def _seed_of(self, number: int) -> int:
        # The first search's seeds are those of a search that is not repeated.
        again = [self.repeat] if self.repeat else []
        # What the arm is called is none of its choices: a renamed arm asks for the same trials. Nor
        # is where its weights lie, or what is told of how they were trained.
        told = set(STUDY_FIELDS | ORIGIN_FIELDS)
        if getattr(self.arm, "reasoning", "none") == "none":
            told |= set(REASONING_KEYS)
        plain = self.arm.model_dump(mode="json", by_alias=True, exclude=told, warnings=False)
        for term in TERMS & set(plain.get("endpoint") or ()):
            plain["endpoint"].pop(term)
        return int(content_hash([plain, self.seed, number, *again], 8), 16)

    def _sampler_of(self, number: int) -> optuna.samplers.BaseSampler:
        # A quasi-random sequence is one sequence: its seed is the arm's.
        quasi_random = self.rules.sampler == "qmc"
        return new_sampler(self.rules.sampler, self._seed_of(-1 if quasi_random else number))


_STATES: dict[Status, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def _courses(trials: Iterable[PastTrial]) -> tuple[TrialCurve, ...]:
    return tuple(TrialCurve(t.number, t.status, t.score, t.values) for t in trials)
