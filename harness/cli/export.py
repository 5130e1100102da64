"""harness export"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from harness.cli.options import Decorator, final_run_options, meant, results_option
from harness.cli.printing import say

if TYPE_CHECKING:
    from harness.export.parity import Parity

SHOWN_DIFFERENCES = 5


def study_argument() -> Decorator:
    """The argument for the study that is exported."""
    return click.argument("name", metavar="[STUDY]", required=False)


def out_option(help_text: str) -> Decorator:
    """The option for where the export goes, as ``out``."""
    return click.option("--out", required=True, type=click.Path(path_type=Path), help=help_text)


def force_option(help_text: str) -> Decorator:
    """The option for replacing what was exported there before."""
    return click.option("--force", is_flag=True, help=help_text)


@click.group()
def command() -> None:
    """Write a study's winner for use, or the study for another program.

    A name means the newest study of that name that is finished; the start of an id that very one.

    \b
    Example:
      harness export model quickstart --out winner
      harness export prompt quickstart --arm few-shot --out prompt.json
      harness export optuna quickstart --out quickstart.db
    """


@command.command()
@study_argument()
@results_option()
@out_option("File to write: an SQLite database.")
@click.option("--journal", is_flag=True, help="Write a journal file in place of a database.")
@force_option("Write over a file that is there.")
def optuna(name: str | None, results: Path, out: Path, journal: bool, force: bool) -> None:
    """Write every arm's search as an Optuna study (STUDY: name or start of id; else the newest).

    \b
    Example:
      harness export optuna quickstart --out quickstart.db
    """
    from harness.export import export_optuna

    names = export_optuna(results, meant(results, name), out, journal=journal, force=force)
    say(f"{out}: {', '.join(names)}")
    say(f"Show them: optuna-dashboard {out if journal else f'sqlite:///{out}'}")


@command.command()
@study_argument()
@results_option()
@out_option("Folder of the MLflow store; one that has other studies is added to.")
@click.option(
    "--database", is_flag=True, help="Write an SQLite database in the folder, not plain files."
)
@force_option("Replace the runs of an earlier export of the study.")
def mlflow(name: str | None, results: Path, out: Path, database: bool, force: bool) -> None:
    """Write every trial as an MLflow run (STUDY: name or start of id; else the newest).

    \b
    Example:
      harness export mlflow quickstart --out mlruns
    """
    from harness.export import export_mlflow

    done = export_mlflow(results, meant(results, name), out, database=database, force=force)
    allowed = "" if database else "MLFLOW_ALLOW_FILE_STORE=true "
    say(f"{out}: {done.runs} runs of the experiment {done.experiment}")
    say(f"Show them: {allowed}mlflow ui --backend-store-uri {done.uri}")


@command.command()
@study_argument()
@results_option()
@out_option("Folder to write; it appears when it is whole.")
@final_run_options("export")
@click.option(
    "--form",
    type=click.Choice(["trained", "merged", "gguf"]),
    default="trained",
    show_default=True,
    help="As training left it (adapter, or whole model); merged into the base; a GGUF file.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Number format of merged weights; that of the run if not given.",
)
@click.option(
    "--items",
    type=click.IntRange(min=0),
    help="Check this many test items, 0 for none; all if not given.",
)
@click.option(
    "--allow-differences",
    is_flag=True,
    help="Export also what does not answer as the trial did; its README.md says so.",
)
@click.option(
    "--converter",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="llama.cpp's convert_hf_to_gguf.py, for --form gguf.",
)
@force_option("Replace an earlier export in the folder.")
def model(
    name: str | None,
    results: Path,
    out: Path,
    arm: str | None,
    seed: int | None,
    form: Literal["trained", "merged", "gguf"],
    dtype: str | None,
    items: int | None,
    allow_differences: bool,
    converter: Path | None,
    force: bool,
) -> None:
    """Write the winner's weights, checked against its test scores (STUDY: else the newest).

    \b
    Example:
      harness export model quickstart --arm lora --form merged --out winner
    """
    from harness.export import export_model

    done = export_model(
        results,
        meant(results, name),
        out,
        arm=arm,
        seed=seed,
        form=form,
        dtype=dtype,
        items=items,
        allow_differences=allow_differences,
        converter=converter,
        force=force,
        on_parity=_print_parity,
    )
    say(f"{out}: {done.form}, {done.dtype}, of {done.run.why}")
    if done.parity is None:
        say("NOT CHECKED: the exported weights were not scored again.", err=True)
    elif not done.parity.of_other_weights and done.parity.different:
        say(
            f"{done.parity.different} of {done.parity.items} test items have another reply, each "
            "a near tie that rounding decides; the model card says so."
        )
    elif done.parity.of_other_weights:
        say(
            f"DIFFERENT: {done.parity.different} of {done.parity.items} test items; the model "
            "card says so.",
            err=True,
        )


def _print_parity(parity: Parity) -> None:
    from rich.markup import escape
    from rich.table import Table

    from harness.cli.terminal import Terminal
    from harness.export.parity_report import parity_table
    from harness.wording import cell

    compared = parity_table(parity)
    table = Table(title=compared.caption, title_justify="left")
    for column in compared.columns:
        table.add_column(column.heading, justify="right" if column.numeric else "left")
    for row in compared.rows:
        table.add_row(*map(escape, row))
    console = Terminal()
    console.print(table)
    for text in parity.circumstances:
        console.print(text, markup=False)
    for difference in parity.differences[:SHOWN_DIFFERENCES]:
        console.print(
            f"item {cell(difference.item_id, 60)}: "
            f"{cell(difference.trial_output, 80)!r} in the trial, "
            f"{cell(difference.exported_output, 80)!r} exported",
            markup=False,
        )
    if len(parity.differences) > SHOWN_DIFFERENCES:
        console.print(f"and {len(parity.differences) - SHOWN_DIFFERENCES} more items")


@command.command()
@study_argument()
@results_option()
@out_option("JSON file to write.")
@final_run_options("export")
@force_option("Write over a file that is there.")
def prompt(
    name: str | None, results: Path, out: Path, arm: str | None, seed: int | None, force: bool
) -> None:
    """Write the winner's prompt for an OpenAI-compatible server (STUDY: else the newest).

    \b
    Example:
      harness export prompt quickstart --arm few-shot --out prompt.json
    """
    from harness.export import export_prompt

    done = export_prompt(results, meant(results, name), out, arm=arm, seed=seed, force=force)
    say(f"{out}: {done.run.why}")
    for note in done.notes:
        say(f"- {note}")
    if done.usage:
        say("Use it:")
        for line in done.usage:
            say(f"  {line}")
