"""Where the trials of a stage come from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from harness.records import TrialSpec, TrialSummary


class Source(Protocol):
    """Where the trials to run come from."""

    def next(self) -> TrialSpec | None:
        """A trial that may start now; None where there is none before another one ends."""
        ...

    def ended(self, trial: TrialSummary) -> None:
        """Take note that a trial of this source is in the store."""
        ...


class Listed:
    """A source of trials that depend on no other's outcome."""

    def __init__(self, trials: Iterable[TrialSpec]) -> None:
        self._trials = iter(trials)

    def next(self) -> TrialSpec | None:
        """The next trial of the list."""
        return next(self._trials, None)

    def ended(self, trial: TrialSummary) -> None:
        """Do nothing: no trial follows from it."""


class InTurn(Listed):
    """A source of trials of which each waits for the one before it, whatever there is room for."""

    def __init__(self, trials: Iterable[TrialSpec]) -> None:
        super().__init__(trials)
        self._running = False

    def next(self) -> TrialSpec | None:
        """The next trial of the list, once the last one has ended."""
        if self._running:
            return None
        trial = super().next()
        self._running = trial is not None
        return trial

    def ended(self, trial: TrialSummary) -> None:
        """Let the next trial start."""
        self._running = False
