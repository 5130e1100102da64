"""harness compare"""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import browser_option, format_option, meant, results_option
from harness.cli.printing import say
from harness.cli.uncollected import Uncollected


@click.command(cls=Uncollected)
@click.argument("names", nargs=-1, required=True)
@results_option()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File, whose suffix becomes that of each format; compare in the results folder if not "
    "given.",
)
@format_option(study=False)
@browser_option()
@click.option("--quiet", is_flag=True, help="Write the files, print only their paths.")
def command(
    names: tuple[str, ...],
    results: Path,
    output: Path | None,
    formats: tuple[str, ...],
    browser: str | None,
    quiet: bool,
) -> None:
    """Compare experiments (NAMES or starts of ids): what changed beside what it scored.

    The first one named is the reference that the others are compared with, item by item where
    they were tested on the same items. What cannot be compared is named, with the reason and what
    to do. A name means its newest finished study.

    \b
    Example:
      harness compare quickstart quickstart-more-data
      harness compare january february march --format html,pdf
    """

    from harness.cli.terminal import Terminal
    from harness.review.studies import LABELS, compare_named, write_comparison

    compared = compare_named(results, [meant(results, name) for name in names])
    files = write_comparison(compared, output or results / "compare", formats, browser)
    if not quiet:
        compared.print(Terminal())
    for written, path in files.items():
        say(f"{LABELS[written]}: {path}")
