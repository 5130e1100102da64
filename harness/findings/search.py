"""How the search of an arm went, and what tuning gained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.findings.contrast import ContrastOutcome, Interval
from harness.records import Confirmation, keeps_abilities


@dataclass(frozen=True, slots=True)
class TuningGain:
    """What tuning gained over the default setting (trial 0), both on test, on the same seeds."""

    arm: str
    """Name of the arm."""
    kept_default: bool
    """Validation selected the default itself, so the gain is 0 by construction."""
    default_params: dict[str, object]
    """The default setting."""
    selected_params: dict[str, object]
    """The setting that the search selected."""
    default_test: float | None
    """Primary metric of the default on test, mean over seeds; None where it was not tested."""
    selected_test: float | None
    """Primary metric of the selected setting on test, mean over seeds; None where it was not
    tested."""
    gain: float | None
    """Selected minus default, positive is better; None where the default was not tested."""
    interval: Interval | None
    """Paired confidence interval of ``gain``; None where there is none, as for a gain of 0 by
    construction."""
    outcome: ContrastOutcome | None
    """What the interval says of the selected setting against the default; None where there is no
    gain."""
    seeds: int
    """Number of seeds that both were tested with."""


SearchEnd = Literal["budget_spent", "settings_exhausted", ""]


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """What stopping trials early saved: ``total`` less ``done`` units, over ``trials`` trials."""

    unit: Literal["items", "steps"]
    """What is counted: ``items`` of the validation set, or ``steps`` of training."""
    trials: int
    """Number of trials that were stopped early."""
    done: int
    """Units that they ran."""
    total: int
    """Units that they would have run."""


@dataclass(frozen=True, slots=True)
class SearchChoice:
    """The search trial that was selected, beside the one with the best validation score."""

    number: int
    """Number of the selected trial."""
    score: float
    """Primary metric on validation of the selected trial."""
    general_change: float | None
    """Mean change of the general tasks by the selected trial, against the base on the search's
    items, -1 to 1, positive is better; None where it was not measured or plays no part."""
    best_number: int
    """Number of the trial with the best validation score."""
    best_score: float
    """Primary metric on validation of that trial."""
    best_change: float | None
    """Mean change of the general tasks by that trial; None where it was not measured or plays no
    part."""
    margin: float | None
    """Loss of general abilities, 0 to 1, that the search accepts; None where it does not look at
    it."""
    kept: int
    """Number of trials not known to lose more than the margin."""
    candidates: int
    """Number of trials to choose among."""
    params: dict[str, object] = field(default_factory=dict)
    """The selected setting."""
    ways: dict[str, float] = field(default_factory=dict)
    """Way of answering -> primary metric on validation of the selected trial's trained weights;
    empty where it tried one only."""

    @property
    def best_forgot(self) -> bool:
        """Whether the best score is known to have lost more than the margin."""
        return not keeps_abilities(self.best_change, self.margin)


@dataclass(frozen=True, slots=True)
class EdgeSetting:
    """A number of the selected setting at an end of the values that were searched."""

    name: str
    """Name of the hyperparameter."""
    value: float
    """Its selected value."""
    low: float
    """The lowest value that was searched."""
    high: float
    """The highest value that was searched."""
    upper: bool
    """The value lies at the high end; at the low end otherwise."""
    beyond: float
    """The value to try past that end."""


@dataclass(frozen=True, slots=True)
class RisingSearch:
    """A search whose last trials still brought something."""

    gain: float
    """Best validation score of the last third of its trials minus the best before it, positive is
    better."""
    late: int
    """Number of trials in that third."""
    more: int
    """Number of trials to add."""


@dataclass(frozen=True, slots=True)
class SearchSummary:
    """One search of an arm: what it was given, what it took, why it ended, what it chose."""

    arm: str
    """Name of the arm."""
    asked: int
    """Trials that were run."""
    complete: int
    """Trials that ran to their end."""
    pruned: int
    """Trials that were stopped early."""
    failed: int
    """Trials that failed."""
    sampler: str
    """Name of the sampler that proposed settings."""
    pruner: str
    """What could stop a trial early; ``none`` where nothing could."""
    budget_trials: int
    """Declared number of trials."""
    budget_tokens: int | None
    """Declared limit of tokens; None is no limit."""
    budget_minutes: float | None
    """Declared limit of minutes; None is no limit."""
    tokens: int | None
    """Tokens that were trained on or scored; None where it was not noted."""
    minutes: float | None
    """Wall time of its trials added up, minutes; None where it is not known."""
    ended: SearchEnd
    """Why the search ended; empty where it was not noted."""
    limit: str
    """The limit that was reached first: ``trials``, ``tokens`` or ``minutes``; empty unless a
    budget was spent."""
    stopped: tuple[EarlyStop, ...]
    """What early stopping saved, one entry a unit."""
    choice: SearchChoice | None
    """The selected trial; None where no trial completed."""
    repeat: int = 0
    """Which of the arm's ``repeats`` searches it is, from 0."""
    repeats: int = 1
    """Number of searches of the arm."""
    edges: tuple[EdgeSetting, ...] = ()
    """Numbers of the selected setting that lie at an end of what was searched."""
    rising: RisingSearch | None = None
    """What the last trials still brought, where it is more than the margin; None otherwise."""
    written: int = 0
    """Trials of the budget that writing an instruction took, counted in tokens and rounded up."""
    confirmation: Confirmation | None = None
    """Whether what was written is kept; None where nothing was, or it is not known yet."""

    @property
    def title(self) -> str:
        """The arm, and which of its searches it is where there are several."""
        if self.repeats == 1:
            return self.arm
        return f"{self.arm}, search {self.repeat + 1} of {self.repeats}"


@dataclass(frozen=True, slots=True)
class Retuning:
    """How much an arm's test score differs between its searches, each with its own setting."""

    arm: str
    """Name of the arm."""
    searches: int
    """Number of searches of which a final run was scored."""
    runs: int
    """Number of final runs of all of them."""
    spread: float
    """Standard deviation of the searches' mean scores, in the metric's unit."""
    beyond_seeds: float | None
    """The same spread without what the seeds of final runs explain; None where each search has one
    final run, so that it cannot be told."""


@dataclass(frozen=True, slots=True)
class PicturedTrial:
    """A complete trial of a search, as it is drawn."""

    place: int
    """Place among all trials of the search in the order of asking, from 0."""
    score: float
    """Primary metric on validation, in its own direction."""
    lost: bool
    """Whether it is known to have lost more of the general abilities than is accepted."""


@dataclass(frozen=True, slots=True)
class PicturedSetting:
    """Where the trials of a search lie in one setting."""

    name: str
    """Name of the setting."""
    values: tuple[float, ...]
    """The value of each trial; of a choice, its place in ``choices``."""
    choices: tuple[str, ...] = ()
    """The choices that were tried; empty for a range."""
    log: bool = False
    """Whether it was searched on a logarithmic scale."""
    whole: bool = False
    """Whether its values are whole numbers."""


@dataclass(frozen=True, slots=True)
class SearchPicture:
    """How one arm's search went, and which settings mattered in it."""

    arm: str
    """Name of the arm."""
    trials: tuple[PicturedTrial, ...]
    """The complete trials, in the order of asking."""
    evaluator: str
    """Name of the method by which importances were computed."""
    importances: dict[str, float]
    """Setting -> share of the variation of the score that goes with it, the largest first; empty
    where it cannot be told."""
    forgetting: dict[str, float]
    """Setting -> share of the variation of the general change that goes with it; empty where it
    cannot be told."""
    settings: tuple[PicturedSetting, ...]
    """The settings that matter most, as far as they are drawn, by name."""
    selected: int
    """Place of the trial that was selected."""
    higher_is_better: bool = True
    """Direction of the score."""
    repeat: int = 0
    """Which of the arm's searches it shows, from 0."""


__all__ = [
    "EarlyStop",
    "EdgeSetting",
    "PicturedSetting",
    "PicturedTrial",
    "Retuning",
    "RisingSearch",
    "SearchChoice",
    "SearchEnd",
    "SearchPicture",
    "SearchSummary",
    "TuningGain",
]
