"""harness query"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import click

from harness.cli.options import results_option


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
        writer.writerows(answer.rows)
    elif layout == "json":
        for row in answer.rows:
            named = dict(zip(answer.columns, row, strict=True))
            click.echo(json.dumps(named, ensure_ascii=False, default=str))
    else:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table(*map(escape, answer.columns))
        for row in answer.rows:
            table.add_row(*("" if cell is None else escape(str(cell)) for cell in row))
        Console().print(table)
        click.echo(f"{len(answer.rows)} rows")
