"""What a report consists of: sections of plain blocks, every text final.

The blocks are the contract between :mod:`harness.report.view`, where all rounding and wording
happens, and the HTML, Markdown and terminal renderers, which only lay out what they are given.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.report.scales import Scale

SENTENCE = 60  # characters from which a cell is a sentence rather than a name or a number


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. brief: also shown where room is short, as in a terminal."""

    heading: str
    numeric: bool = False
    brief: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names its rows.

    strong: indices of rows that the eye should find first. folded: closed until asked for.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    strong: tuple[int, ...] = ()
    folded: bool = False

    @property
    def wordy(self) -> bool:
        """Whether cells hold sentences, so that a narrow page lists them instead."""
        return any(len(cell) > SENTENCE for row in self.rows for cell in row)


@dataclass(frozen=True, slots=True)
class Prose:
    """One paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences, under a heading that may be empty."""

    heading: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Terms with their values."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Text shown letter by letter, such as the experiment file."""

    caption: str
    text: str
    language: str = ""
    folded: bool = True


@dataclass(frozen=True, slots=True)
class Example:
    """One test item: its text, the right answer, and what each arm replied."""

    item: str
    target: str
    replies: tuple[tuple[str, str], ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Examples:
    """Test items that show one kind of difference between arms."""

    heading: str
    items: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of an arm. replies: place of each reply in the texts; -1 where there is none."""

    name: str
    replies: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """What a reader can compare: a run, or an arm's mean over its runs, item by item."""

    name: str
    runs: tuple[int, ...]
    scores: tuple[float | None, ...]
    valid: tuple[bool | None, ...]


@dataclass(frozen=True, slots=True)
class Explorer:
    """Every test item, for the reader to search, filter and sort.

    summary: how many items there are, and what is cut or left out. texts: distinct texts, final;
    inputs, targets and replies are places in it. start: sides compared at first. full: the score
    of a wholly right answer; None where there is none. Only HTML shows the items themselves.
    """

    heading: str
    summary: str
    texts: tuple[str, ...]
    ids: tuple[str, ...]
    inputs: tuple[int, ...]
    targets: tuple[int, ...]
    runs: tuple[Run, ...]
    sides: tuple[Side, ...]
    start: tuple[int, int]
    full: float | None
    higher_is_better: bool
    scale: Scale


@dataclass(frozen=True, slots=True)
class ForestRow:
    """A difference with its interval; ``text`` is the same in words."""

    label: str
    arm: str
    difference: float
    low: float
    high: float
    margin: float
    primary: bool
    text: str


@dataclass(frozen=True, slots=True)
class TradePoint:
    """A candidate in the plane of domain gain (right is better) and general change (up).

    final: a finalist, not a trial of the search.
    """

    arm: str
    gain: float
    change: float
    on_front: bool
    on_arm_front: bool
    final: bool


@dataclass(frozen=True, slots=True)
class SizePoint:
    """Scores at one training-set size, with the ends of the held-out score's interval."""

    items: int
    train: float | None
    held_out: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class SizeLine:
    """One arm's scores by training-set size, smallest first."""

    arm: str
    points: tuple[SizePoint, ...]


@dataclass(frozen=True, slots=True)
class LossLine:
    """Loss by step of one training run; ``validation`` where it was measured."""

    arm: str
    train: tuple[tuple[int, float], ...]
    validation: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class SplitScores:
    """One arm's score by split; None where it was not measured."""

    arm: str
    train: float | None
    validation: float | None
    test: float | None
    test_low: float | None
    test_high: float | None


@dataclass(frozen=True, slots=True)
class ForestChart:
    """Paired differences around zero, with the margin as a band and in words."""

    axis: str
    margin: str
    rows: tuple[ForestRow, ...]


@dataclass(frozen=True, slots=True)
class TradeOffChart:
    """Learning against forgetting. margin: the loss that still counts as no forgetting, as a
    number on the axis and in words."""

    x_axis: str
    y_axis: str
    points: tuple[TradePoint, ...]
    margin: float | None
    margin_text: str


@dataclass(frozen=True, slots=True)
class LossChart:
    """Loss curves of the final training runs."""

    lines: tuple[LossLine, ...]


@dataclass(frozen=True, slots=True)
class SplitChart:
    """Scores by split, one group an arm."""

    axis: str
    groups: tuple[SplitScores, ...]


@dataclass(frozen=True, slots=True)
class CurveChart:
    """Learning curves: scores against the number of training examples."""

    axis: str
    lines: tuple[SizeLine, ...]


@dataclass(frozen=True, slots=True)
class DrawnChart:
    """A chart that was drawn elsewhere: SVG with the placeholder colours of all charts."""

    svg: str


PaintedChart = ForestChart | TradeOffChart | LossChart | SplitChart | CurveChart
Chart = PaintedChart | DrawnChart


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart. see: one sentence, from the data, saying what to see in it."""

    key: str
    title: str
    see: str
    chart: Chart


Block = Table | Prose | Bullets | Facts | Code | Examples | Explorer | Figure


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report. key: stable name, also the anchor in HTML."""

    key: str
    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class VerdictView:
    """The decision in words.

    outcome: the stable word, for colouring. label: two to six words. headline: the first
    sentence, to be shown large. detail: what follows it; may be empty.
    """

    outcome: str
    label: str
    headline: str
    detail: str
    reasons: tuple[str, ...]
    caveats: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]

    @property
    def sentence(self) -> str:
        """Headline and detail."""
        return f"{self.headline} {self.detail}".strip()


@dataclass(frozen=True, slots=True)
class ReportView:
    """A whole report of one study.

    arms: every arm in the order that fixes its colour; the untouched base has none.
    """

    title: str
    about: tuple[tuple[str, str], ...]
    verdict: VerdictView
    sections: tuple[Section, ...]
    arms: tuple[str, ...] = field(default=())

    def section(self, key: str) -> Section:
        """The section called ``key``. Raises ``KeyError`` if there is none."""
        for section in self.sections:
            if section.key == key:
                return section
        raise KeyError(key)


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """Several studies side by side. arms: of all of them, in the order that fixes their colours."""

    title: str
    about: tuple[tuple[str, str], ...]
    verdict: VerdictView
    sections: tuple[Section, ...]
    arms: tuple[str, ...] = field(default=())
