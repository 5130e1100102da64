"""What a report consists of: questions, sections of blocks, a verdict and a first screen."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.report.blocks import (
    Block,
    Bullets,
    Code,
    Column,
    Example,
    Examples,
    Explorer,
    Facts,
    Figure,
    Prose,
    Run,
    Side,
    Table,
    Unmeasured,
    is_folded,
)


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
        return tuple(b for b in self.blocks if not isinstance(b, Unmeasured) and not is_folded(b))

    @property
    def details(self) -> tuple[Block, ...]:
        """What stands in the appendix."""
        return tuple(block for block in self.blocks if is_folded(block))

    @property
    def unmeasured(self) -> tuple[Unmeasured, ...]:
        """What belongs here and was not measured."""
        return tuple(block for block in self.blocks if isinstance(block, Unmeasured))


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


__all__ = [
    "APPENDIX",
    "Block",
    "Bullets",
    "Chapter",
    "Code",
    "Column",
    "ComparisonView",
    "Example",
    "Examples",
    "Explorer",
    "Facts",
    "Figure",
    "FirstScreen",
    "Prose",
    "ReportView",
    "Run",
    "Section",
    "Side",
    "Step",
    "Table",
    "Unmeasured",
    "VerdictView",
]
