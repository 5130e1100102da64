"""What each chart of a report shows: its values as they are drawn, and every text final.

:mod:`harness.report.sections` fills these records, :mod:`harness.report.charts` draws them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ForestRow:
    """A difference with its interval; ``text`` is the same in words."""

    label: str
    """What the row is called."""
    arm: str
    """Arm whose colour the row has."""
    difference: float
    """The difference, as it is drawn; positive is better for the first arm."""
    low: float
    """Lower end of its interval, as it is drawn."""
    high: float
    """Upper end of its interval, as it is drawn."""
    margin: float
    """Margin within which differences count as equivalent, as it is drawn."""
    primary: bool
    """Whether it is the primary contrast."""
    text: str
    """The difference in words."""


@dataclass(frozen=True, slots=True)
class TradePoint:
    """A candidate in the plane of domain gain (right is better) and general change (up)."""

    arm: str
    """Arm whose colour the point has."""
    gain: float
    """Gain on the domain, as it is drawn; positive is better."""
    change: float
    """General change, as it is drawn; positive is better."""
    on_front: bool
    """Whether no other point is better in both."""
    on_arm_front: bool
    """Whether no other point of its own arm is better in both."""
    final: bool
    """Whether it is a finalist, not a trial of the search."""


@dataclass(frozen=True, slots=True)
class SizePoint:
    """Scores at one training-set size, with the ends of the held-out score's interval."""

    items: int
    """Number of training examples."""
    train: float | None
    """Score on the training sample, as it is drawn; None where it was not measured."""
    held_out: float | None
    """Score on validation, as it is drawn; None where it was not measured."""
    low: float | None
    """Lower end of the interval of ``held_out``; None where there is none."""
    high: float | None
    """Upper end of the interval of ``held_out``; None where there is none."""


@dataclass(frozen=True, slots=True)
class SizeLine:
    """One arm's scores by training-set size, smallest first."""

    arm: str
    """Name of the arm."""
    points: tuple[SizePoint, ...]
    """The sizes, smallest first."""


@dataclass(frozen=True, slots=True)
class LossLine:
    """Loss by step of one training run; ``validation`` where it was measured."""

    arm: str
    """Name of the arm."""
    train: tuple[tuple[int, float], ...]
    """(step, training loss in nats), by step."""
    validation: tuple[tuple[int, float], ...]
    """(step, validation loss in nats), by step; empty where it was not measured."""


@dataclass(frozen=True, slots=True)
class SplitScores:
    """One arm's score by split; None where it was not measured."""

    arm: str
    """Name of the arm."""
    train: float | None
    """Score on the training sample, as it is drawn."""
    validation: float | None
    """Score on validation, as it is drawn."""
    test: float | None
    """Score on test, as it is drawn."""
    test_low: float | None
    """Lower end of the interval of ``test``; None where there is none."""
    test_high: float | None
    """Upper end of the interval of ``test``; None where there is none."""


@dataclass(frozen=True, slots=True)
class ForestChart:
    """Paired differences around zero, with the margin as a band and in words."""

    axis: str
    """Label of the axis, with its unit."""
    margin: str
    """The margin in words."""
    rows: tuple[ForestRow, ...]
    """The differences, from the top."""


@dataclass(frozen=True, slots=True)
class TradeOffChart:
    """Learning against forgetting."""

    x_axis: str
    """Label of the axis of domain gain."""
    y_axis: str
    """Label of the axis of general change."""
    points: tuple[TradePoint, ...]
    """The candidates."""
    margin: float | None
    """The loss that still counts as no forgetting, as it is drawn; None where there is none."""
    margin_text: str
    """The same loss in words."""


@dataclass(frozen=True, slots=True)
class LossChart:
    """Loss curves of the final training runs."""

    lines: tuple[LossLine, ...]
    """A line a training run."""


@dataclass(frozen=True, slots=True)
class SplitChart:
    """Scores by split, one group an arm."""

    axis: str
    """Label of the axis, with its unit."""
    groups: tuple[SplitScores, ...]
    """The scores of each arm."""


@dataclass(frozen=True, slots=True)
class CurveChart:
    """Learning curves: scores against the number of training examples."""

    axis: str
    """Label of the axis, with its unit."""
    lines: tuple[SizeLine, ...]
    """A line an arm."""


@dataclass(frozen=True, slots=True)
class ReliabilityLine:
    """How often one arm is right, by how sure it is."""

    arm: str
    """Name of the arm."""
    points: tuple[tuple[float, float], ...]
    """(mean confidence, share right) of equally many replies each, in per cent."""


@dataclass(frozen=True, slots=True)
class ReliabilityChart:
    """Confidence against accuracy; on the diagonal, an arm is right as often as it is sure."""

    lines: tuple[ReliabilityLine, ...]
    """A line an arm."""


@dataclass(frozen=True, slots=True)
class ScaleRow:
    """A value with its interval on a scale that all rows share."""

    label: str
    """What the row is called."""
    arm: str
    """Arm whose colour the row has; what is no arm has the colour of text."""
    value: float
    """The value, as it is drawn."""
    low: float | None
    """Lower end of its interval, as it is drawn; None where there is none."""
    high: float | None
    """Upper end of its interval, as it is drawn; None where there is none."""
    strong: bool = False
    """Whether the eye should find it first."""


@dataclass(frozen=True, slots=True)
class ScaleChart:
    """Values with their intervals on one scale, one row each."""

    axis: str
    """Label of the axis, with its unit; what is shaded stands in its second line."""
    rows: tuple[ScaleRow, ...]
    """The rows, from the top."""
    band: tuple[float, float] | None
    """What is shaded, from and to, as it is drawn; None where nothing is."""
    line: float | None
    """Where a line is drawn across all rows; None where none is."""
    narrow: bool = False
    """Whether it stands beside another chart, and takes half the room."""


@dataclass(frozen=True, slots=True)
class SpendingLine:
    """The best score that one writing of an instruction had reached, by tokens spent."""

    arm: str
    """Arm whose colour the line has."""
    points: tuple[tuple[int, float], ...]
    """(tokens, best score so far as it is drawn), by tokens."""


@dataclass(frozen=True, slots=True)
class SpendingChart:
    """Best score so far against tokens spent."""

    axis: str
    """Label of the axis, with its unit."""
    lines: tuple[SpendingLine, ...]
    """A line a writing."""


@dataclass(frozen=True, slots=True)
class HistoryChart:
    """The course of a search, trial by trial."""

    axis: str
    """Label of the axis of scores, with its unit."""
    arm: str
    """Arm whose colour the trials have."""
    kept: tuple[tuple[int, float], ...]
    """(place, score as it is drawn) of the trials that kept the general abilities."""
    lost: tuple[tuple[int, float], ...]
    """The same of those that lost more than is accepted."""
    best: tuple[tuple[int, float], ...]
    """(place, best score so far as it is drawn), where it changed and at the end."""
    selected: tuple[int, float]
    """Place and score of the trial that was selected."""


@dataclass(frozen=True, slots=True)
class SettingsAxis:
    """One setting's upright axis."""

    label: str
    """What the setting is called."""
    values: tuple[float, ...]
    """The value of each trial, on the axis."""
    choices: tuple[str, ...]
    """What stands at 0, 1 and so on; empty where the axis has numbers."""
    log: bool
    """Whether the axis is logarithmic."""
    whole: bool
    """Whether its values are whole numbers."""


@dataclass(frozen=True, slots=True)
class SettingsChart:
    """Settings and score of each trial of a search, as parallel coordinates."""

    axis: str
    """Label of the axis of scores, with its unit."""
    arm: str
    """Arm whose colour the lines have."""
    scores: tuple[float, ...]
    """The score of each trial, as it is drawn."""
    strength: tuple[float, ...]
    """How good each score is among all, 0 to 1."""
    lost: tuple[bool, ...]
    """Whether each trial lost more of the general abilities than is accepted."""
    selected: int
    """Number of the trial, among those drawn, that was selected; -1 where it is none of them."""
    settings: tuple[SettingsAxis, ...]
    """The settings, from the left."""


Chart = (
    ForestChart
    | TradeOffChart
    | LossChart
    | SplitChart
    | CurveChart
    | ReliabilityChart
    | ScaleChart
    | SpendingChart
    | HistoryChart
    | SettingsChart
)
