"""harness status"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from harness.cli.options import results_option
from harness.cli.printing import in_one_line, say

if TYPE_CHECKING:
    from harness.review.overview import StudyRow

HEADINGS = ("study", "id", "state", "trials", "when")
VERDICT = "verdict"
GAP = "  "
INDENT = "    "


@click.command()
@click.argument("name", required=False)
@results_option()
def command(name: str | None, results: Path) -> None:
    """Show every study in the store, the newest last; with NAME, those it could mean, by arm.

    A row has the trials that ended out of those planned, the verdict of a finished study, and how
    long ago it was finished or last worked on. Of studies of one name the older ones say what
    tells them from the newest. NAME may be the start of an id.

    \b
    Example:
      harness status
    """
    from harness.records import utc_now
    from harness.review.overview import overview

    rows = overview(results, utc_now(), name)
    if not rows:
        say(f"no study in {results} yet; `harness run` makes one")
        return
    details = [_arms(results, row) if name else [] for row in rows]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines(rows, details, width):
        say(line)


def lines(
    rows: Sequence[StudyRow], details: Sequence[Sequence[str]], width: int | None
) -> Iterator[str]:
    """The rows as text.

    Args:
        details: more lines of each row.
        width: characters of a line; where a row has more, its verdict goes below, and all but its
            name where it has more still. None: no limit.
    """
    from rich.cells import cell_len

    table = [_cells(row) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(HEADINGS, *table, strict=True)]
    longest = max(len(row.verdict) for row in rows)
    needed = sum(widths) + len(GAP) * (len(widths) - 1)
    fits = width is None or needed <= width
    beside = width is None or needed + len(GAP) + longest <= width

    def line(cells: Sequence[str]) -> str:
        padded = (text + " " * (w - cell_len(text)) for text, w in zip(cells, widths, strict=True))
        return GAP.join(padded)

    if fits:
        yield line(HEADINGS) + (GAP + VERDICT if beside and longest else "")
    for row, cells, more in zip(rows, table, details, strict=True):
        shown = line(cells) if fits else cells[0]
        yield (shown + (GAP + in_one_line(row.verdict) if beside else "")).rstrip()
        rest = [] if fits else [", ".join(cells[1:])]
        below = [row.unlike] if beside else [*rest, row.verdict, row.unlike]
        for text in (*below, *more):
            yield from _indented(in_one_line(text), width)


def _cells(row: StudyRow) -> tuple[str, ...]:
    name = in_one_line(row.study.experiment.name)
    return name, row.study.short_id, row.state, row.trials, row.age


def _indented(text: str, width: int | None) -> list[str]:
    if width is None:
        return [INDENT + text] if text else []
    return wrap(
        text,
        max(width, 40),
        initial_indent=INDENT,
        subsequent_indent=INDENT + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _arms(results: Path, row: StudyRow) -> list[str]:
    """How many trials of each arm ended how, a line an arm and phase."""
    from harness.store import STORE_FILE, StoreReader

    answer = StoreReader(results / STORE_FILE).query(
        "SELECT arm, phase, count(*) FILTER (status = 'complete') AS complete, "
        "count(*) FILTER (status = 'pruned') AS pruned, "
        "count(*) FILTER (status = 'failed') AS failed FROM trials WHERE experiment_id = ? "
        "GROUP BY arm, phase ORDER BY min(started_at), arm, phase",
        [row.study.experiment.experiment_id],
    )
    return [
        f"{found['arm']:<14} {found['phase']:<9} {found['complete']} complete"
        + (f", {found['pruned']} stopped early" if found["pruned"] else "")
        + (f", {found['failed']} failed" if found["failed"] else "")
        for found in answer.named
    ]
