"""harness run"""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import experiment_argument, results_option


@click.command()
@experiment_argument()
@results_option()
@click.option(
    "--engine",
    type=click.Choice(["child", "in-process"]),
    default="child",
    show_default=True,
    help="Run each trial in a process of its own, or all in this one.",
)
@click.option(
    "--retry-failed", is_flag=True, help="Run trials again that failed in an earlier run."
)
@click.option("--quiet", is_flag=True, help="No progress; only the outcome.")
def command(experiment: Path, results: Path, engine: str, retry_failed: bool, quiet: bool) -> None:
    """Run an experiment to its verdict, or go on with one that was stopped.

    Nothing that finished is repeated. The report is written beside the run.

    \b
    Example:
      harness run experiments/quickstart.yaml
    """
    from rich.console import Console

    from harness.cli.progress import QuietObserver, RichObserver
    from harness.pipeline import run_study
    from harness.reporting import load_study, write_reports
    from harness.spec import load_experiment

    spec = load_experiment(experiment)
    console = Console(stderr=True)
    observer = QuietObserver(console) if quiet else RichObserver(console)
    with observer:
        done = run_study(
            spec,
            results,
            engine="in-process" if engine == "in-process" else "child",
            observer=observer,
            fetch_progress=observer.fetched,
            retry_failed=retry_failed,
        )
    loaded = load_study(results, done.experiment_id)
    files = write_reports(loaded, done.folder)
    loaded.print(Console())
    console.print(
        f"{done.trials_run} trials run, {done.trials_known} known before, "
        f"{done.trials_failed} failed."
    )
    click.echo(f"Report: {files.html}")
