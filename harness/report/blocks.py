"""The plain blocks that a report's sections consist of, every text final.

They are the contract between :mod:`harness.report.view`, where all rounding and wording happens,
and the HTML, Markdown and terminal renderers, which only lay out what they are given.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """Whether it stands in the appendix, which is closed until asked for."""
    links: tuple[str, ...] = ()
    """Key of the section that each column's cells come from, empty for none; empty where no column
    has one."""

    @property
    def wordy(self) -> bool:
        """Whether cells hold sentences, so that a narrow page lists them instead."""
        return any(len(cell) > SENTENCE for row in self.rows for cell in row)


@dataclass(frozen=True, slots=True)
class Prose:
    """One paragraph."""

    text: str
    """Text of the paragraph."""
    folded: bool = False
    """Whether it stands in the appendix, which is closed until asked for."""


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences, under a heading that may be empty."""

    heading: str
    """Heading of the list; empty where it has none."""
    items: tuple[str, ...]
    """The sentences."""
    folded: bool = False
    """Whether it stands in the appendix, which is closed until asked for."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Terms with their values."""

    items: tuple[tuple[str, str], ...]
    """Each term with its value."""
    folded: bool = False
    """Whether it stands in the appendix, which is closed until asked for."""


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """Something that the study did not measure; all of them stand in one list."""

    what: str
    """What was not measured."""
    how: str
    """How it would be, or why it cannot; a sentence."""


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
    """Whether it stands in the appendix, which is closed until asked for."""


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
    folded: bool = False
    """Whether it stands in the appendix, which is closed until asked for."""
    link: str = ""
    """Key of the section that has its numbers; empty where it stands there."""


Block = Table | Prose | Bullets | Facts | Code | Examples | Explorer | Figure | Unmeasured


def is_folded(block: Block) -> bool:
    """Whether a block stands in the appendix."""
    match block:
        case Examples() | Explorer() | Unmeasured():
            return False
        case _:
            return block.folded


__all__ = [
    "Block",
    "Bullets",
    "Code",
    "Column",
    "Example",
    "Examples",
    "Explorer",
    "Facts",
    "Figure",
    "Prose",
    "Run",
    "Side",
    "Table",
    "Unmeasured",
    "is_folded",
]
