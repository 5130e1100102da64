"""harness query"""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from harness.cli.options import results_option
from harness.cli.printing import in_one_line, json_text, say, visible
from harness.errors import InputError


@click.command()
@click.argument("sql")
@results_option()
@click.option(
    "--format",
    "layout",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How to print the rows.",
)
def command(sql: str, results: Path, layout: str) -> None:
    """Run one SELECT on the store: views trials, scores, items, finalists, costs, test_accesses.

    \b
    Example:
      harness query "SELECT arm, seed, test FROM finalists ORDER BY test DESC"
    """
    from harness.store import STORE_FILE, StoreReader

    answer = StoreReader(results / STORE_FILE).query(sql)
    if layout == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(answer.columns)
        # A file or a program gets every value as it is stored.
        writer.writerows(map(_shown, answer.rows) if sys.stdout.isatty() else answer.rows)
    elif layout == "json":
        _check_distinct(answer.columns)
        for row in answer.named:
            say(json_text(row))
    else:
        _print_table(answer.columns, answer.rows)
        say(f"{len(answer.rows)} rows")


def _check_distinct(columns: Sequence[str]) -> None:
    """See that no two columns have one name, of which an object of JSON would keep the last.

    Raises:
        InputError: two have.
    """
    twice = list(dict.fromkeys(name for name in columns if columns.count(name) > 1))
    if twice:
        raise InputError(
            f"several columns are called {', '.join(map(repr, twice))}, and an object of JSON "
            "holds one of a name: name them apart with AS, or take --format csv"
        )


def _shown(row: Sequence[Any]) -> list[Any]:
    return [visible(value) if isinstance(value, str) else value for value in row]


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns side by side; where a terminal is too narrow for them, one row below the other."""
    from rich.cells import cell_len

    table = [list(map(_cell, row)) for row in (columns, *rows)]
    lengths = [list(map(cell_len, row)) for row in table]
    widths = [max(column) for column in zip(*lengths, strict=True)]
    lines: Iterator[str]
    if sys.stdout.isatty() and sum(widths) + 2 * len(widths) > shutil.get_terminal_size().columns:
        longest = max(map(len, table[0]))
        lines = (
            "\n".join(
                f"{name:<{longest}}  {value}" for name, value in zip(table[0], row, strict=True)
            )
            + "\n"
            for row in table[1:]
        )
    else:
        table.insert(1, ["-" * width for width in widths])
        lengths.insert(1, widths)
        lines = (
            "  ".join(
                value + " " * (width - length)
                for value, width, length in zip(row, widths, taken, strict=True)
            ).rstrip()
            for row, taken in zip(table, lengths, strict=True)
        )
    say("\n".join(lines))


def _cell(value: object) -> str:
    # What a model wrote may move the cursor, or change the window's title.
    return "" if value is None else in_one_line(str(value))
