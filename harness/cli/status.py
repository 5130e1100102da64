"""harness status"""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import results_option


@click.command()
@results_option()
def command(results: Path) -> None:
    """Show every experiment in the store and how far it is.

    \b
    Example:
      harness status
    """
    from harness.store import StoreReader

    reader = StoreReader(results / "harness.duckdb")
    answer = reader.query(
        "SELECT experiment, arm, phase, count(*) FILTER (status = 'complete'), "
        "count(*) FILTER (status = 'failed'), max(ended_at) "
        "FROM trials GROUP BY ALL ORDER BY experiment, min(started_at)"
    )
    names = {record.name: record for record in reader.experiments()}
    shown = ""
    for experiment, arm, phase, complete, failed, ended in answer.rows:
        if experiment != shown:
            record = names.get(experiment)
            identity = record.experiment_id[:12] if record else ""
            click.echo(f"{experiment}  {identity}")
            shown = experiment
        failures = f", {failed} failed" if failed else ""
        click.echo(f"  {arm:<14} {phase:<9} {complete} complete{failures}  (last {ended})")
    for name in names.keys() - {row[0] for row in answer.rows}:
        click.echo(f"{name}\n  no trial has ended yet")
