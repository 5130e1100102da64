"""harness judge"""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import meant, results_option
from harness.cli.printing import say


@click.command()
@click.argument("name", metavar="[STUDY]", required=False)
@results_option()
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    help="Items to draw; as many as will do if not given.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, .csv or .jsonl.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws.")
def command(name: str | None, results: Path, sample: int | None, output: Path, seed: int) -> None:
    """Write replies of a study for people to mark, so that its judge can be held against them.

    Both compared arms reply to each item drawn, in an order drawn for each, and nothing says whose
    reply is whose. Fill in the column score and name the file under calibration of the judge.

    \b
    Example:
      harness judge support --sample 40 --output human.csv
    """

    from harness.review.human_marks import sheet_of, write_sheet
    from harness.review.studies import find_study
    from harness.study.judges import HUMAN_ITEMS

    loaded = find_study(results, meant(results, name))
    wanted = HUMAN_ITEMS if sample is None else sample
    sheet = sheet_of(loaded, wanted, seed)
    write_sheet(sheet, output)
    say(f"{len(sheet.rows)} replies to {sheet.items} items: {output}")
    if sheet.items < wanted:
        say(f"Only {sheet.available} items have a reply of both arms.")
    for judge_name, judge in loaded.experiment.judges.items():
        low, high = judge.scale
        say(f"Rubric of {judge_name}, from {low} to {high}: {judge.rubric}")
    say(
        "Next: fill in the column score by the rubric, without looking at the report, and leave "
        f"the column key as it is; set calibration: {output.name} for the judge; and harness run "
        "again, which computes nothing anew."
    )
