"""Overfitting, learning curves and memorisation."""

from __future__ import annotations

from dataclasses import dataclass

from harness.findings.contrast import Interval


@dataclass(frozen=True, slots=True)
class Overfitting:
    """Train, validation and test score of the same final candidate (mean over seeds)."""

    arm: str
    """Name of the arm."""
    train: float | None
    """Primary metric on a sample of the training examples; None where it was not measured."""
    validation: float | None
    """Primary metric on validation; None where it was not measured."""
    test: float | None
    """Primary metric on test; None where it was not measured."""
    generalisation_gap: float | None
    """Train minus test, positive is worse on test; None where it was not measured."""
    gap_interval: Interval | None
    """Confidence interval of ``generalisation_gap``; None where that is None."""
    selection_gap: float | None
    """Validation score that selected the setting minus test score, positive is worse on test: what
    the tuning fooled itself by. None where it was not measured."""
    selection_interval: Interval | None
    """Confidence interval of ``selection_gap``; None where there is none."""
    selected: float | None = None
    """Validation score with which the search selected the setting, in the metric's own direction;
    None where nothing was selected."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One training-set size of an arm's learning curve, means over seeds."""

    train_items: int
    """Number of training examples."""
    seeds: int
    """Number of models trained on them, one a seed."""
    train: float | None
    """Primary metric on a sample of the examples trained on; None where it was not measured."""
    held_out: float | None
    """Primary metric on validation; None where it was not measured."""
    held_out_interval: Interval | None
    """Confidence interval of ``held_out``; None where there is none."""
    gap: float | None
    """Train minus held-out, positive is overfitting; None where it was not measured."""
    gap_interval: Interval | None
    """Confidence interval of ``gap``; None where that is None."""
    full: bool
    """This is the whole training split, on which the finalists are trained."""


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """An arm trained on nested sets of growing size, smallest first."""

    arm: str
    """Name of the arm."""
    metric: str
    """The primary metric."""
    points: tuple[CurvePoint, ...]
    """The sizes, smallest first."""
    gap_change: float | None
    """Gap at the smallest size minus gap at the largest, positive: less overfitting with more data;
    None where it was not measured."""
    gap_change_interval: Interval | None
    """Confidence interval of ``gap_change``; None where that is None."""
    last_gain: float | None
    """Held-out score at the largest size minus that at the size before, positive: more data would
    probably help; None where it was not measured."""
    last_gain_interval: Interval | None
    """Confidence interval of ``last_gain``; None where that is None."""


@dataclass(frozen=True, slots=True)
class Memorisation:
    """Does the arm complete the text of training examples that it has no business knowing?

    The second half of an example's input is asked for after the first.
    """

    arm: str
    """Name of the arm."""
    items: int
    """Number of training examples asked for."""
    unseen_items: int
    """Number of unseen (validation) examples asked for."""
    verbatim: float
    """Share of training examples whose second half greedy decoding reproduces token by token, mean
    over seeds."""
    verbatim_unseen: float
    """The same share of unseen examples."""
    verbatim_base: float
    """The same share of training examples of the untouched base."""
    excess: float
    """Share reproduced on training examples minus that on unseen ones, less the same of the base;
    positive is memorised."""
    excess_interval: Interval
    """Confidence interval of ``excess``."""
    familiarity: float
    """How much likelier training made the second halves of training examples than those of unseen
    ones, bits per byte (drop on training minus drop on unseen, both against the base); positive is
    memorised."""
    familiarity_interval: Interval
    """Confidence interval of ``familiarity``."""
    memorised: bool
    """The interval of ``excess`` or of ``familiarity`` lies above 0."""
    rows: str | None = None
    """File of the rows that it was trained on elsewhere, which are the training examples then; None
    where they are those of the study."""


__all__ = [
    "CurvePoint",
    "LearningCurve",
    "Memorisation",
    "Overfitting",
]
