"""A study in the store and how far it is, without its results."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.records.study import ExperimentRecord

SHORT_ID = 8


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """The verdict that was noted when a run had come to its end."""

    outcome: str
    """The decision, as in :data:`~harness.findings.VerdictOutcome`."""
    winner: str
    """Arm to use; empty where none is named."""
    sentence: str
    """The decision in a sentence."""
    harness: str
    """Version of harness whose rules decided."""


@dataclass(frozen=True, slots=True)
class StoredStudy:
    """A study in the store and how far it is."""

    experiment: ExperimentRecord
    """The study as last declared."""
    declared_at: str
    """When its latest run began, ISO 8601, UTC."""
    trials: dict[str, int] = field(default_factory=dict)
    """How a trial ended -> number of its trials that ended so; empty where none has ended."""
    worked_at: str = ""
    """When its last trial ended, ISO 8601, UTC; empty where none has."""
    planned: int | None = None
    """Number of trials that it will have at most, those that ended included; None where no run has
    come so far as to say."""
    finished_at: str | None = None
    """When a run came to its end, ISO 8601, UTC; None where none has since it was last declared
    with other trials."""
    verdict: StoredVerdict | None = None
    """The verdict on these trials as they are declared and judged now; None where none was noted.
    """

    @property
    def ended(self) -> int:
        """Number of its trials that ended, however."""
        return sum(self.trials.values())

    @property
    def finished(self) -> bool:
        """Whether a run came to its end."""
        return self.finished_at is not None

    @property
    def short_id(self) -> str:
        """The start of its id, which tells it from its namesakes and means it in every command."""
        return self.experiment.experiment_id[:SHORT_ID]


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """The study that a name means."""

    study: StoredStudy
    """The study itself."""
    newer: StoredStudy | None = None
    """The newest that could be meant too, where that one is not finished and this one is."""


@dataclass(frozen=True, slots=True)
class RemovedStudy:
    """A study that was removed from the store, and what of it stays on record."""

    experiment_id: str
    """Id that it had."""
    name: str
    """Name that it had."""
    trials: int
    """Number of trials that it had."""
    test_fingerprint: str
    """Hash of the test items that it was declared with."""
    tested: bool
    """An arm of it had been scored on them."""


__all__ = ["FoundStudy", "RemovedStudy", "StoredStudy", "StoredVerdict"]
