"""The lines at the foot of the terminal that move while a study runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, RenderResult
from rich.spinner import Spinner
from rich.text import Text

from harness.records import Phase, Progress, TrialRecord, TrialSpec
from harness.study.coming import Coming
from harness.study.remaining import Left, Remaining, took_of_record, without
from harness.wording import file_size, plural

# Of a trial under way so much of its time may have passed: it has not ended yet.
UNDER_WAY = 0.95
_BAR = 16
# A terminal that is narrower has no room for the bar.
_WIDE = 72


@dataclass(slots=True)
class Running:
    """A trial that is under way."""

    spec: TrialSpec
    """The trial."""
    began: float
    """When it began, on the clock of :class:`Course`."""
    last: Progress | None = None
    """What it said last; None before it has said anything."""

    @property
    def name(self) -> str:
        """Arm, phase and number."""
        return f"{self.spec.arm} {self.spec.phase} {self.spec.number}"

    def doing(self) -> str:
        """What it is at, in words."""
        told = self.last
        if told is None:
            return "starting"
        of = f"{told.done:,} of {told.total:,}"
        match told.stage:
            case "load":
                return "loading"
            case "train":
                loss = "" if told.loss is None else f", loss {told.loss:.3f}"
                return f"training, step {of}{loss}"
            case "score":
                return f"scoring {told.task or 'replies'}, {of}"
            case "write":
                return f"writing an instruction, {of} {told.task}".rstrip()


@dataclass(slots=True)
class Course:
    """How far a study is, as its observer is told."""

    clock: Callable[[], float] = time.monotonic
    """Tells the seconds since some moment."""
    running: dict[str, Running] = field(default_factory=dict)
    """Trial id -> a trial that is under way."""
    total: int = 0
    """Number of trials in all, at most; 0 before it is known."""
    ended: int = 0
    """How many of them have ended, in earlier runs too."""
    stage: str = ""
    """What the study is at between trials."""
    stage_began: float = 0.0
    """When that began."""
    fetching: tuple[int, int] | None = None
    """Bytes of a file that have come in, and all of them; None where none is fetched."""
    _coming: Sequence[Coming] = ()
    """Trials of the study, those that ended too."""
    _ended: list[tuple[str, Phase]] = field(default_factory=list)
    """Arm and phase of each that ended."""
    _remaining: Remaining = field(default_factory=Remaining)
    """What was learnt from them."""
    _at_once: int = 1
    """Number of trials that ran side by side, at most."""

    def __post_init__(self) -> None:
        self.stage_began = self.clock()

    def enter(self, stage: str) -> None:
        """The study enters a stage."""
        self.stage, self.stage_began = stage, self.clock()

    def plan(self, trials: int, coming: Sequence[Coming]) -> None:
        """So many trials there will be."""
        self.total, self._coming = trials, coming

    def skip(self, arm: str, phase: Phase) -> None:
        """A trial is taken as it is."""
        self.ended += 1
        self._ended.append((arm, phase))

    def start(self, spec: TrialSpec) -> None:
        """A trial begins."""
        self.running[spec.trial_id] = Running(spec, self.clock())
        self._at_once = max(self._at_once, len(self.running))

    def end(self, record: TrialRecord) -> float:
        """A trial ended; the seconds that it took."""
        spec = record.spec
        seconds = self.clock() - self.running.pop(spec.trial_id).began
        self.ended += 1
        self._ended.append((spec.arm, spec.phase))
        if record.status == "complete":
            self._remaining.learn(took_of_record(record, seconds))
        return seconds

    def left(self) -> Left:
        """What is left, with what is under way."""
        coming = without(self._coming, self._ended)
        left = self._remaining.left(coming, self._at_once)
        now, passed = self.clock(), 0.0
        for trial in self.running.values():
            alike = [c for c in coming if (c.arm, c.phase) == (trial.spec.arm, trial.spec.phase)]
            each = self._remaining.seconds(alike[0]) if alike else None
            if each is not None:
                passed += min(now - trial.began, UNDER_WAY * each)
        return Left(max(0.0, left.seconds - passed / self._at_once), left.unknown)

    def sentences(self) -> Iterator[str]:
        """Lines without ornament: the study, then what is under way."""
        now = self.clock()
        if self.fetching is not None:
            yield f"fetching: {file_size(self.fetching[0])} of {file_size(self.fetching[1])}"
        if self.total:
            left = self.left().sentence() if self.ended < self.total else "the report is next"
            yield f"{self.ended:,} of {plural(self.total, 'trial')}, {left}"
        for trial in self.running.values():
            yield f"{trial.name}: {trial.doing()} ({_passed(now - trial.began)})"
        if not self.running and self.stage:
            yield f"{self.stage} ({_passed(now - self.stage_began)})"


class Lines:
    """Draws a course, each of its lines within the terminal's width."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._spinner = Spinner("dots")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """A line for the study, and one for each trial under way."""
        course = self._course
        turning = self._spinner.render(console.get_time())
        for number, sentence in enumerate(course.sentences()):
            line = Text(no_wrap=True, overflow="ellipsis")
            if number == 0:
                line.append_text(turning if isinstance(turning, Text) else Text("*"))
                if course.total and options.max_width >= _WIDE:
                    line.append(" ").append_text(_bar(course.ended / max(1, course.total)))
            else:
                line.append(" ")
            yield line.append(f" {sentence}")


def _bar(share: float) -> Text:
    done = min(_BAR, round(share * _BAR))
    return Text("━" * done, style="green").append("━" * (_BAR - done), style="dim")


def _passed(seconds: float) -> str:
    """Whole seconds, or minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


__all__ = ["Course", "Lines", "Running"]
