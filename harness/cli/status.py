"""harness status"""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import results_option
from harness.cli.printing import say


@click.command()
@results_option()
def command(results: Path) -> None:
    """Show every experiment in the store and how far it is.

    \b
    Example:
      harness status
    """
    from harness.store import STORE_FILE, StoreReader

    reader = StoreReader(results / STORE_FILE)
    answer = reader.query(
        "SELECT experiment_id, arm, phase, count(*) FILTER (status = 'complete'), "
        "count(*) FILTER (status = 'pruned'), count(*) FILTER (status = 'failed'), max(ended_at) "
        "FROM trials GROUP BY ALL ORDER BY min(started_at)"
    )
    for record in reader.experiments():
        say(f"{record.name}  {record.experiment_id[:12]}")
        rows = [row[1:] for row in answer.rows if row[0] == record.experiment_id]
        for arm, phase, complete, pruned, failed, ended in rows:
            counts = f"{complete} complete"
            counts += f", {pruned} stopped early" if pruned else ""
            counts += f", {failed} failed" if failed else ""
            say(f"  {arm:<14} {phase:<9} {counts}  (last {ended})")
        if not rows:
            say("  no trial has ended yet")
