"""harness status"""

from __future__ import annotations

from itertools import groupby
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
        "SELECT e.experiment_id, e.name, t.arm, t.phase, "
        "count(*) FILTER (status = 'complete'), count(*) FILTER (status = 'pruned'), "
        "count(*) FILTER (status = 'failed'), max(t.ended_at) "
        "FROM experiment e LEFT JOIN trials t USING (experiment_id) "
        "GROUP BY e.experiment_id, e.name, e.declared_at, t.arm, t.phase "
        "ORDER BY e.declared_at, e.experiment_id, min(t.started_at), t.arm, t.phase"
    )
    for (experiment_id, name), rows in groupby(answer.rows, key=lambda row: row[:2]):
        say(f"{name}  {experiment_id[:12]}")
        for _, _, arm, phase, complete, pruned, failed, ended in rows:
            if arm is None:
                say("  no trial has ended yet")
                continue
            counts = f"{complete} complete"
            counts += f", {pruned} stopped early" if pruned else ""
            counts += f", {failed} failed" if failed else ""
            say(f"  {arm:<14} {phase:<9} {counts}  (last {ended})")
