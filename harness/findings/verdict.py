"""The verdict, what it hangs on, and what was claimed and planned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.findings.contrast import Interval

VerdictOutcome = Literal[
    "fine_tune",
    "both",
    "prompt",
    "equivalent",
    "forgets_too_much",
    "hardly_tried",
    "best_prompt",
    "prompts_tied",
    "inconclusive",
]
OUTCOME_LABELS: dict[str, str] = {
    "fine_tune": "Fine-tune",
    "both": "Both: prompt, then fine-tune",
    "prompt": "Prompt, do not fine-tune",
    "equivalent": "Either works: take the cheaper",
    "forgets_too_much": "Fine-tuning works, but forgets too much",
    "hardly_tried": "Not decided: fine-tuning was hardly tried",
    "best_prompt": "The best prompt is found",
    "prompts_tied": "No single best prompt",
    "inconclusive": "Not decided yet",
}
"""The decision as a heading."""


@dataclass(frozen=True, slots=True)
class Flip:
    """How far one assumption must move for the verdict to change."""

    assumption: str
    """Dotted name of the field in the experiment file."""
    direction: Literal["down", "up"]
    """Which way the value moves."""
    value: float | None
    """The value as declared; None where it was not declared."""
    at: float | None
    """The nearest value, in that direction, with another verdict; None where none was found up to
    ``searched``."""
    searched: float
    """The farthest value that was tried in that direction."""
    outcome: VerdictOutcome | None
    """Outcome of the other verdict; None where none was found."""
    winner: str
    """Winner of the other verdict; empty where it has none or none was found."""
    sentence: str
    """The result in words."""


@dataclass(frozen=True, slots=True)
class Perturbation:
    """The verdict again with a part of the evidence left out, such as one seed."""

    left_out: str
    """What was left out, in words."""
    outcome: VerdictOutcome
    """Outcome of the verdict without it."""
    winner: str
    """Winner of the verdict without it; empty where it has none."""
    changed: bool
    """The outcome or the winner differs from the study's verdict."""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What the verdict hangs on."""

    flips: tuple[Flip, ...]
    """Assumptions, each with the nearest value that changes the verdict."""
    perturbations: tuple[Perturbation, ...]
    """The verdict without parts of the evidence."""


Shortfall = Literal[
    "one_setting",
    "few_steps",
    "loss_falling",
    "curve_rising",
    "part_of_the_rows",
    "rows_left_out",
    "decoding",
]


@dataclass(frozen=True, slots=True)
class EffortReason:
    """One sign that a fine-tuned arm was hardly tried."""

    shortfall: Shortfall
    """The kind of sign."""
    sentence: str
    """The sign in words."""
    next_step: str
    """What to run next: a line of the experiment file, or what to do."""
    fall: float | None = None
    """The least share by which a validation loss was still falling; None of any other sign."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard a fine-tuned arm was tried, beside the best prompt arm."""

    arm: str
    """Name of the arm."""
    reasons: tuple[EffortReason, ...]
    """Why it counts as hardly tried; empty where it does not."""


ClaimStatus = Literal["held", "not_held", "inconclusive", "not_tested"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that guides to fine-tuning make, checked on this task."""

    key: str
    """Short name of the claim."""
    claim: str
    """The claim in words."""
    measured: str
    """What was measured here, with unit and, where there is one, interval; empty where nothing was.
    """
    interval: Interval | None
    """Confidence interval of what was measured; None where there is none."""
    status: ClaimStatus
    """Whether the claim held here."""
    why: str
    """The rule that gave the status, or why it was not tested."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision in words, each of them a full sentence."""

    outcome: VerdictOutcome
    """The decision."""
    winner: str
    """Arm to use; for ``equivalent`` the cheaper one, as for ``prompts_tied`` where none is better;
    empty where no arm is named, as for ``inconclusive`` and ``hardly_tried``."""
    sentence: str
    """The decision in words."""
    reasons: tuple[str, ...]
    """Why, a sentence each."""
    caveats: tuple[str, ...]
    """What makes it less than sure, a sentence each."""
    items_needed: int | None
    """Test items that would settle it; None when settled, or when no number of items would."""
    rule: str = ""
    """Name of the rule that decided."""


@dataclass(frozen=True, slots=True)
class PlanLock:
    """The plan as it was locked before the first trial."""

    hash: str
    """SHA-256 of all that the plan holds."""
    locked_at: str
    """When it was locked, ISO 8601."""
    harness: str
    """Version of harness that locked it."""
    changed_rules: tuple[str, ...] = ()
    """Rules of the verdict that differ from those of the plan; empty where none does."""


@dataclass(frozen=True, slots=True)
class NotCovered:
    """A source of chance that no interval of the report covers, and its size in words."""

    source: str
    """The source of chance."""
    size: str
    """Its size in words."""
    known: bool
    """Its size is known."""


__all__ = [
    "OUTCOME_LABELS",
    "Claim",
    "ClaimStatus",
    "Effort",
    "EffortReason",
    "Flip",
    "NotCovered",
    "Perturbation",
    "PlanLock",
    "Sensitivity",
    "Shortfall",
    "Verdict",
    "VerdictOutcome",
]
