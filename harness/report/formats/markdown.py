"""The report as GitHub Markdown."""

from __future__ import annotations

import re

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
    Section,
    Table,
    VerdictView,
)

SPECIAL = re.compile(r"([\\`*_\[\]|~#$])")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "\n": " "}


def to_markdown(view: ReportView | ComparisonView) -> str:
    """The whole report as GitHub Markdown; charts are given by their sentence and table."""
    parts = [f"# {escape(view.title)}", _facts(view.about), verdict_to_markdown(view.verdict)]
    for section in view.sections:
        parts.append(section_to_markdown(section))
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no mention, one line."""
    text = "".join(ENTITIES.get(character, character) for character in text)
    text = SPECIAL.sub(r"\\\1", text)
    text = re.sub(r"(?i)\b(https?|ftp):(?=//)", r"\1&#58;", text)
    text = re.sub(r"(?i)\bwww\.", "www&#46;", text)
    return re.sub(r"^(\s*)([-+]|\d+[.)])(?=\s)", r"\1\\\2", text)


def section_to_markdown(section: Section) -> str:
    """One part of a report under its heading."""
    blocks = (_block(block) for block in section.blocks)
    return "\n\n".join((f"## {escape(section.heading)}", *blocks))


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
            return f"**{escape(block.heading)}**\n\n{_bullets(block.items)}"
        case Facts():
            return _facts(block.items)
        case Table():
            return _table(block)
        case Figure():
            return f"**{escape(block.title)}.** {escape(block.see)}"
        case Code():
            fenced = _fence(block.text, block.language)
            if not block.folded:
                return f"**{escape(block.caption)}**\n\n{fenced}"
            return f"<details><summary>{escape(block.caption)}</summary>\n\n{fenced}\n\n</details>"
        case Examples():
            return _examples(block)
        case Explorer():
            summary = f"{block.summary} They are listed in report.html."
            return f"### {escape(block.heading)}\n\n{escape(summary)}"


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
    parts = [f"**{escape(table.caption)}**", "\n".join(lines), *(escape(n) for n in table.notes)]
    if table.folded:
        summary = f"<details><summary>{escape(table.caption)}</summary>"
        parts = [summary, *parts[1:], "</details>"]
    return "\n\n".join(parts)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(escape(cell) for cell in cells) + " |"


def _fence(text: str, language: str = "") -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _examples(block: Examples) -> str:
    parts = [f"### {escape(block.heading)}"]
    for example in block.items:
        parts.append(f"**Item {escape(example.item)}**")
        if example.text:
            parts += ["Text", _fence(example.text)]
        parts += ["Right answer", _fence(example.target)]
        for name, text in example.replies:
            parts += [escape(name), _fence(text)]
    return "\n\n".join(parts)
