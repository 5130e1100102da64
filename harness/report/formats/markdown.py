"""The report as GitHub Markdown."""

from __future__ import annotations

import re
from dataclasses import replace

from harness.report.document import (
    APPENDIX,
    Block,
    Bullets,
    Code,
    ComparisonView,
    Examples,
    Explorer,
    Facts,
    Figure,
    FirstScreen,
    Prose,
    ReportView,
    Section,
    Table,
    Unmeasured,
    VerdictView,
)

SPECIAL = re.compile(r"([\\`*_\[\]|~#$])")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "\n": " "}


def to_markdown(view: ReportView | ComparisonView) -> str:
    """The report as GitHub Markdown without HTML, short enough for an issue tracker.

    A study's has the first screen and the tables of every question; charts are given by their
    sentence, and what stands in the appendix is left to the HTML report. A comparison is whole.
    """
    verdict = view.verdict
    if isinstance(view, ReportView) and view.first and view.first.table:
        # They stand in the table.
        verdict = replace(verdict, figures=())
    parts = [f"# {escape(view.title)}", _facts(view.about), verdict_to_markdown(verdict)]
    if isinstance(view, ComparisonView):
        parts += [section_to_markdown(section) for section in view.sections]
        return "\n\n".join(parts) + "\n"
    if view.first is not None:
        parts += _first_screen(view.first)
    for chapter in (chapter for chapter in view.open_chapters if chapter != APPENDIX):
        parts.append(f"## {escape(chapter.heading)}")
        parts += [f"**{escape(chapter.answer)}**"] if chapter.answer else []
        parts += [section_to_markdown(part, level=3) for part in view.of_chapter(chapter)]
    parts.append("Details, rules, replies and the experiment file are in report.html.")
    return "\n\n".join(parts) + "\n"


def _first_screen(first: FirstScreen) -> list[str]:
    parts = []
    if first.table:
        parts = ["## At a glance", _table(replace(first.table, caption=""))]
    if first.steps:
        parts.append("## What to do next")
    for number, step in enumerate(first.steps, 1):
        took = f" ({escape(step.took)})" if step.took else ""
        where = f"{step.where[:1].upper()}{step.where[1:]}. " if step.where else ""
        parts.append(f"{number}. **{escape(step.what)}**{took}. {where}{escape(step.changes)}")
        if step.lines:
            parts.append(_fence("\n".join(step.lines), "sh" if step.command else "yaml"))
    return parts


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no mention, one line."""
    text = "".join(ENTITIES.get(character, character) for character in text)
    text = SPECIAL.sub(r"\\\1", text)
    text = re.sub(r"(?i)\b(https?|ftp):(?=//)", r"\1&#58;", text)
    text = re.sub(r"(?i)\bwww\.", "www&#46;", text)
    return re.sub(r"^(\s*)([-+]|\d+[.)])(?=\s)", r"\1\\\2", text)


def section_to_markdown(section: Section, level: int = 2) -> str:
    """One part of a report under its heading, without what stands in the appendix."""
    blocks = (_block(block) for block in section.shown)
    return "\n\n".join((f"{'#' * level} {escape(section.heading)}", *filter(None, blocks)))


def verdict_to_markdown(verdict: VerdictView) -> str:
    """The verdict under its heading."""
    parts = [f"## Verdict: {escape(verdict.label)}", f"**{escape(verdict.headline)}**"]
    if verdict.detail:
        parts.append(escape(verdict.detail))
    if verdict.figures:
        parts.append(_facts(verdict.figures))
    for heading, sentences in (("Why", verdict.reasons), ("Caveats", verdict.caveats)):
        if sentences:
            parts += [f"### {heading}", _bullets(sentences)]
    return "\n\n".join(parts)


def _block(block: Block) -> str:  # noqa: PLR0911 -- one return a kind of block
    match block:
        case Prose():
            return escape(block.text)
        case Bullets():
            heading = f"**{escape(block.heading)}**\n\n" if block.heading else ""
            return f"{heading}{_bullets(block.items)}"
        case Facts():
            return _facts(block.items)
        case Table():
            return _table(block)
        case Figure():
            return f"**{escape(block.title)}.** {escape(block.see)}"
        case Code():
            return f"**{escape(block.caption)}**\n\n{_fence(block.text, block.language)}"
        case Examples():
            return _examples(block)
        case Explorer():
            summary = f"{block.summary} They are listed in report.html."
            return f"**{escape(block.heading)}.** {escape(summary)}"
        case Unmeasured():
            return ""


def _bullets(items: tuple[str, ...]) -> str:
    return "\n".join(f"- {escape(item)}" for item in items)


def _facts(items: tuple[tuple[str, str], ...]) -> str:
    return "\n".join(f"- **{escape(term)}:** {escape(value)}" for term, value in items)


def _table(table: Table) -> str:
    lines = [
        _row(tuple(column.heading for column in table.columns)),
        "|" + "|".join(" ---: " if column.numeric else " --- " for column in table.columns) + "|",
    ]
    for index, row in enumerate(table.rows):
        text = _row(row)
        if index in table.strong:
            name = escape(row[0])
            text = text.replace(f"| {name} |", f"| **{name}** |", 1)
        lines.append(text)
    caption = [f"**{escape(table.caption)}**"] if table.caption else []
    parts = [*caption, "\n".join(lines), *(escape(note) for note in table.notes)]
    return "\n\n".join(parts)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(escape(cell) for cell in cells) + " |"


def _fence(text: str, language: str = "") -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _examples(block: Examples) -> str:
    parts = [f"**{escape(block.heading)}**"]
    for example in block.items:
        parts.append(f"**{escape(example.item)}**")
        if example.text:
            parts += ["Text", _fence(example.text)]
        parts += ["Right answer", _fence(example.target)]
        for name, text in example.replies:
            parts += [escape(name), _fence(text)]
    return "\n\n".join(parts)
