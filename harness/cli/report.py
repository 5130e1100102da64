"""harness report"""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import browser_option, format_option, results_option
from harness.cli.printing import say


@click.command()
@click.argument("name", required=False)
@results_option()
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.html and the like; the run's own folder if not given.",
)
@format_option()
@browser_option()
@click.option("--quiet", is_flag=True, help="Write the files, print only their paths.")
def command(
    name: str | None,
    results: Path,
    output: Path | None,
    formats: tuple[str, ...],
    browser: str | None,
    quiet: bool,
) -> None:
    """Write the report of an experiment (NAME or the start of its id; the latest if not given).

    \b
    Example:
      harness report quickstart
      harness report quickstart --format html,json,pdf
    """

    from harness.cli.terminal import Terminal
    from harness.reporting import LABELS, find_study, write_reports

    loaded = find_study(results, name)
    files = write_reports(loaded, output, formats, browser)
    if not quiet:
        loaded.print(Terminal())
    for written, path in files.items():
        say(f"{LABELS[written]}: {path}")
