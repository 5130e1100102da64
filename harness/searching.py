"""The searches of all arms: proposals in, trials out, until each arm's budget is spent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from harness.observer import Observer
from harness.planning import Plan
from harness.records import TrialSpec, TrialSummary
from harness.search import ArmSearch, PastTrial

Reason = Literal["budget_spent", "settings_exhausted"]
Values = Callable[[TrialSummary], Mapping[int, float]]
Changes = Callable[[], Mapping[str, float]]


@dataclass(slots=True)
class _Spent:
    """What the ended trials of an arm's search took."""

    tokens: int = 0
    seconds: float = 0.0

    def add(self, trial: TrialSummary) -> None:
        """Trained on and scored; fresh scores only, since a reused one costs nothing."""
        scored = {
            (one.suite, one.task, one.split): one.items
            * (one.prompt_tokens + one.completion_tokens)
            for one in trial.aggregates
            if not one.reused and not math.isnan(one.prompt_tokens)
        }
        trained = trial.cost.train_tokens if trial.cost else 0
        self.tokens += trained + round(sum(scored.values()))
        began, ended = map(datetime.fromisoformat, (trial.started_at, trial.ended_at))
        self.seconds += (ended - began).total_seconds()


@dataclass(slots=True)
class _ArmState:
    search: ArmSearch
    spent: _Spent = field(default_factory=_Spent)
    announced: bool = False
    ended: tuple[Reason, str] | None = None


class Searches:
    """A source of search trials: arm after arm, several side by side where there is room.

    Parameters:
        known: search trials of earlier runs.
        item_values: of a complete prompt trial, the primary metric by place in the validation set.
        general_changes: mean change of general abilities of every complete search trial, by id.
    """

    def __init__(
        self,
        plan: Plan,
        known: Sequence[TrialSummary],
        observer: Observer,
        *,
        item_values: Values,
        general_changes: Changes,
    ) -> None:
        self._plan = plan
        self._observer = observer
        self._item_values = item_values
        self._general_changes = general_changes
        changes = general_changes()
        self._arms = {arm: self._state(arm, known, changes) for arm in plan.experiment.arms}

    def next(self) -> TrialSpec | None:
        """A trial of the first arm that may propose one now."""
        for arm, state in self._arms.items():
            if state.ended is None and (spec := self._proposed(arm, state)):
                return spec
        return None

    def ended(self, trial: TrialSummary) -> None:
        """Tell the arm's search how its trial did."""
        state = self._arms[trial.arm]
        state.spent.add(trial)
        changes = self._general_changes() if self._plan.watches_forgetting(trial.arm) else {}
        state.search.tell(self._past(trial, changes))

    def selected(self) -> dict[str, dict[str, Any]]:
        """Arm -> the resolved setting that validation selects; arms without one are left out."""
        found = {}
        for arm, state in self._arms.items():
            best = state.search.best()
            if best is None:
                self._observer.warning(f"no trial of {arm} was completed: it has no finalist")
                continue
            if not state.search.keeps(best):
                self._observer.warning(
                    f"no setting of {arm} kept its general abilities within the margin on the "
                    f"search's items; the one that lost least is tested"
                )
            found[arm] = self._plan.experiment.arms[arm].resolve(best.params)
        return found

    def _state(
        self, arm: str, known: Sequence[TrialSummary], changes: Mapping[str, float]
    ) -> _ArmState:
        experiment = self._plan.experiment
        mine = [trial for trial in known if trial.arm == arm]
        watches = experiment.search.forgetting != "ignore" and self._plan.watches_forgetting(arm)
        margin = experiment.general.margin if watches and experiment.general else None
        search = ArmSearch(
            arm,
            experiment.arms[arm],
            experiment.data.seed,
            experiment.search,
            margin,
            [self._past(trial, changes) for trial in mine],
        )
        state = _ArmState(search)
        for trial in mine:
            state.spent.add(trial)
            self._observer.trial_skipped(str(trial.number), arm)
        return state

    def _proposed(self, arm: str, state: _ArmState) -> TrialSpec | None:
        experiment = self._plan.experiment
        state.ended = self._reached(arm, state)
        if state.ended or not state.search.ready():
            return None
        if not state.announced:
            state.announced = True
            trials = experiment.trials_of(arm)
            self._observer.stage(f"Searching {arm}: {trials} trials on validation")
        proposal = state.search.ask()
        if proposal is None:
            state.ended = ("settings_exhausted", "")
            return None
        params = experiment.arms[arm].resolve(proposal.params)
        return self._plan.search_trial(arm, proposal.number, params, proposal.pruning)

    def _reached(self, arm: str, state: _ArmState) -> tuple[Reason, str] | None:
        """Why the arm's search is over, and the limit that it reached."""
        budget = self._plan.experiment.budget
        if state.search.asked >= budget.trials:
            return "budget_spent", "trials"
        if state.search.asked >= self._plan.experiment.trials_of(arm):
            return "settings_exhausted", ""
        if budget.tokens is not None and state.spent.tokens >= budget.tokens:
            return "budget_spent", "tokens"
        if budget.minutes is not None and state.spent.seconds >= 60 * budget.minutes:
            return "budget_spent", "minutes"
        return None

    def ends(self) -> list[dict[str, Any]]:
        """Of every arm, why its search ended and what it took; once all trials are in."""
        budget = self._plan.experiment.budget
        return [
            {
                "arm": arm,
                "reason": state.ended[0],
                "limit": state.ended[1],
                "trials": state.search.asked,
                "tokens": state.spent.tokens,
                "minutes": round(state.spent.seconds / 60, 3),
                "budget": budget.model_dump(include={"trials", "tokens", "minutes"}),
            }
            for arm, state in self._arms.items()
            if state.ended
        ]

    def _past(self, trial: TrialSummary, changes: Mapping[str, float]) -> PastTrial:
        space = self._plan.experiment.arms[trial.arm].search_space()
        score = self._validation(trial)
        unscored = trial.status == "complete" and score is None
        return PastTrial(
            number=trial.number,
            params={name: trial.params[name] for name in space},
            status="failed" if unscored else trial.status,
            score=score,
            general_change=changes.get(trial.trial_id),
            values=self._course(trial),
        )

    def _validation(self, trial: TrialSummary) -> float | None:
        """Primary metric on validation of a complete trial."""
        metric = self._plan.experiment.task.primary_metric
        for aggregate in trial.aggregates:
            domain = (aggregate.suite, aggregate.split) == ("domain", "validation")
            if trial.status == "complete" and domain and aggregate.metric == metric:
                return aggregate.value
        return None

    def _course(self, trial: TrialSummary) -> tuple[tuple[int, float], ...]:
        """What a pruner looks at; see :class:`~harness.records.Course`."""
        if trial.stopped is not None:
            return trial.stopped.values
        if trial.kind == "prompt":
            values = self._item_values(trial) if trial.status == "complete" else {}
            return tuple(sorted(values.items()))
        losses = [step.validation_loss for step in trial.steps if step.validation_loss is not None]
        return tuple((check, -loss) for check, loss in enumerate(losses, 1))
