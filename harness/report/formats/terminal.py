"""The heart of the report in a terminal: verdict, what it hangs on, arms, claims, forgetting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text

from harness.report.document import (
    Block,
    Bullets,
    ComparisonView,
    Facts,
    Figure,
    Prose,
    ReportView,
    Section,
    Step,
    Table,
    VerdictView,
)
from harness.wording import plural

# Rows of scores in the decision, which is to fit a screen.
MOST_ROWS = 10
_WIDE = 10_000
# Cells of so many columns are broken only where there is no room for them.
_SHORT = 24
SHOWN = ("primary", "sensitivity", "arms", "claims", "search", "general")
COLOURS = {
    "fine_tune": "green",
    "both": "green",
    "prompt": "blue",
    "equivalent": "cyan",
    "forgets_too_much": "red",
    "hardly_tried": "yellow",
    "best_prompt": "green",
    "prompts_tied": "cyan",
    "inconclusive": "yellow",
}


def print_report(view: ReportView | ComparisonView, console: Console) -> None:
    """Print the verdict, what to do next, what it rests and hangs on, the arms and so on.

    Every text is printed literally: nothing in it is read as markup. A comparison is printed
    whole.
    """
    console.print(Text(view.title, style="bold"))
    console.print(Text(" · ".join(f"{term}: {value}" for term, value in view.about), style="dim"))
    console.print()
    console.print(_verdict(view.verdict))
    if isinstance(view, ReportView) and view.first is not None:
        _print_steps(view.first.steps, console)
    for section in view.sections:
        if isinstance(view, ComparisonView) or section.key in SHOWN:
            _print_section(section, console)


def print_decision(view: ReportView, console: Console) -> None:
    """Print the scores of the arms and the verdict, as short as they can be told."""
    for section in (section for section in view.sections if section.key == "arms"):
        tables = [block for block in section.blocks if isinstance(block, Table)]
        for table in tables[:1]:
            _print_scores(replace(table, notes=()), console)
    verdict = view.verdict
    told = " and ".join(
        plural(len(sentences), name)
        for sentences, name in ((verdict.reasons, "reason"), (verdict.caveats, "caveat"))
        if sentences
    )
    console.print(_verdict(replace(verdict, reasons=(), caveats=())))
    if told:
        console.print(Text(f"With {told} in the report.", style="dim"))


def _print_steps(steps: tuple[Step, ...], console: Console) -> None:
    """Print what to do next, each line of a step by itself, so that it can be copied."""
    if steps:
        console.print()
        console.print(Text("What to do next", style="bold underline"))
    for number, step in enumerate(steps, 1):
        took = f" ({step.took})" if step.took else ""
        console.print(Text(f"{number}. {step.what}{took}"))
        for line in step.lines:
            # A terminal that is too narrow breaks it, not a word that is put in.
            console.print(Text(f"     {line}", style="bold"), soft_wrap=True)
        where = f"{step.where[:1].upper()}{step.where[1:]}. " if step.where else ""
        console.print(Padding(Text(f"{where}{step.changes}", style="dim"), (0, 0, 0, 3)))


def _print_scores(table: Table, console: Console) -> None:
    """Print a row an arm, as a table where the terminal has room for names and words unbroken."""
    rows = [n for n in range(len(table.rows)) if n < MOST_ROWS or n in table.strong]
    left_out = len(table.rows) - len(rows)
    strong = tuple(place for place, n in enumerate(rows) if n in table.strong)
    table = replace(table, rows=tuple(table.rows[n] for n in rows), strong=strong)
    grid = _grid(table, console, whole=True)
    if grid is not None:
        console.print(grid)
    else:
        headings, *shown = _brief(table)
        console.print(Text(table.caption, style="italic"))
        console.print(Text(f"{headings[0]}: {', '.join(headings[1:])}", style="dim"))
        for name, *cells in shown:
            console.print(Text.assemble((name, "bold"), f": {', '.join(cells)}"))
    if left_out:
        console.print(Text(f"and {plural(left_out, 'more row')} in the report", style="dim"))


def _verdict(verdict: VerdictView) -> Panel:
    parts: list[RenderableType] = [Text(verdict.headline, style="bold")]
    if verdict.detail:
        parts.append(Text(verdict.detail))
    for heading, sentences in (("Why", verdict.reasons), ("Caveats", verdict.caveats)):
        if sentences:
            parts += [Text(), Text(heading, style="underline"), _bullets(sentences)]
    colour = COLOURS.get(verdict.outcome, "white")
    title = Text(f" {verdict.label} ", style=f"bold {colour}")
    return Panel(
        Group(*parts), title=title, title_align="left", border_style=colour, padding=(0, 1)
    )


def _print_section(section: Section, console: Console) -> None:
    console.print()
    console.print(Text(section.heading, style="bold underline"))
    for block in section.blocks:
        shown = _block(block, console)
        if shown is not None:
            console.print(Padding(shown, (1, 0, 0, 0)))


def _block(block: Block, console: Console) -> RenderableType | None:
    match block:
        case Prose():
            return Text(block.text)
        case Bullets():
            heading = [Text(block.heading, style="bold")] if block.heading else []
            return Group(*heading, _bullets(block.items))
        case Facts():
            return _facts(block.items)
        case Table() if not block.folded:
            return _table(block, console)
        case Figure():
            return Text(block.see)
        case _:
            return None


def _bullets(items: tuple[str, ...]) -> RichTable:
    grid = RichTable.grid(padding=(0, 1))
    for item in items:
        grid.add_row(Text("•"), Text(item))
    return grid


def _facts(items: tuple[tuple[str, str], ...]) -> RichTable:
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(max_width=26)
    for term, value in items:
        grid.add_row(Text(term, style="dim"), Text(value))
    return grid


def _table(table: Table, console: Console) -> RenderableType:
    """A table; as a list of its rows where it would break words, or would be longer so."""
    shown: RenderableType | None = _grid(table, console)
    listed = _rows(table)
    if shown is None or _lines(shown, console) > _lines(listed, console):
        shown = listed
    gap = [Text()] if shown is listed and table.notes else []
    return Group(shown, *gap, *(Text(note, style="dim") for note in table.notes))


def _lines(shown: RenderableType, console: Console) -> int:
    return len(console.render_lines(shown))


def _brief(table: Table) -> list[tuple[str, ...]]:
    """Headings and rows, of the columns that are shown here."""
    columns = [n for n, column in enumerate(table.columns) if column.brief]
    headings = tuple(table.columns[n].heading for n in columns)
    return [headings, *(tuple(row[n] for n in columns) for row in table.rows)]


def _rows(table: Table) -> Group:
    (_, *headings), *rows = _brief(table)
    texts = [[Text(cell) for cell in row] for row in rows]
    return listed_rows(Text(table.caption), headings, texts)


def listed_rows(caption: Text, headings: Sequence[str], rows: Iterable[Sequence[Text]]) -> Group:
    """Each row as its first cell, and below it the others with their headings.

    Args:
        headings: those of all columns but the first.
    """
    caption.stylize("italic")
    parts: list[RenderableType] = [caption] if caption else []
    for name, *cells in rows:
        name.stylize("bold")
        parts.append(name)
        parts += [
            Padding(Text(f"{heading}: ").append_text(cell), (0, 0, 0, 2))
            for heading, cell in zip(headings, cells, strict=True)
            if cell
        ]
    return Group(*parts)


def _grid(table: Table, console: Console, *, whole: bool = False) -> RichTable | None:
    """The table with columns as wide as the terminal allows; None where words would be broken.

    Args:
        whole: whether cells are not to be broken either, but only their headings.
    """
    grid = RichTable(
        title=Text(table.caption, style="italic"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
    )
    headings, *rows = _brief(table)
    kinds = [column for column in table.columns if column.brief]
    for heading, column in zip(headings, kinds, strict=True):
        grid.add_column(
            Text(heading),
            justify="right" if column.numeric else "left",
            overflow="fold",
            width=1,
        )
    for number, row in enumerate(rows):
        grid.add_row(*map(Text, row), style="bold" if number in table.strong else "")
    # In a terminal of any width.
    frame = console.measure(grid, options=console.options.update(width=_WIDE)).maximum
    room = console.width - frame + len(headings)
    for unbroken in (_WIDE,) if whole else (_SHORT, 0):
        widths = [
            _least(*column, unbroken=unbroken) for column in zip(headings, *rows, strict=True)
        ]
        if sum(widths) <= room:
            break
    else:
        return None
    for texts in (rows, [headings]):
        wanted = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
        # Headings get what is left.
        widths = widened(widths, wanted, room) if wanted else widths
    for shown, width in zip(grid.columns, widths, strict=True):
        shown.width = width
    return grid


def widened(widths: Sequence[int], wanted: Sequence[int], room: int) -> list[int]:
    """Widths of columns with what room is left: what would take most lines gets it.

    Args:
        wanted: widths in which nothing is broken.
        room: what they may take together.
    """
    shared = list(widths)
    while sum(shared) < room:
        lines = [want / width for want, width in zip(wanted, shared, strict=True)]
        if max(lines) <= 1:
            break
        shared[lines.index(max(lines))] += 1
    return shared


def _least(heading: str, *cells: str, unbroken: int) -> int:
    """The width in which no word of a column is broken, and no cell of at most so many."""
    parts = heading.split()
    for cell in cells:
        parts += [cell] if cell_len(cell) <= unbroken else cell.split()
    return max(map(cell_len, parts), default=1) or 1
