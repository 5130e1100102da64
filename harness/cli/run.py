"""harness run"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import experiment_argument, near, results_option

if TYPE_CHECKING:
    from harness.engine import EngineName
    from harness.review.studies import AnalysedStudy
    from harness.study.observer import Observer
    from harness.study.tracking import TrackerName


@click.command()
@experiment_argument()
@results_option()
@click.option(
    "--engine",
    type=click.Choice(["child", "in-process", "ray"]),
    default="child",
    show_default=True,
    help="Run trials in worker processes, in this process, or on a Ray cluster.",
)
@click.option(
    "--ray-address",
    metavar="ADDRESS",
    help="Cluster for engine ray: auto, or HOST:PORT. Without it RAY_ADDRESS, or this machine.",
)
@click.option(
    "--retry-failed", is_flag=True, help="Run trials again that failed in an earlier run."
)
@click.option(
    "--track",
    type=click.Choice(["tensorboard", "mlflow", "wandb"]),
    help="Write a run for every trial to this tracker too, into the folder of results.",
)
@click.option("--quiet", is_flag=True, help="No progress; only the outcome.")
def command(
    experiment: Path,
    results: Path,
    engine: EngineName,
    ray_address: str | None,
    retry_failed: bool,
    track: TrackerName | None,
    quiet: bool,
) -> None:
    """Run an experiment to its verdict, or go on with one that was stopped.

    Nothing that finished is repeated. The report is written beside the run.

    \b
    Example:
      harness run experiments/quickstart.yaml
    """
    if ray_address is not None and engine != "ray":
        raise click.UsageError("--ray-address is for --engine ray")

    from rich.markup import escape

    from harness.cli.progress import QuietObserver, RichObserver
    from harness.cli.terminal import Terminal
    from harness.review.studies import load_study, note_verdict, write_reports
    from harness.spec import load_experiment
    from harness.study.run import run_study
    from harness.study.tracking import TrackedObserver

    spec = load_experiment(experiment)
    console = Terminal(stderr=True)
    observer = QuietObserver(console) if quiet else RichObserver(console)
    with observer, ExitStack() as ended:
        watching: Observer = observer
        if track:
            watching = tracked = TrackedObserver(observer, track, results, spec.name)
            # Interrupted or not.
            ended.callback(tracked.end)
        done = run_study(
            spec,
            results,
            engine=engine,
            observer=watching,
            fetch_progress=observer.fetched,
            retry_failed=retry_failed,
            ray_address=ray_address,
        )
    loaded = load_study(results, done.experiment_id)
    files = write_reports(loaded, done.folder)
    console.print(
        f"{done.trials_run} trials run, {done.trials_known} known before, "
        f"{done.trials_failed} failed."
    )
    note_verdict(loaded)
    for arm, cause in done.without_result.items():
        observer.warning(f"arm {arm}: none of its trials ended well; the first failed by: {cause}")
    screen = Terminal()
    loaded.print_decision(screen)
    screen.print(escape(f"Report: {near(str(files['html']))}"))
    screen.print(escape(f"Next: {_next_step(loaded)}"))
    done.require_result()


def _next_step(loaded: AnalysedStudy) -> str:
    """What to do once the verdict was read: the first of the report's steps."""
    step = next(iter(loaded.findings.next_steps), None)
    if step is None:
        return f"harness report {loaded.experiment.name} says what was found"
    if not step.lines:
        return step.what
    where = "" if step.command else " in the experiment file, then run it again"
    return f"{step.what}: {'; '.join(step.lines)}{where}"
