"""What an engine is given to run, and how a trial's process ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from harness.records import Progress, Status, TrialSpec

Execute = Callable[[TrialSpec, Path, Callable[[Progress], None]], Status | None]
"""Runs a trial, leaves its record in the folder and says how it ended, or None. Must be importable
by a child process, which calls it for one trial after the other."""

OutcomeKind = Literal["", "killed", "hung", "deadline", "lost", "no_room", "error"]
# What may be no fault of the trial: the same trial may well succeed elsewhere or later.
WORTH_A_RETRY: frozenset[OutcomeKind] = frozenset({"killed", "hung", "lost"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial's process ended."""

    finished: bool
    """The record lies in the trial's folder."""
    kind: OutcomeKind = ""
    """Why it does not: ``killed`` by a signal, ``hung`` (silent too long), ``deadline`` passed,
    ``lost`` with its machine, ``no_room`` on the disk, or ``error``; empty where it finished."""
    message: str = ""
    """The same in words; empty where it finished."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial that is no longer running."""

    spec: TrialSpec
    """The trial."""
    folder: Path
    """Where its record lies, if it finished."""
    outcome: Outcome
    """How it ended."""


class Engine(Protocol):
    """Runs trials, up to ``slots`` of them at once."""

    @property
    def slots(self) -> int:
        """How many trials it is worth handing over before waiting for one to end."""
        ...

    def submit(self, spec: TrialSpec, folder: Path) -> None:
        """Start the trial, now or when there is room; its record is to lie in ``folder``."""
        ...

    def wait(self, on_progress: Callable[[Progress], None]) -> Ended:
        """The next trial to end, passing on what running trials report meanwhile.

        Raises:
            ValueError: no trial was submitted that has not been waited for.
        """
        ...

    def rest(self) -> None:
        """Give back what others may wait for; nothing runs, and it may be a while until it does."""
        ...

    def close(self) -> None:
        """End what still runs and release what the engine holds."""
        ...
