"""harness report"""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import results_option
from harness.cli.printing import say


@click.command()
@click.argument("name", required=False)
@results_option()
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.html and report.md; the run's own folder if not given.",
)
@click.option("--quiet", is_flag=True, help="Write the files, print only their paths.")
def command(name: str | None, results: Path, output: Path | None, quiet: bool) -> None:
    """Write the report of an experiment (NAME or the start of its id; the latest if not given).

    \b
    Example:
      harness report quickstart
    """

    from harness.cli.terminal import Terminal
    from harness.reporting import find_study, write_reports

    loaded = find_study(results, name)
    files = write_reports(loaded, output)
    if not quiet:
        loaded.print(Terminal())
    say(f"Report: {files.html}")
    say(f"Markdown: {files.markdown}")
