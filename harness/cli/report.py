"""harness report"""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import browser_option, format_option, meant, results_option
from harness.cli.printing import say


@click.command()
@click.argument("name", required=False)
@results_option()
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.html and the like; the run's own folder if not given.",
)
@format_option(study=True)
@click.option("--appendix", is_flag=True, help="Open the appendix, so that it is printed too.")
@browser_option()
@click.option("--quiet", is_flag=True, help="Write the files, print only their paths.")
def command(
    name: str | None,
    results: Path,
    output: Path | None,
    formats: tuple[str, ...],
    appendix: bool,
    browser: str | None,
    quiet: bool,
) -> None:
    """Write the report of a study: NAME, or the start of its id.

    A name means the newest study of that name that is finished; without one it is the newest of
    all that is. Where a newer one is not finished, its id is told.

    \b
    Example:
      harness report quickstart
      harness report quickstart --format html,json,pdf
    """

    from harness.cli.terminal import Terminal
    from harness.review.studies import LABELS, load_study, write_reports

    loaded = load_study(results, meant(results, name))
    files = write_reports(loaded, output, formats, browser, appendix=appendix)
    if not quiet:
        loaded.print(Terminal())
    for written, path in files.items():
        say(f"{LABELS[written]}: {path}")
