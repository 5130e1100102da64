"""The README's block on a finished study, and the picture of its report.

    python -m tools.readme_block results/ quickstart

What a reader sees of the study between the two markers is what the program printed in the terminal
at the end: the scores and the verdict. The picture, ``docs/report.png``,
is the top of the HTML report, taken by the browser that prints PDFs.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from harness.cli.terminal import Terminal
from harness.errors import HarnessError, InputError
from harness.records import ExperimentRecord, Study, write_whole
from harness.report import ReportView, print_decision, to_html
from harness.report.formats.pdf import to_png
from harness.review.studies import AnalysedStudy, find_study
from harness.wording import plural, seconds

START, END = "<!-- demo:start -->\n", "<!-- demo:end -->"
ROOT = Path(__file__).resolve().parents[1]
PICTURE = "docs/report.png"
COLUMNS = 92
"""Characters of a line of the terminal, few enough for the page of a code host."""
WIDTH, HEIGHT = 1000, 1000
"""Pixels of the picture."""


def readme_block(study: Study, view: ReportView) -> str:
    """What stands between the markers: how long the study took, its scores, its verdict, a picture.

    Raises:
        InputError: the study did not come to its end, or has no test scores to show.
    """
    return "\n\n".join(
        (
            _took(study),
            f"```text\n{_decision(view)}\n```",
            f"![The top of the study's report.html]({PICTURE})\n",
        )
    )


def with_block(page: str, block: str) -> str:
    """The page with ``block`` between its markers.

    Raises:
        InputError: the page has not each marker once.
    """
    if page.count(START) != 1 or page.count(END) != 1:
        raise InputError(f"the page needs the lines {START.strip()} and {END}, each once")
    before, _, rest = page.partition(START)
    return f"{before}{START}{block}{END}{rest.partition(END)[2]}"


def write(loaded: AnalysedStudy, root: Path, browser: str | None = None) -> tuple[Path, Path]:
    """Write the block into the README of ``root``, and the picture; the paths of both."""
    readme, picture = root / "README.md", root / PICTURE
    page = with_block(readme.read_text(encoding="utf-8"), readme_block(loaded.study, loaded.view))
    drawn = to_png(to_html(loaded.view), root, width=WIDTH, height=HEIGHT, browser=browser)
    write_whole(picture, drawn)
    return write_whole(readme, page), picture


def _took(study: Study) -> str:
    begun = [event.at for event in study.events if event.kind == "declared"]
    ended = [event.at for event in study.events if event.kind == "finished"]
    if not begun or not ended:
        raise InputError("no run of the study came to its end: finish the study first")
    took = (_time(ended[-1]) - _time(begun[0])).total_seconds()
    # A trial may stand in the study twice: as one of a search, and as a finalist.
    trials = len({one.trial_id for one in study.trials})
    return (
        f"The study of the demo took {seconds(took)} from its declaration to its end, for "
        f"{plural(trials, 'trial')}, on {_machine(study.experiment)}. It ended so:"
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _machine(experiment: ExperimentRecord) -> str:
    """Device, number format and threads, as recorded when the study began."""
    parts = ("device", "dtype", "threads")
    known = {part: experiment.environment.get(part, "") for part in parts}
    threads = f", {plural(int(known['threads']), 'thread')}" if known["threads"] else ""
    return f"a {known['device'].upper() or 'machine'} ({known['dtype']}{threads})"


def _decision(view: ReportView) -> str:
    """The end of a run as the terminal shows it, without colours."""
    if not any(section.key == "arms" for section in view.sections):
        raise InputError("no arm was scored on the test set: finish the study first")
    console = Terminal(file=io.StringIO(), width=COLUMNS, color_system=None, record=True)
    print_decision(view, console)
    lines = console.export_text().splitlines()
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the block and the picture of one study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("results", type=Path, help="folder of the results")
    parser.add_argument("study", help="name of the study, or start of its id")
    parser.add_argument("--browser", help="Chromium, Chrome or Edge that takes the picture")
    options = parser.parse_args(arguments)
    try:
        for path in write(find_study(options.results, options.study), ROOT, options.browser):
            print(f"{path.relative_to(ROOT)}  {path.stat().st_size:,} bytes")
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
