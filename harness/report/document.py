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


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report."""

    key: str
    """Stable name, also the anchor in HTML."""
    heading: str
    """Heading of the section."""
    blocks: tuple[Block, ...]
    """What stands in it, in order, in the chapter and in the appendix."""
    chapter: str = ""
    """Key of the chapter that it belongs to; empty where the report has none."""

    @property
    def shown(self) -> tuple[Block, ...]:
        """What stands in its chapter."""
        return tuple(b for b in self.blocks if not isinstance(b, Unmeasured) and not _folded(b))

    @property
    def details(self) -> tuple[Block, ...]:
        """What stands in the appendix."""
        return tuple(block for block in self.blocks if _folded(block))

    @property
    def unmeasured(self) -> tuple[Unmeasured, ...]:
        """What belongs here and was not measured."""
        return tuple(block for block in self.blocks if isinstance(block, Unmeasured))


def _folded(block: Block) -> bool:
    match block:
        case Examples() | Explorer() | Unmeasured():
            return False
        case _:
            return block.folded


@dataclass(frozen=True, slots=True)
class Chapter:
    """A question that a reader has, and the sections that answer it."""

    key: str
    """Stable name, also the anchor in HTML."""
    heading: str
    """The question."""
    answer: str
    """The answer in a sentence or two; empty where nothing was measured of it."""


APPENDIX = Chapter("appendix", "Appendix: details, rules, words, and the experiment file", "")
"""What proves, repeats and explains; its sections, and the details of all others."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do next."""

    what: str
    """What to do, an imperative."""
    lines: tuple[str, ...]
    """Commands, or lines of the experiment file; empty where it takes neither."""
    command: bool
    """Whether the lines are commands for a terminal."""
    where: str
    """Where the lines go: a few words."""
    took: str
    """How long it takes, in words; empty where it is people's time or takes none."""
    changes: str
    """What it could change, a sentence."""


@dataclass(frozen=True, slots=True)
class FirstScreen:
    """What is enough to decide by, beside the verdict."""

    pictures: tuple[Figure, ...]
    """Every arm on one scale, and beside it what training cost in general abilities."""
    table: Table | None
    """Every arm's score, change of general abilities, money, and how hard it was tried; None where
    nothing was scored."""
    steps: tuple[Step, ...]
    """What to do next, the one that matters most first."""


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
    first: FirstScreen | None = None
    """What stands beside the verdict on the first screen; None where nothing does."""
    chapters: tuple[Chapter, ...] = ()
    """The questions, in order."""

    def of_chapter(self, chapter: Chapter) -> tuple[Section, ...]:
        """The sections that show something in a chapter."""
        return tuple(
            section for section in self.sections if section.chapter == chapter.key and section.shown
        )

    @property
    def open_chapters(self) -> tuple[Chapter, ...]:
        """The questions of which something is shown, and the appendix."""
        return tuple(
            chapter for chapter in self.chapters if chapter == APPENDIX or self.of_chapter(chapter)
        )

    @property
    def detailed(self) -> tuple[Section, ...]:
        """The sections of chapters of which details stand in the appendix."""
        return tuple(
            section
            for section in self.sections
            if section.details and section.chapter != APPENDIX.key
        )

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
