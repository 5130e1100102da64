"""harness export"""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import results_option
from harness.cli.printing import say


@click.group()
def command() -> None:
    """Write a study for another program: optuna-dashboard or MLflow.

    \b
    Example:
      harness export optuna quickstart --out quickstart.db
    """


@command.command()
@click.argument("name", metavar="[STUDY]", required=False)
@results_option()
@click.option(
    "--out",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    help="File to write: an SQLite database.",
)
@click.option("--journal", is_flag=True, help="Write a journal file in place of a database.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def optuna(name: str | None, results: Path, path: Path, journal: bool, force: bool) -> None:
    """Write every arm's search as an Optuna study (STUDY: name or start of id; else the latest).

    \b
    Example:
      harness export optuna quickstart --out quickstart.db
    """
    from harness.export import export_optuna

    names = export_optuna(results, name, path, journal=journal, force=force)
    say(f"{path}: {', '.join(names)}")
    say(f"Show them: optuna-dashboard {path if journal else f'sqlite:///{path}'}")


@command.command()
@click.argument("name", metavar="[STUDY]", required=False)
@results_option()
@click.option(
    "--out",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the MLflow store; one that has other studies is added to.",
)
@click.option(
    "--database", is_flag=True, help="Write an SQLite database in the folder, not plain files."
)
@click.option("--force", is_flag=True, help="Replace the runs of an earlier export of the study.")
def mlflow(name: str | None, results: Path, folder: Path, database: bool, force: bool) -> None:
    """Write every trial as an MLflow run (STUDY: name or start of id; else the latest).

    \b
    Example:
      harness export mlflow quickstart --out mlruns
    """
    from harness.export import export_mlflow

    done = export_mlflow(results, name, folder, database=database, force=force)
    allowed = "" if database else "MLFLOW_ALLOW_FILE_STORE=true "
    say(f"{folder}: {done.runs} runs of the experiment {done.experiment}")
    say(f"Show them: {allowed}mlflow ui --backend-store-uri {done.uri}")
