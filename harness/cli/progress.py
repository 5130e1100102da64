"""Progress of a study in the terminal."""

from __future__ import annotations

import time
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

from harness.observer import Observer
from harness.records import Progress, TrialRecord, TrialSpec


class QuietObserver(Observer):
    """Warnings only."""

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
        """Bytes of a packaged file."""

    def warning(self, text: str) -> None:
        """Print it."""
        self._console.print(f"[yellow]warning:[/] {escape(text)}")


class RichObserver(QuietObserver):
    """A line for every ended trial, and bars for the study and the trial that runs."""

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
        self._trial: TaskID | None = None
        self._ended = 0
        self._total = 0
        self._began = time.monotonic()
        self._seconds: list[float] = []
        self._trial_began = 0.0

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
        """Bytes of a packaged file."""
        if self._trial is None:
            self._trial = self._bars.add_task("fetching", total=total, note="bytes")
        self._bars.update(self._trial, completed=done, total=total)

    def stage(self, text: str) -> None:
        """A heading."""
        self._console.print(f"[bold]{escape(text)}[/]")

    def planned(self, trials: int) -> None:
        """Length of the study's bar."""
        self._total = trials
        if self._study is not None:
            self._bars.update(self._study, total=trials)
            return
        self._study = self._bars.add_task("study", total=trials, note="")

    def trial_skipped(self, spec_id: str, arm: str) -> None:
        """Count it as ended."""
        self._advance()

    def trial_started(self, spec: TrialSpec) -> None:
        """A bar for the trial."""
        self._trial_began = time.monotonic()
        if self._trial is not None:
            self._bars.remove_task(self._trial)
        name = f"{spec.arm} {spec.phase} {spec.number}"
        self._trial = self._bars.add_task(escape(name), total=None, note="starting")

    def progress(self, progress: Progress) -> None:
        """Step and loss, or items scored."""
        if self._trial is None:
            return
        note = progress.stage if not progress.task else f"score {progress.task}"
        if progress.loss is not None:
            note = f"train, loss {progress.loss:.3f}"
        self._bars.update(
            self._trial, completed=progress.done, total=progress.total, note=escape(note)
        )

    def trial_ended(self, record: TrialRecord) -> None:
        """One line, which stays."""
        seconds = time.monotonic() - self._trial_began
        self._seconds.append(seconds)
        self._advance()
        spec = record.spec
        if record.status == "failed":
            outcome = f"[red]failed[/] ({record.failure_kind}): {escape(record.failure_message)}"
        else:
            outcome = _scores(record)
        name = f"{spec.arm} {spec.phase} {spec.number}"
        self._console.print(f"  {escape(name):<28} {seconds:6.1f} s  {outcome}")

    def _advance(self) -> None:
        self._ended += 1
        if self._study is None:
            return
        left = self._total - self._ended
        mean = sum(self._seconds) / len(self._seconds) if self._seconds else 0.0
        note = f"about {left * mean / 60:.0f} min left" if self._seconds and left > 0 else ""
        self._bars.update(self._study, completed=self._ended, note=note)


def _scores(record: TrialRecord) -> str:
    shown = []
    for score in record.scores:
        if score.suite == "domain" and score.aggregates:
            metric, value = next(iter(score.aggregates.items()))
            shown.append(f"{score.split} {metric} {value:.3f}")
    if not shown:
        return "scores known already" if record.spec.known_scores else "done"
    return ", ".join(shown)
