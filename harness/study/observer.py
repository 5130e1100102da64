"""What a study tells whoever watches it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.records import Phase, Progress, TrialRecord, TrialSpec
from harness.study.coming import Coming


@dataclass(frozen=True, slots=True)
class ArmExplanation:
    """What of an arm is known, and what the first of its trials that is not lacks."""

    arm: str
    """Name of the arm, or of the untouched base."""
    known: int
    """Number of its trials that are taken as they are."""
    to_run: int
    """Number of those that would start before another had to be waited for."""
    why: str
    """A phrase on the first of these; empty where there is none."""


class Observer:
    """Does nothing; subclasses show, log or count. Called in the coordinator's process."""

    def stage(self, text: str) -> None:
        """The study enters a stage, such as preparing data or testing finalists."""

    def known(self, arms: Sequence[ArmExplanation]) -> None:
        """Trials of a new study were run for others: of each arm how many, and why not more."""

    def planned(self, trials: int, coming: Sequence[Coming]) -> None:
        """The study will have at most this many trials in all, finished ones included.

        Called before the search, and once more after it, then with the exact number.

        Args:
            coming: which trials they are.
        """

    def resumed(self, trials: int) -> None:
        """So many trials of this study ended in earlier runs; told before the first one runs."""

    def trial_skipped(self, arm: str, phase: Phase) -> None:
        """A trial of an earlier run is in the store already."""

    def trial_started(self, spec: TrialSpec) -> None:
        """A trial begins."""

    def progress(self, progress: Progress) -> None:
        """A trial goes on."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial ended and its record is in the store."""

    def warning(self, text: str) -> None:
        """Something the user should know, such as dropped rows or a quarantined record."""
