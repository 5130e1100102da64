"""Progress of a study in the terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars

from harness.records import Progress, TrialRecord, TrialSpec, primary_name, unscored_notes
from harness.study.observer import ArmExplanation, Observer
from harness.wording import plural


class QuietObserver(Observer):
    """Shows warnings only."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def fetched(self, done: int, total: int) -> None:
        """Say nothing of the bytes of a packaged file."""

    def warning(self, text: str) -> None:
        """Print the warning."""
        self._console.print(f"[yellow]warning:[/] {escape(text)}")


class RichObserver(QuietObserver):
    """Shows a line for every ended trial, and bars for the study and the trial that runs."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
        )
        self._study: TaskID | None = None
        self._fetch: TaskID | None = None
        self._running: dict[str, tuple[TaskID, float]] = {}
        self._ended = 0
        self._total = 0
        self._began = time.monotonic()
        self._run = 0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def fetched(self, done: int, total: int) -> None:
        """Show how much of a packaged file has come in."""
        if self._fetch is None:
            self._fetch = self._bars.add_task("fetching", total=total, note="bytes")
        self._bars.update(self._fetch, completed=done, total=total)
        if done == total:
            self._bars.remove_task(self._fetch)
            self._fetch = None

    def stage(self, text: str) -> None:
        """Print the stage as a heading."""
        self._console.print(f"[bold]{escape(text)}[/]")

    def known(self, arms: Sequence[ArmExplanation]) -> None:
        """Print a line for each arm."""
        self._console.print("[bold]Known from other studies[/]")
        for row in arms:
            why = f"; to run: {row.why}" if row.why else ""
            trials = plural(row.known, "trial")
            self._console.print(f"  {escape(row.arm)}: {trials}{escape(why)}", highlight=False)

    def planned(self, trials: int) -> None:
        """Set the length of the study's bar."""
        self._total = trials
        if self._study is not None:
            self._bars.update(self._study, total=trials)
            return
        self._study = self._bars.add_task("study", total=trials, note="")

    def trial_skipped(self, spec_id: str, arm: str) -> None:
        """Count the trial as ended."""
        self._advance()

    def trial_started(self, spec: TrialSpec) -> None:
        """Show a bar for the trial."""
        if not self._run and not self._running:
            self._began = time.monotonic()
        bar = self._bars.add_task(escape(_name(spec)), total=None, note="starting")
        self._running[spec.trial_id] = bar, time.monotonic()

    def progress(self, progress: Progress) -> None:
        """Show step and loss, or items scored."""
        if progress.trial_id not in self._running:
            return
        note = progress.stage if not progress.task else f"score {progress.task}"
        if progress.loss is not None:
            note = f"train, loss {progress.loss:.3f}"
        bar, _ = self._running[progress.trial_id]
        self._bars.update(bar, completed=progress.done, total=progress.total, note=escape(note))

    def trial_ended(self, record: TrialRecord) -> None:
        """Print one line, which stays."""
        spec = record.spec
        bar, began = self._running.pop(spec.trial_id)
        self._bars.remove_task(bar)
        self._run += 1
        self._advance()
        if record.status == "failed":
            outcome = f"[red]failed[/] ({record.failure_kind}): {escape(record.failure_message)}"
        elif record.stopped is not None:
            stop = record.stopped
            outcome = (
                f"stopped early after {stop.done} of {stop.total} {stop.unit}: "
                f"{stop.value:z.3f} against {stop.against:z.3f}"
            )
        else:
            outcome = _scores(record)
        seconds = time.monotonic() - began
        self._console.print(f"  {escape(_name(spec)):<28} {seconds:6.1f} s  {outcome}")
        for score in record.scores:
            for note in unscored_notes(score.unscored, len(score.outputs)).values():
                where = f"{score.task} ({score.split})"
                self._console.print(f"  [yellow]warning:[/] {escape(where)}: {escape(note)}")

    def _advance(self) -> None:
        self._ended += 1
        if self._study is None:
            return
        left = self._total - self._ended
        note = ""
        if self._run and left > 0:
            # Trials may run side by side: the pace of the whole study counts.
            pace = (time.monotonic() - self._began) / self._run
            note = f"about {left * pace / 60:.0f} min left"
        self._bars.update(self._study, completed=self._ended, note=note)


def _name(spec: TrialSpec) -> str:
    return f"{spec.arm} {spec.phase} {spec.number}"


def _scores(record: TrialRecord) -> str:
    by_split, primary = [], primary_name(record.spec.task["metrics"])
    for score in record.scores:
        if score.suite == "domain" and primary in score.aggregates:
            by_split.append(f"{score.split} {score.aggregates[primary]:.3f}")
    if not by_split:
        return "scores known already" if record.spec.known_scores else "done"
    return f"{primary} {', '.join(by_split)}"
