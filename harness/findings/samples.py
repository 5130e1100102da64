"""What the finalists replied to test items."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunSamples:
    """What one run of an arm replied to each item; every column has shape (n,)."""

    seed: int
    """Seed of the run."""
    outputs: tuple[str | None, ...]
    """Reply to each item; None where no reply was kept."""
    scores: tuple[float | None, ...]
    """Primary metric of each item; None where the item was not scored."""
    valid: tuple[bool | None, ...]
    """Whether the task allows the reply; None where that was not judged."""


@dataclass(frozen=True, slots=True)
class ArmSamples:
    """The runs of one arm, by seed, and what they come to item by item."""

    arm: str
    """Name of the arm."""
    runs: tuple[RunSamples, ...]
    """The runs, by seed."""
    scores: tuple[float | None, ...]
    """Mean over the runs, item by item, shape (n,); None where one of them has none."""
    valid: tuple[bool | None, ...]
    """Whether the task allows the replies of every run, shape (n,); None where none is known to be
    invalid and one was not judged."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Every item of the primary test with what the final candidates replied."""

    doc_hashes: tuple[str, ...]
    """The hash of each item that lm-eval gives, shape (n,), as are the columns of ``arms``."""
    item_ids: tuple[str, ...]
    """Id of each item in the data set, shape (n,)."""
    texts: tuple[str, ...]
    """Each item as the task's template renders it, shape (n,)."""
    targets: tuple[str, ...]
    """The right answer to each item, shape (n,)."""
    arms: tuple[ArmSamples, ...]
    """What each arm replied."""
    higher_is_better: bool
    """Direction of the primary metric."""
    full: float | None
    """The score of a wholly right answer; None where the metric has no such score."""

    def gain(self, score: float | None, other: float | None) -> float | None:
        """How much better the first score is than the other; None where either is missing."""
        if score is None or other is None:
            return None
        return score - other if self.higher_is_better else other - score


__all__ = [
    "ArmSamples",
    "RunSamples",
    "Samples",
]
