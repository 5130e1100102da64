"""What a report consists of: sections of plain blocks, every text final.

The blocks are the contract between :mod:`harness.report.view`, where all rounding and wording
happens, and the HTML, Markdown and terminal renderers, which only lay out what they are given.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.report.chart_records import Chart
from harness.wording import Scale

SENTENCE = 60  # characters from which a cell is a sentence rather than a name or a number


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    heading: str
    """Heading of the column."""
    numeric: bool = False
    """Whether cells are numbers, which are set to the right."""
    brief: bool = True
    """Whether the column is shown where space is short, too, as in a terminal."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names its rows."""

    caption: str
    """What the table shows, in words."""
    columns: tuple[Column, ...]
    """The columns, the first of which names the rows."""
    rows: tuple[tuple[str, ...], ...]
    """Cells of each row, one a column, every text final."""
    notes: tuple[str, ...] = ()
    """Sentences that stand below the table."""
    strong: tuple[int, ...] = ()
    """Indices of rows that the eye should find first."""
    folded: bool = False
    """Whether the table is closed until asked for."""

    @property
    def wordy(self) -> bool:
        """Whether cells hold sentences, so that a narrow page lists them instead."""
        return any(len(cell) > SENTENCE for row in self.rows for cell in row)


@dataclass(frozen=True, slots=True)
class Prose:
    """One paragraph."""

    text: str
    """Text of the paragraph."""


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences, under a heading that may be empty."""

    heading: str
    """Heading of the list; empty where it has none."""
    items: tuple[str, ...]
    """The sentences."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Terms with their values."""

    items: tuple[tuple[str, str], ...]
    """Each term with its value."""


@dataclass(frozen=True, slots=True)
class Code:
    """Text shown letter by letter, such as the experiment file."""

    caption: str
    """What the text is, in words."""
    text: str
    """The text, letter by letter."""
    language: str = ""
    """Language of the text, such as ``yaml``; empty where it is none."""
    folded: bool = True
    """Whether the text is closed until asked for."""


@dataclass(frozen=True, slots=True)
class Example:
    """One test item: its text, the right answer, and what each arm replied."""

    item: str
    """What the item is called."""
    target: str
    """The right answer."""
    replies: tuple[tuple[str, str], ...]
    """Name of each arm with its score, and what it replied."""
    text: str = ""
    """The item's own text; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Test items that show one kind of difference between arms."""

    heading: str
    """What the items show."""
    items: tuple[Example, ...]
    """The items."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of an arm."""

    name: str
    """What the run is called."""
    replies: tuple[int, ...]
    """Place of each reply in :attr:`Explorer.texts`; -1 where there is none."""


@dataclass(frozen=True, slots=True)
class Side:
    """What a reader can compare: a run, or an arm's mean over its runs, item by item."""

    name: str
    """What the side is called."""
    runs: tuple[int, ...]
    """Indices of its runs."""
    scores: tuple[float | None, ...]
    """Score of each item, shape (items,); None where it has none."""
    valid: tuple[bool | None, ...]
    """Whether the task allows each reply, shape (items,); None where that was not judged."""


@dataclass(frozen=True, slots=True)
class Explorer:
    """Every test item, for the reader to search, filter and sort.

    Only HTML shows the items themselves.
    """

    heading: str
    """Heading of the block."""
    summary: str
    """How many items there are, and what is cut or left out."""
    texts: tuple[str, ...]
    """Distinct texts, final; inputs, targets and replies are places in it."""
    ids: tuple[str, ...]
    """What each item is called, shape (items,)."""
    inputs: tuple[int, ...]
    """Place of each item's text in ``texts``, shape (items,)."""
    targets: tuple[int, ...]
    """Place of each right answer in ``texts``, shape (items,)."""
    runs: tuple[Run, ...]
    """Every run of every arm."""
    sides: tuple[Side, ...]
    """What a reader can compare."""
    start: tuple[int, int]
    """Indices of the two sides compared at first."""
    full: float | None
    """The score of a wholly right answer; None where there is none."""
    higher_is_better: bool
    """Whether greater scores are better."""
    scale: Scale
    """How its scores are written."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart."""

    key: str
    """Stable name, by which ids within the charts are told apart."""
    title: str
    """Title above the chart."""
    see: str
    """A sentence, from the data, on what to see in it."""
    chart: Chart
    """What is drawn."""


Block = Table | Prose | Bullets | Facts | Code | Examples | Explorer | Figure


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report."""

    key: str
    """Stable name, also the anchor in HTML."""
    heading: str
    """Heading of the section."""
    blocks: tuple[Block, ...]
    """What stands in it, in order."""


@dataclass(frozen=True, slots=True)
class VerdictView:
    """The decision in words."""

    outcome: str
    """Stable word of the outcome, for colouring."""
    label: str
    """The outcome in two to six words."""
    headline: str
    """The first sentence, to be shown large."""
    detail: str
    """What follows it; may be empty."""
    reasons: tuple[str, ...]
    """Reasons for the decision, a sentence each."""
    caveats: tuple[str, ...]
    """What makes the decision less than sure, a sentence each."""
    figures: tuple[tuple[str, str], ...]
    """The few numbers that carry the decision, each under its name."""

    @property
    def sentence(self) -> str:
        """Headline and detail."""
        return f"{self.headline} {self.detail}".strip()


@dataclass(frozen=True, slots=True)
class ReportView:
    """A whole report of one study."""

    title: str
    """Title of the report."""
    about: tuple[tuple[str, str], ...]
    """Facts of the study for the head of the report, each under its name."""
    verdict: VerdictView
    """The verdict."""
    sections: tuple[Section, ...]
    """The sections, in order."""
    arms: tuple[str, ...] = field(default=())
    """Every arm in the order that fixes its colour; the untouched base has none."""

    def section(self, key: str) -> Section:
        """The section called ``key``.

        Raises:
            KeyError: there is none.
        """
        for section in self.sections:
            if section.key == key:
                return section
        raise KeyError(key)


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """Several studies side by side."""

    title: str
    """Title of the report."""
    about: tuple[tuple[str, str], ...]
    """Facts of the studies for the head of the report, each under its name."""
    verdict: VerdictView
    """What the studies say together."""
    sections: tuple[Section, ...]
    """The sections, in order."""
    arms: tuple[str, ...] = field(default=())
    """Arms of all studies in the order that fixes their colours."""
