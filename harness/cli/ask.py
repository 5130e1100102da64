"""harness ask"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import final_run_options, meant, results_option
from harness.cli.printing import in_one_line, json_text, say
from harness.wording import plural

if TYPE_CHECKING:
    from harness.deployment.finalist import Finalist, Progress
    from harness.deployment.predictions import Prediction
    from harness.records import JsonValue


@click.command()
@click.argument("name", metavar="[STUDY]", required=False)
@results_option()
@final_run_options("ask")
@click.option(
    "--file",
    "source",
    type=click.Path(path_type=Path),
    help="File of rows to answer, in any form that an experiment's data may have.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File to write, .csv or .jsonl: each row with `answer` and `reply`.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def command(
    name: str | None,
    results: Path,
    arm: str | None,
    seed: int | None,
    source: Path | None,
    out: Path | None,
    force: bool,
) -> None:
    """Answer rows with a finalist, exactly as it was scored (STUDY: else the newest).

    Without --file rows are read from the terminal or a pipe, one a line: the text, or an object
    of JSON where the arm reads several columns.

    \b
    Example:
      harness ask support --file new.csv --out answered.csv
      echo "Where is my parcel?" | harness ask support --arm lora
    """
    from harness.deployment.finalist import opened
    from harness.deployment.predictions import (
        check_output,
        check_rows,
        partial_of,
        predictions,
        predictions_kept,
        questions_in,
        questions_of,
    )
    from harness.export.final_run import find_final_run

    if out is not None:
        check_output(out, force=force)
    run = find_final_run(results, meant(results, name), arm, seed)
    say(f"{run.why}", err=True)
    if source is None and sys.stdin.isatty() and out is None:
        with opened(run) as finalist:
            _talk(finalist)
        return
    questions = (
        questions_of(run, _rows(sys.stdin.read())) if source is None else questions_in(run, source)
    )
    if out is not None:
        check_rows(out, questions.rows)
    with opened(run) as finalist, shown(len(questions.items)) as progress:
        if out is None:
            found = predictions(finalist, questions, progress)
        else:
            try:
                found = predictions_kept(out, finalist, questions, progress)
            except BaseException:
                if (partial := partial_of(out)).is_file():
                    say(f"What was answered before is kept in {partial}", err=True)
                raise
    if out is None:
        for one in found:
            _print(one)
    else:
        unread = sum(one.answer is None for one in found)
        more = f"; {unread} replies hold no answer that could be read" if unread else ""
        say(f"{out}: {len(found)} rows answered{more}")


def _talk(finalist: Finalist) -> None:
    """Answer line by line what is typed, until the end of the input."""
    from harness.deployment.predictions import predictions, questions_of
    from harness.errors import InputError

    say("One row a line; an empty line ends.", err=True)
    while line := click.prompt("", default="", prompt_suffix="> ", show_default=False, err=True):
        try:
            questions = questions_of(finalist.run, [_row(line)])
            _print(predictions(finalist, questions)[0])
        except InputError as error:
            say(f"error: {error}", err=True)


def _rows(text: str) -> list[dict[str, JsonValue] | str]:
    """The lines that hold something, as rows; says how many hold nothing.

    Only a line feed ends a line: other characters that may, such as U+2028, stand in texts.
    """
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    rows = [_row(line, f"line {n}") for n, line in enumerate(lines, 1) if line.strip()]
    if rows and (empty := len(lines) - len(rows)):
        say(f"{plural(empty, 'empty line')} left out: no answer stands for one", err=True)
    return rows


def _row(line: str, where: str = "") -> dict[str, JsonValue] | str:
    """A line as a row: an object of JSON, else the text as it is.

    Raises:
        InputError: it begins as an object does, and is none.
    """
    from harness.errors import InputError, Problem

    if not line.lstrip().startswith("{"):
        return line
    try:
        row: dict[str, JsonValue] = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            Problem(
                where,
                f"it begins with {{ and is no object of JSON: {error}; mend it, or give a text "
                'that begins so as a value of an object, such as {"text": "{..."}',
            )
        ) from error
    return row


def _print(one: Prediction) -> None:
    """The answer, one line; where none could be read the reply says why."""
    if one.answer is None:
        say(json_text({"answer": None, "reply": one.reply}))
    else:
        say(in_one_line(one.answer))


@contextmanager
def shown(items: int) -> Iterator[Progress]:
    """A bar on the standard error of a terminal; nothing elsewhere."""
    from rich.progress import Progress as Bars

    from harness.cli.terminal import Terminal

    with Bars(
        console=Terminal(stderr=True), transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task("answering", total=items)
        yield lambda done, total: bar.update(task, completed=done, total=total)
