"""harness check"""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import experiment_argument


@click.command()
@experiment_argument()
def command(experiment: Path) -> None:
    """Validate an experiment, read and audit its data, and show what would be run.

    Trains nothing and loads no weights. Exit code 2 when something is wrong.

    \b
    Example:
      harness check experiments/quickstart.yaml
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from harness.data import prepare
    from harness.evaluation.suites import load_suite
    from harness.spec import load_experiment

    spec = load_experiment(experiment)
    suite = load_suite(spec.general.suite) if spec.general else None
    prepared = prepare(spec)
    console = Console()
    console.print(f"[bold]{escape(spec.name)}[/] is a valid experiment.")
    table = Table("split", "examples", "groups", "leaks found", title="Data", title_justify="left")
    for name, count in prepared.counts.items():
        leaks = prepared.audit.flagged.get(name, {})
        found = ", ".join(f"{n} {kind}" for kind, n in leaks.items() if n) or "none"
        table.add_row(
            name, str(count), str(prepared.groups[name]), "" if name == "train" else found
        )
    console.print(table)
    if prepared.audit.dropped:
        console.print(
            f"{len(prepared.audit.dropped)} training examples are dropped because they also stand "
            "in a held-out set (data.leaks)."
        )
    for problem in prepared.dropped[:10]:
        console.print(f"dropped: {escape(str(problem))}")
    if len(prepared.dropped) > 10:
        console.print(f"and {len(prepared.dropped) - 10} more dropped rows")
    arms = Table("arm", "kind", "trials", "searched", title="Arms", title_justify="left")
    for name, arm in spec.arms.items():
        searched = ", ".join(arm.search_space()) or "nothing: not tuned"
        arms.add_row(name, arm.kind, str(spec.trials_of(name)), searched)
    console.print(arms)
    tasks = (
        f"{len(suite.tasks)} tasks of {suite.name}" if suite else "none: forgetting not measured"
    )
    console.print(f"General suite: {escape(tasks)}")
    finals = len(spec.arms) * len(spec.seeds)
    searched_trials = sum(spec.trials_of(name) for name in spec.arms)
    console.print(
        f"{searched_trials} search trials, {finals} finalists on {len(spec.seeds)} seed(s), "
        "1 untouched base."
    )
