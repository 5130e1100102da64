"""What a study tells whoever watches it."""

from __future__ import annotations

from harness.records import Progress, TrialRecord, TrialSpec


class Observer:
    """Does nothing; subclasses show, log or count. Called in the coordinator's process."""

    def stage(self, text: str) -> None:
        """The study enters a stage, such as preparing data or testing finalists."""

    def planned(self, trials: int) -> None:
        """The study will have at most this many trials in all, finished ones included.

        Called before the search, and once more after it, then with the exact number.
        """

    def trial_skipped(self, spec_id: str, arm: str) -> None:
        """A trial of an earlier run is in the store already."""

    def trial_started(self, spec: TrialSpec) -> None:
        """A trial begins."""

    def progress(self, progress: Progress) -> None:
        """A trial goes on."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial ended and its record is in the store."""

    def warning(self, text: str) -> None:
        """Something the user should know, such as dropped rows or a quarantined record."""
