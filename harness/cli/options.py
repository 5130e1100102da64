"""Arguments and options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness.cli.printing import say

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def results_option() -> Decorator:
    """The option for the folder of the store and the runs."""
    return click.option(
        "--results",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("results"),
        show_default=True,
        help="Folder that holds the store and the runs.",
    )


def experiment_argument() -> Decorator:
    """The argument for an experiment file."""
    return click.argument(
        "experiment", type=click.Path(dir_okay=False, path_type=Path), metavar="EXPERIMENT.YAML"
    )


def meant(results: Path, name: str | None) -> str:
    """Id of the study that a name means; a newer one that is not finished is told of."""
    from harness.review.names import find_named, notice_of

    found = find_named(results, name)
    if notice := notice_of(found):
        say(f"note: {notice}", err=True)
    return found.study.experiment.experiment_id


def final_run_options(verb: str) -> Decorator:
    """The options ``--arm`` and ``--seed`` for the final run that a command takes.

    Args:
        verb: what the command does with it.
    """
    arm = click.option("--arm", help=f"Arm to {verb}; the verdict's winner if not given.")
    seed = click.option(
        "--seed",
        type=int,
        help=f"Seed of the final run to {verb}; the best one on validation if not given.",
    )
    return lambda command: arm(seed(command))


def near(text: str) -> str:
    """The text with paths below the current folder as the user would write them."""
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return text
    return text.replace(f"{here}{os.sep}", "")


def format_option(*, study: bool) -> Decorator:
    """The option for formats, as ``formats``: a tuple in the order in which they are written.

    Args:
        study: whether it is the report of one study, which has more formats.
    """
    more = ", csv (every item), brief (two pages of PDF)" if study else ""

    def chosen(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
        from harness.review.studies import COMPARISON_FORMATS, FORMATS, chosen_formats

        return chosen_formats(names, FORMATS if study else COMPARISON_FORMATS)

    return click.option(
        "--format",
        "formats",
        multiple=True,
        default=("html,md",),
        show_default="html,md",
        metavar="FORMATS",
        callback=chosen,
        help=f"Files to write: html, md, json, pdf{more}; with commas between, or given several "
        "times.",
    )


def browser_option() -> Decorator:
    """The option for the program that prints a PDF."""
    return click.option(
        "--browser",
        metavar="PROGRAM",
        help="Chromium, Chrome or Edge that prints the PDF; without it HARNESS_BROWSER, or the "
        "first one found.",
    )
