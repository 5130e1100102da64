"""Reading reports back, to compare what they say."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

from harness.report.document import (
    Block,
    Bullets,
    Code,
    ComparisonView,
    Examples,
    Explorer,
    Facts,
    Figure,
    Prose,
    ReportView,
    Table,
    Unmeasured,
)

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """An HTML document: its text, tags and attributes; ``problems`` where tags do not match."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.problems: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.pieces: list[str] = []
        self.feed(source)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.problems.append(f"</{tag}> while {self.open[-2:]} are open")

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    @property
    def text(self) -> str:
        """All text with whitespace made single."""
        return squeezed(" ".join(self.pieces))


def squeezed(text: str) -> str:
    """Text with every run of whitespace made one space."""
    return " ".join(text.split())


def texts(view: ReportView | ComparisonView) -> Iterator[str]:
    """Every text that the view holds, in order."""
    yield view.title
    for pair in view.about:
        yield from pair
    if isinstance(view, ReportView):
        verdict = view.verdict
        yield from (
            verdict.label,
            verdict.headline,
            verdict.detail,
            *verdict.reasons,
            *verdict.caveats,
        )
        if view.first is not None:
            for step in view.first.steps:
                yield from (step.what, *step.lines, step.changes)
    for section in view.sections:
        yield section.heading
        for block in section.blocks:
            yield from block_texts(block)


def block_texts(block: Block) -> Iterator[str]:  # noqa: PLR0912 -- one branch a kind of block
    """Every text of one block, in order."""
    match block:
        case Prose():
            yield block.text
        case Bullets():
            yield from (block.heading, *block.items)
        case Facts():
            for pair in block.items:
                yield from pair
        case Table():
            yield block.caption
            yield from (column.heading for column in block.columns)
            for row in block.rows:
                yield from row
            yield from block.notes
        case Figure():
            yield from (block.title, block.see)
        case Code():
            yield from (block.caption, block.text)
        case Examples():
            yield block.heading
            for example in block.items:
                yield from (example.item, example.target)
                for pair in example.replies:
                    yield from pair
        case Explorer():
            yield from (block.heading, block.summary)
        case Unmeasured():
            yield from (block.what, block.how)
