"""harness report"""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import browser_option, format_option, meant, results_option
from harness.cli.printing import say
from harness.cli.uncollected import Uncollected
from harness.errors import InputError

# A page that shows what is written reads it so often; the store is looked at for new trials.
RELOAD_SECONDS = 10
LOOK_SECONDS = 2.0


@click.command(cls=Uncollected)
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
@click.option(
    "--live",
    is_flag=True,
    help="While the study runs, write the HTML again after each trial; the page reloads itself.",
)
@click.option("--quiet", is_flag=True, help="Write the files, print only their paths.")
def command(
    name: str | None,
    results: Path,
    output: Path | None,
    formats: tuple[str, ...],
    appendix: bool,
    browser: str | None,
    live: bool,
    quiet: bool,
) -> None:
    """Write the report of a study: NAME, or the start of its id.

    A name means the newest study of that name that is finished; without one it is the newest of
    all that is. Where a newer one is not finished, its id is told. With --live the newest is meant,
    finished or not; open the page once, and it shows each trial as it ends.

    \b
    Example:
      harness report quickstart
      harness report quickstart --format html,json,pdf
    """

    from harness.cli.terminal import Terminal
    from harness.review.studies import LABELS, load_study, write_reports

    identity = _until_ended(results, name, output) if live else meant(results, name)
    if live and "html" not in formats:
        formats = ("html", *formats)
    loaded = load_study(results, identity)
    files = write_reports(loaded, output, formats, browser, appendix=appendix)
    if not quiet:
        loaded.print(Terminal())
    for written, path in files.items():
        say(f"{LABELS[written]}: {path}")


def _until_ended(results: Path, name: str | None, output: Path | None) -> str:
    """Write the HTML after each trial until nobody works on the study; the study's id."""
    import gc
    import time

    from harness.records import utc_now
    from harness.review.overview import overview
    from harness.review.studies import load_study, write_reports

    written: dict[str, int] | None = None
    try:
        while True:
            rows = overview(results, utc_now(), name)
            if not rows:
                raise InputError(f"no study in {results} yet; `harness run` makes one")
            # From the first look on it is that one, whatever is declared later.
            name = rows[-1].study.experiment.experiment_id
            if rows[-1].state in ("finished", "stopped"):
                written = None
                return name
            trials = rows[-1].study.trials
            if trials != written:
                loaded = load_study(results, name)
                files = write_reports(loaded, output, ("html",), reload_seconds=RELOAD_SECONDS)
                # It goes on for days.
                gc.collect()
                if written is None:
                    page = files["html"]
                    say(f"Report: {page}   (it reloads itself; Ctrl-C ends the writing)")
                written = trials
            time.sleep(LOOK_SECONDS)
    finally:
        # Whatever ended the writing: a page that nobody writes must not go on reloading.
        if name is not None and written is not None:
            write_reports(load_study(results, name), output, ("html",))
