"""Arguments and options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def results_option() -> Decorator:
    """Folder of the store and the runs."""
    return click.option(
        "--results",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("results"),
        show_default=True,
        help="Folder that holds the store and the runs.",
    )


def experiment_argument() -> Decorator:
    """An experiment file."""
    return click.argument(
        "experiment", type=click.Path(dir_okay=False, path_type=Path), metavar="EXPERIMENT.YAML"
    )


def near(text: str) -> str:
    """The text with paths below the current folder as the user would write them."""
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return text
    return text.replace(f"{here}{os.sep}", "")


def format_option() -> Decorator:
    """Formats of a report, as ``formats``: a tuple in the order in which they are written."""
    return click.option(
        "--format",
        "formats",
        multiple=True,
        default=("html,md",),
        show_default="html,md",
        metavar="FORMATS",
        callback=_formats,
        help="Files to write: html, md, json, pdf; with commas between, or given several times.",
    )


def _formats(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    from harness.reporting import chosen_formats

    return chosen_formats(names)


def browser_option() -> Decorator:
    """The program that prints a PDF."""
    return click.option(
        "--browser",
        metavar="PROGRAM",
        help="Chromium, Chrome or Edge that prints the PDF; without it HARNESS_BROWSER, or the "
        "first one found.",
    )
