"""The searches of all arms: proposals in, trials out, until each arm's budget is spent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.analysis.searches.selection import measured_changes
from harness.analysis.statistics.scores import Scores, validation_worth
from harness.records import (
    NO_WORTH,
    Confirmation,
    EndReason,
    SearchBudget,
    SearchEnded,
    TrialSpec,
    TrialSummary,
)
from harness.search import ArmSearch, PastTrial
from harness.spec.arms import Arm, TrainedArm
from harness.spec.instruction_sources import instruction_source
from harness.spec.kinds import kind_info
from harness.spec.settings import Settings, settings_from
from harness.store import StoreReader
from harness.study.observer import Observer
from harness.study.plan import Plan
from harness.study.spending import Spent
from harness.study.writing import (
    arm_as_written,
    is_to_be_written,
    left_for_search,
    spent_on_writing,
    text_for,
    trials_of_writing,
)
from harness.wording import plural

Selected = dict[int, Settings]
"""Repeat of an arm's search -> the resolved setting that its validation scores select."""

_Search = tuple[str, int]
"""An arm, and which of its searches."""


@dataclass(slots=True)
class _State:
    """How far one search is."""

    search: ArmSearch
    """The search itself, of the arm under the instruction that it is searched under."""
    trials: int
    """Number of trials that it may have."""
    settings: dict[int, Settings]
    """Number of a trial that ended -> its setting, with the way of answering that it found best."""
    spent: Spent = field(default_factory=Spent)
    """What the ended trials took."""
    first: Settings | None = None
    """The setting of trial 0; None where that is not complete."""
    announced: bool = False
    """The user was told that it began."""
    ended: tuple[EndReason, str] | None = None
    """Why it ended, and the limit that it reached; None while it goes on."""


def arm_search(
    plan: Plan,
    arm: str,
    spec: Arm,
    repeat: int,
    past: Iterable[PastTrial],
    margin: float | None = None,
) -> ArmSearch:
    """One search of an arm of the plan; see :class:`~harness.search.ArmSearch`.

    Args:
        spec: the arm, with the instruction that was written for it, or under that of another.
    """
    labels, text = plan.prepared.labels, text_for(plan, arm, repeat)
    return ArmSearch(
        arm,
        spec,
        plan.experiment.data.seed,
        plan.experiment.search,
        margin,
        past,
        len(labels) if labels is not None else None,
        repeat,
        text,
    )


class Searches:
    """A source of search trials: search after search, several side by side where there is room.

    An arm that is trained under the instruction of another waits until the search that selects this
    has ended.

    Args:
        plan: what is searched.
        known: search trials of earlier runs.
        reader: of the store that trials are in once they have ended.
        observer: told of what a user should know.
    """

    def __init__(
        self,
        plan: Plan,
        known: Sequence[TrialSummary],
        reader: StoreReader,
        observer: Observer,
    ) -> None:
        self._plan = plan
        self._known = known
        self._observer = observer
        self._reader = reader
        # Trials of earlier runs that count.
        self.taken = 0
        # By arm and repeat.
        self._states: dict[_Search, _State] = {}
        # Search -> that which selects its instruction.
        self._waiting: dict[_Search, _Search] = {}
        experiment = plan.experiment
        changes = self._changes({trial.arm for trial in known})
        for arm, spec in experiment.arms.items():
            source = instruction_source(spec)
            for repeat in range(experiment.repeats_of(arm)):
                if source is None:
                    own = arm_as_written(plan, arm, repeat)
                    self._states[arm, repeat] = self._state(arm, repeat, own, changes)
                else:
                    of_source = experiment.source_repeat(source, repeat)
                    self._waiting[arm, repeat] = source, of_source

    def next(self) -> TrialSpec | None:
        """A trial of the first search that may propose one now."""
        while True:
            for (arm, _), state in self._states.items():
                if state.ended is None and (spec := self._proposed(arm, state)):
                    return spec
            if not self._begin_waiting():
                return None

    def ended(self, trial: TrialSummary) -> None:
        """Tell the arm's search how its trial did."""
        state = self._states[trial.arm, trial.search_repeat]
        self._note(state, trial)
        state.search.tell(self._past(trial, self._changes({trial.arm}, trial.trial_id)))

    def counts(self, trial: TrialSummary) -> bool:
        """Whether a trial of the study is one of its searches as they are now.

        It is not where another instruction was selected for its arm, or none yet.
        """
        experiment, arm = self._plan.experiment, trial.arm
        if arm not in experiment.arms or instruction_source(experiment.arms[arm]) is None:
            return True
        searched = trial.phase == "search"
        repeat = trial.search_repeat if searched else experiment.repeat_of(arm, trial.seed)
        state = self._states.get((arm, repeat))
        return state is not None and trial.params["instruction"] == state.search.arm.instruction

    def defaults(self) -> dict[str, Settings]:
        """Arm -> setting of its first trial; of one that failed, a test would show nothing."""
        return {
            arm: state.first
            for (arm, repeat), state in self._states.items()
            if not repeat and state.first is not None
        }

    @property
    def waiting(self) -> dict[str, str]:
        """Arm that cannot be searched yet -> the arm whose search selects its instruction."""
        return {arm: source for (arm, _), (source, _) in self._waiting.items()}

    @property
    def tried(self) -> int:
        """Number of trials of all searches so far."""
        return sum(state.search.asked for state in self._states.values())

    def _begin_waiting(self) -> bool:
        """Begin the searches whose instruction is selected by now; whether there were any."""
        begun = [
            (search, source)
            for search, source in self._waiting.items()
            if (state := self._states.get(source))
            and state.ended
            and not state.search.under_way
            # Where it is only gone through what is known, an instruction may be yet to be written.
            and not is_to_be_written(self._plan, *source)
        ]
        for (arm, repeat), source in begun:
            del self._waiting[arm, repeat]
            best, spec = self._states[source].search.best(), self._plan.experiment.arms[arm]
            if best is None or not isinstance(spec, TrainedArm):
                self._observer.warning(
                    f"{self._named(arm, repeat)} is not trained: it takes its instruction from "
                    f"{self._named(*source)}, of which no trial was completed"
                )
                continue
            spec = spec.under(self._states[source].settings[best.number].instruction)
            self._states[arm, repeat] = self._state(arm, repeat, spec, self._changes({arm}))
        return bool(begun)

    def selected(self) -> dict[str, Selected]:
        """Arm -> what validation selects; arms and repeats without it are left out."""
        by_arm: dict[str, Selected] = {}
        for (arm, repeat), state in self._states.items():
            best = state.search.best()
            who = self._named(arm, repeat)
            if best is None:
                self._observer.warning(f"no trial of {who} was completed: it has no finalist")
                continue
            if not state.search.keeps(best):
                self._observer.warning(
                    f"no setting of {who} kept its general abilities within the margin on the "
                    f"search's items; the one that lost least is tested"
                )
            by_arm.setdefault(arm, {})[repeat] = state.settings[best.number]
        return {arm: by_arm[arm] for arm in self._plan.experiment.arms if arm in by_arm}

    def _named(self, arm: str, repeat: int) -> str:
        repeats = self._plan.experiment.repeats_of(arm)
        return arm if repeats == 1 else f"{arm} (search {repeat + 1} of {repeats})"

    def _changes(self, arms: Iterable[str], searched: str | None = None) -> dict[str, float]:
        """Mean change of general abilities of the arms' complete trials, or of one, by id."""
        experiment = self._plan.experiment
        watched = [arm for arm in arms if experiment.search_margin(arm) is not None]
        if not watched:
            return {}
        # All earlier trials read again after each one would make a search quadratic in its length.
        study = self._reader.study(self._plan.experiment_id, suite="general", searched=searched)
        scores = Scores(study)
        by_arm = [measured_changes(scores, arm, experiment) for arm in watched]
        return {trial: change for changes in by_arm for trial, change in changes.items()}

    def _item_values(self, trial: TrialSummary, metric: str) -> tuple[tuple[int, float], ...]:
        """The metric of a complete trial by place in the validation set; higher is better."""
        sign = self._sign
        values = self._reader.item_values(
            self._plan.experiment_id, trial.trial_id, "domain", "validation", metric
        )
        validation = self._plan.prepared.splits.validation
        return tuple(
            (n, sign * values[item.id]) for n, item in enumerate(validation) if item.id in values
        )

    @property
    def _sign(self) -> float:
        """What makes the primary metric one of which more is better."""
        return 1.0 if self._plan.experiment.task.higher_is_better else -1.0

    def _state(self, arm: str, repeat: int, spec: Arm, changes: Mapping[str, float]) -> _State:
        experiment = self._plan.experiment
        mine = [t for t in self._known if (t.arm, t.search_repeat) == (arm, repeat)]
        if instruction_source(experiment.arms[arm]) is not None:
            # Others are of an instruction that was selected once.
            mine = [trial for trial in mine if trial.params["instruction"] == spec.instruction]
        margin = experiment.search_margin(arm)
        past = [self._past(trial, changes) for trial in mine]
        search = arm_search(self._plan, arm, spec, repeat, past, margin)
        spent = Spent(*spent_on_writing(self._plan, arm, repeat))
        state = _State(search, left_for_search(self._plan, arm, repeat), {}, spent)
        for trial in mine:
            self._note(state, trial)
            self._observer.trial_skipped(arm, trial.phase)
        self.taken += len(mine)
        return state

    def _note(self, state: _State, trial: TrialSummary) -> None:
        setting = settings_from(trial.params)
        state.settings[trial.number] = setting
        state.spent.add(trial)
        if trial.status == "complete" and not trial.number:
            state.first = setting

    def _proposed(self, arm: str, state: _State) -> TrialSpec | None:
        repeat = state.search.repeat
        state.ended = self._reached(state)
        if state.ended or not state.search.ready():
            return None
        if not state.announced:
            state.announced = True
            who = self._named(arm, repeat)
            trials = plural(state.trials, "trial")
            self._observer.stage(f"Searching {who}: {trials} on validation")
        proposal = state.search.ask()
        if proposal is None:
            state.ended = ("settings_exhausted", "")
            return None
        settings = state.search.arm.resolve(proposal.params)
        return self._plan.search_trial(arm, proposal.number, settings, proposal.pruning, repeat)

    def _reached(self, state: _State) -> tuple[EndReason, str] | None:
        """Why the search is over, and the limit that it reached."""
        budget = self._plan.experiment.budget
        taken = trials_of_writing(self._plan, state.search.name, state.search.repeat)
        if state.search.owes or not state.search.asked:
            # Whatever writing took: the task's instruction is tried, and what was written beside.
            return None
        if state.search.asked >= state.trials:
            spent = state.search.asked + taken >= budget.trials
            return ("budget_spent", "trials") if spent else ("settings_exhausted", "")
        if budget.tokens is not None and state.spent.tokens >= budget.tokens:
            return "budget_spent", "tokens"
        if budget.minutes is not None and state.spent.seconds >= 60 * budget.minutes:
            return "budget_spent", "minutes"
        return None

    def ends(self) -> list[SearchEnded]:
        """Why each search ended and what it took, once all trials are in."""
        budget = self._plan.experiment.budget
        return [
            SearchEnded(
                arm=arm,
                repeat=repeat,
                reason=state.ended[0],
                limit=state.ended[1],
                trials=state.search.asked,
                written=trials_of_writing(self._plan, arm, repeat),
                tokens=state.spent.tokens,
                minutes=round(state.spent.seconds / 60, 3),
                budget=SearchBudget(budget.trials, budget.tokens, budget.minutes),
                confirmation=self._confirmation(state.search),
            )
            for (arm, repeat), state in self._states.items()
            if state.ended
        ]

    def _confirmation(self, search: ArmSearch) -> Confirmation | None:
        """Whether what was written is kept, with means in the metric's own direction."""
        found = search.confirmation()
        if found is None or found.written is None or found.own is None:
            return found
        return replace(found, written=self._sign * found.written, own=self._sign * found.own)

    def _past(self, trial: TrialSummary, changes: Mapping[str, float]) -> PastTrial:
        space = arm_as_written(self._plan, trial.arm, trial.search_repeat).search_space()
        metric = self._plan.experiment.task.primary
        complete = trial.status == "complete"
        worth = validation_worth(trial, metric) if complete else NO_WORTH
        score = worth.value if math.isfinite(worth.value) else None
        unscored = complete and score is None
        values = trial.curve
        if complete and not kind_info(trial.kind).trains:
            values = self._item_values(trial, metric.name)
        return PastTrial(
            number=trial.number,
            params={name: trial.params[name] for name in space},
            status="failed" if unscored else trial.status,
            score=score,
            general_change=changes.get(trial.trial_id),
            values=values,
            whole=worth.whole,
        )
