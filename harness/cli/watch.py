"""harness watch"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import results_option
from harness.cli.printing import in_one_line, say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness.cli.terminal import Terminal
    from harness.records import Place, TrialSummary
    from harness.review.overview import StudyRow
    from harness.study.remaining import Left

# A shorter time would keep the store from the run that writes to it.
LEAST_SECONDS = 1.0
REDRAWN_A_SECOND = 4
UNDER_WAY = (
    "SELECT arm, phase, number FROM study_trial n WHERE experiment_id = ? "
    "AND NOT EXISTS (SELECT 1 FROM named_trial t WHERE t.entry = n.entry) ORDER BY entry"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A study as the store has it at one moment."""

    row: StudyRow
    """State, numbers of trials, age and verdict."""
    trials: tuple[TrialSummary, ...]
    """Trials that have ended, in the order in which they did."""
    under_way: tuple[str, ...]
    """Arm, phase and number of each trial that was begun and has not ended."""
    metric: str
    """Name of the primary metric."""
    left: Left
    """What is left of it."""

    @property
    def ended(self) -> bool:
        """Whether nobody works on it any more."""
        return self.row.state in ("finished", "stopped")

    def heading(self) -> str:
        """The study, its state, and how far it is."""
        name = f"{self.row.study.experiment.name} ({self.row.study.short_id})"
        told = f"{name}: {self.row.state}, trials {self.row.trials}"
        return told if self.ended else f"{told}, {self.left.sentence()}"

    def conclusion(self) -> str:
        """What to do once nobody works on it."""
        if self.row.state == "stopped":
            return "stopped before its end: harness run with the same file goes on"
        return self.row.verdict


@click.command()
@click.argument("name", required=False)
@results_option()
@click.option(
    "--every",
    type=click.FloatRange(min=LEAST_SECONDS),
    default=2.0,
    show_default=True,
    help="Seconds between two looks at the store.",
)
@click.pass_context
def command(context: click.Context, name: str | None, results: Path, every: float) -> None:
    """Show a study while another process runs it: NAME, or the start of its id.

    A name means the newest study of that name; without one it is the newest of all. On a terminal
    its state is drawn anew; elsewhere a line is written for each change. It reads the store only,
    and ends when the study does.

    \b
    Example:
      harness watch quickstart
    """
    from harness.cli import INTERRUPTED, TERMINATED, Terminated
    from harness.cli.terminal import Terminal

    console = Terminal()
    first = look(results, name)
    identity = first.row.study.experiment.experiment_id
    try:
        _watch(console, first, lambda: look(results, identity), every)
    except (KeyboardInterrupt, Terminated) as error:
        say("No longer watched: the study goes on by itself.", err=True)
        context.exit(TERMINATED if isinstance(error, Terminated) else INTERRUPTED)


def _watch(console: Terminal, first: Seen, again: Callable[[], Seen], every: float) -> None:
    from rich.live import Live

    if not console.is_terminal:
        for line in changes(first, again, every):
            click.echo(line)
        return
    seen = first
    with Live(console=console, refresh_per_second=REDRAWN_A_SECOND, screen=False) as live:
        while True:
            live.update(drawn(seen))
            if seen.ended:
                return
            time.sleep(every)
            seen = again()


def look(results: Path, name: str | None) -> Seen:
    """The newest study of that name, or whose id begins so, as the store has it now.

    Raises:
        InputError: there is no store, or no such study in it.
    """
    from harness.errors import InputError
    from harness.records import utc_now
    from harness.review.declared import declared
    from harness.review.overview import overview
    from harness.store import STORE_FILE, StoreReader
    from harness.study.coming import coming_trials
    from harness.study.remaining import Remaining, took_of_summary, without

    rows = overview(results, utc_now(), name)
    if not rows:
        raise InputError(f"no study in {results} yet; `harness run` makes one")
    row, reader = rows[-1], StoreReader(results / STORE_FILE)
    record = row.study.experiment
    trials = sorted(reader.trials(record.experiment_id), key=lambda trial: trial.ended_at)
    spec = declared(record)
    coming = without(
        coming_trials(spec, record.splits), [(trial.arm, trial.phase) for trial in trials]
    )
    planned = row.study.planned
    if planned is not None and sum(one.number for one in coming) > planned - len(trials):
        # No default setting is tested where the search selected it.
        coming = [one for one in coming if one.phase != "default"]
    known = Remaining()
    for trial in trials:
        if trial.status == "complete":
            known.learn(took_of_summary(trial, _seconds(trial)))
    begun = reader.query(UNDER_WAY, [record.experiment_id]) if row.state == "running" else None
    return Seen(
        row=row,
        trials=tuple(trials),
        under_way=tuple(f"{arm} {phase} {number}" for arm, phase, number in begun.rows)
        if begun
        else (),
        metric=spec.task.primary.name,
        left=known.left(coming),
    )


def changes(first: Seen, look_again: Callable[[], Seen], every: float) -> Iterator[str]:
    """A line for what is there, and then one for each trial that begins or ends."""
    seen = first
    told: set[Place] = set()
    begun: set[str] = set()
    yield in_one_line(seen.heading())
    while True:
        for trial in seen.trials:
            # One that another study ran may have ended long ago.
            if trial.place not in told:
                yield in_one_line(f"{_clock(trial.ended_at)}  {_outcome(trial, seen.metric)}")
        for name in seen.under_way:
            if name not in begun:
                yield in_one_line(f"begun: {name}; {seen.left.sentence()}")
        told = {trial.place for trial in seen.trials}
        begun = set(seen.under_way)
        if seen.ended:
            yield in_one_line(seen.heading())
            yield in_one_line(seen.conclusion())
            return
        time.sleep(every)
        seen = look_again()


def drawn(seen: Seen) -> RenderableType:
    """The study on a terminal: its heading, an arm a row, and what is under way."""
    from rich import box
    from rich.console import Group
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("arm", overflow="fold")
    for heading in ("ended", "failed", f"best {seen.metric} (validation)"):
        table.add_column(heading, justify="right")
    for arm in dict.fromkeys(trial.arm for trial in seen.trials):
        own = [trial for trial in seen.trials if trial.arm == arm]
        failed = sum(trial.status == "failed" for trial in own)
        table.add_row(
            Text(in_one_line(arm)), str(len(own)), str(failed or ""), _best(own, seen.metric)
        )
    lines: list[RenderableType] = [Text(in_one_line(seen.heading()), style="bold"), table]
    lines += [Spinner("dots", text=Text(in_one_line(name))) for name in seen.under_way]
    if seen.ended:
        lines.append(Text(in_one_line(seen.conclusion())))
    return Group(*lines)


def _outcome(trial: TrialSummary, metric: str) -> str:
    name = f"{trial.arm} {trial.phase} {trial.number}"
    if trial.status == "failed":
        return f"{name} failed: {trial.failure_message} ({trial.failure_kind})"
    if trial.status == "pruned":
        return f"{name} stopped early"
    scores = [
        f"{one.split} {one.value:.3f}"
        for one in trial.aggregates
        if (one.suite, one.metric) == ("domain", metric)
    ]
    return f"{name} ended: {metric} {', '.join(scores)}" if scores else f"{name} ended"


def _best(trials: list[TrialSummary], metric: str) -> str:
    found = [
        one
        for trial in trials
        for one in trial.aggregates
        if (one.suite, one.split, one.metric) == ("domain", "validation", metric)
    ]
    if not found:
        return ""
    best = max if found[0].higher_is_better else min
    return f"{best(one.value for one in found):.3f}"


def _seconds(trial: TrialSummary) -> float:
    began, ended = map(datetime.fromisoformat, (trial.started_at, trial.ended_at))
    return (ended - began).total_seconds()


def _clock(moment: str) -> str:
    """The time of day here, to the second."""
    return datetime.fromisoformat(moment).astimezone().strftime("%H:%M:%S")
