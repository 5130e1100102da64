"""harness compare"""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import results_option
from harness.cli.printing import say


@click.command()
@click.argument("names", nargs=-1, required=True)
@results_option()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="HTML file; compare.html in the results folder if not given.",
)
def command(names: tuple[str, ...], results: Path, output: Path | None) -> None:
    """Compare experiments (NAMES or starts of ids): what changed beside what it scored.

    \b
    Example:
      harness compare quickstart quickstart-more-data
    """

    from harness.cli.terminal import Terminal
    from harness.reporting import find_study, write_comparison

    if len(names) < 2:
        raise click.UsageError("give at least two experiments to compare")
    loaded = [find_study(results, name) for name in names]
    path = write_comparison(loaded, output or results / "compare.html", Terminal())
    say(f"Report: {path}")
