"""harness plan"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from harness.cli.options import experiment_argument, results_option
from harness.cli.printing import json_text, say


@click.command()
@experiment_argument()
@results_option()
@click.option(
    "--explain",
    is_flag=True,
    help="Say instead, arm by arm, what is known and what makes the rest new; nothing is measured.",
)
@click.option(
    "--thorough", is_flag=True, help="Measure the heaviest settings too, on more items: minutes."
)
@click.option(
    "--format",
    "layout",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Tables for people, or one JSON object.",
)
def command(experiment: Path, results: Path, explain: bool, thorough: bool, layout: str) -> None:
    """Say what a study will take before anything is spent: trials, tokens, time, money, disk.

    Runs a few steps and items of every kind of trial here, which takes about a minute on an idle
    machine, and leaves nothing behind. What --results holds already, for whichever study, is not
    counted again.

    \b
    Example:
      harness plan experiments/quickstart.yaml
    """

    from harness.cli.plan_tables import PlanObserver, print_explanation, print_forecast
    from harness.cli.terminal import Terminal
    from harness.engine import open_engine, start_server
    from harness.forecast.study import forecast_study
    from harness.spec import ExecutionSpec, load_experiment
    from harness.study.asked_models import BASE
    from harness.study.executing import executing
    from harness.study.explanation import explain as explain_arms
    from harness.study.rehearsal import rehearse
    from harness.study.run import plan_study
    from harness.study.writable import require_writable

    spec = load_experiment(experiment)
    # It is not written to here; but a plan of what cannot be run would be of no use.
    require_writable(results)
    if not explain:
        start_server()
    observer = PlanObserver(Terminal(stderr=True))
    # Item sets are files; those of a plan are not to lie among results.
    with tempfile.TemporaryDirectory(prefix="harness-plan-") as folder:
        plan = plan_study(spec, Path(folder), observer, held=results)
        for problem in (*plan.left_out(), *plan.notes):
            observer.warning(problem)
        observer.stage("Looking for what is known")
        rehearsal = rehearse(plan, results, Path(folder))
        if explain:
            rows = explain_arms(rehearsal, (BASE, *spec.arms))
            if layout == "json":
                say(json_text([asdict(row) for row in rows], indent=2))
            else:
                print_explanation(rows, Terminal())
            return
        forecast = forecast_study(
            results,
            rehearsal,
            # One trial at a time, so that each is measured alone.
            lambda: open_engine("child", executing(), ExecutionSpec()),
            observer,
            thorough=thorough,
        )
    if layout == "json":
        say(json_text(forecast.plain(), indent=2))
    else:
        print_forecast(forecast, Terminal())
