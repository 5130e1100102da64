"""Progress of a study in the terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape

from harness.cli.progress_lines import Course, Lines
from harness.records import Phase, Progress, TrialRecord, TrialSpec, primary_name, unscored_notes
from harness.study.coming import Coming
from harness.study.observer import ArmExplanation, Observer
from harness.wording import listed, plural

# Where no line can move, so often one is written while a trial goes on.
SAID_EVERY = 60.0
REDRAWN_A_SECOND = 4


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
    """Shows a line for every ended trial, and lines that move for what is under way.

    Where the console is no terminal, what is under way is written once a minute.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._course = Course()
        self._live = Live(
            Lines(self._course),
            console=console,
            refresh_per_second=REDRAWN_A_SECOND,
            transient=True,
        )
        self._said = time.monotonic()
        self._resumed = 0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()
        if kind is not None and not issubclass(kind, Exception):
            self._say_what_is_lost()

    def fetched(self, done: int, total: int) -> None:
        """Show how much of a packaged file has come in."""
        self._course.fetching = None if done == total else (done, total)

    def stage(self, text: str) -> None:
        """Print the stage as a heading."""
        self._course.enter(text)
        self._print(f"[bold]{escape(text)}[/]")

    def known(self, arms: Sequence[ArmExplanation]) -> None:
        """Print a line for each arm."""
        self._print("[bold]Known from other studies[/]")
        for row in arms:
            why = f"; to run: {row.why}" if row.why else ""
            line = f"  {row.arm}: {plural(row.known, 'trial')}{why}"
            self._print(escape(line))

    def resumed(self, trials: int) -> None:
        """Keep the number for what is said at the start."""
        self._resumed = trials

    def planned(self, trials: int, coming: Sequence[Coming]) -> None:
        """Set the length of the study's line; the first time, say what will run."""
        first = not self._course.total
        self._course.plan(trials, coming)
        if first:
            self._print(escape("\n".join(_what_will_run(trials, coming, self._resumed))))

    def trial_skipped(self, arm: str, phase: Phase) -> None:
        """Count the trial as ended."""
        self._course.skip(arm, phase)

    def trial_started(self, spec: TrialSpec) -> None:
        """Show a line for the trial."""
        self._course.start(spec)

    def progress(self, progress: Progress) -> None:
        """Show step and loss, or items scored."""
        if progress.trial_id not in self._course.running:
            return
        self._course.running[progress.trial_id].last = progress
        if not self._console.is_terminal and time.monotonic() - self._said >= SAID_EVERY:
            self._print(escape(f"  ... {'; '.join(self._course.sentences())}"))

    def trial_ended(self, record: TrialRecord) -> None:
        """Print one line, which stays."""
        seconds = self._course.end(record)
        if record.status == "failed":
            outcome = f"[red]failed[/] ({record.failure_kind}): {escape(record.failure_message)}"
        elif record.stopped is not None:
            stop = record.stopped
            outcome = (
                f"stopped early after {stop.done} of {stop.total} {stop.unit}: "
                f"{stop.value:z.3f} against {stop.against:z.3f}"
            )
        else:
            outcome = escape(_scores(record))
        spec = record.spec
        name = f"{spec.arm} {spec.phase} {spec.number}"
        self._print(f"  {escape(name):<28} {seconds:6.1f} s  {outcome}")
        for score in record.scores:
            for note in unscored_notes(score.unscored, len(score.outputs)).values():
                self.warning(f"{score.task} ({score.split}): {note}")

    def _print(self, text: str) -> None:
        self._said = time.monotonic()
        self._console.print(text)

    def _say_what_is_lost(self) -> None:
        for trial in self._course.running.values():
            if trial.last is not None and trial.last.stage == "train":
                again = "its training goes on from its last checkpoint, if it was that far"
            else:
                again = "it begins anew"
            self._print(escape(f"{trial.name} was under way ({trial.doing()}): {again}."))


def _what_will_run(trials: int, coming: Sequence[Coming], resumed: int) -> Iterable[str]:
    """What is known, and what will run, a sentence or two."""

    def of(phase: str) -> list[Coming]:
        return [one for one in coming if one.phase == phase]

    searched = [f"{one.arm} {one.number}" for one in of("search")]
    written = sum(one.number for one in of("writing"))
    reasoned = sum(one.number for one in of("bootstrap"))
    parts = [f"reasoning for worked examples {reasoned}"] if reasoned else []
    parts += [f"instructions to write {written}"] if written else []
    parts += [f"search {', '.join(searched)}"] if searched else []
    for phase, name in (
        ("finalist", "finalists"),
        ("default", "default settings"),
        ("curve", "learning curves"),
        ("latency", "timing"),
    ):
        if number := sum(one.number for one in of(phase)):
            parts.append(f"{name} {number}")
    yield f"At most {plural(trials, 'trial')}: {listed(['base 1', *parts])}."
    if resumed:
        yield f"{plural(resumed, 'trial')} ended in an earlier run: taken as they are."


def _scores(record: TrialRecord) -> str:
    by_split, primary = [], primary_name(record.spec.task["metrics"])
    for score in record.scores:
        if score.suite == "domain" and primary in score.aggregates:
            by_split.append(f"{score.split} {score.aggregates[primary]:.3f}")
    if not by_split:
        return "scores known already" if record.spec.known_scores else "done"
    return f"{primary} {', '.join(by_split)}"
