"""What is stored of a study's data: what they are, and what the leakage audit found in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from harness.records.calibration import CalibrationRow

LeakKind = Literal["exact", "near", "ngram"]
LEAK_KINDS: tuple[LeakKind, ...] = ("exact", "near", "ngram")
"""From certain to suggestive; see :mod:`harness.data.audit`."""

ItemsByKind = dict[LeakKind, tuple[str, ...]]
"""Kind -> sorted ids of the judged items, each under its strongest kind; every kind is there."""


@dataclass(frozen=True, slots=True)
class LeakedPair:
    """An example that the study learns from and an example to judge by that share text."""

    kind: LeakKind
    """How the two are alike."""
    seen_in: str
    """Where the first stands: ``train``, or ``validation``, on which settings are selected."""
    seen_id: str
    """Id of the example that the study learns from."""
    split: str
    """Where the other stands: a split, an out-of-domain set or a general task."""
    other_id: str
    """Id of the example to judge by."""
    similarity: float
    """How alike they are, 0 to 1: 1 for exact; Jaccard similarity of 3-shingles for near; for
    ngram, the share of the other example's 8-grams that the seen one holds."""
    longest_run: int
    """Number of words of the longest run that both hold."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What the leakage audit found, and what of it is in force in the splits as they are used."""

    found: dict[str, dict[LeakKind, int]]
    """Split or out-of-domain set -> kind -> examples that shared text with training before any
    training example was dropped for it."""
    dropped_from_train: int
    """Training examples that were dropped for it."""
    flagged: dict[str, ItemsByKind]
    """Split or out-of-domain set -> kind -> ids of its examples that share text with training."""
    selection: ItemsByKind
    """Kind -> ids of the test items that share text with validation, by which settings are
    selected."""
    general: dict[str, ItemsByKind]
    """Task of the general suite -> kind -> ids of its items that share text with training; empty
    where no suite was audited."""
    general_not_audited: tuple[str, ...]
    """Tasks of the general suite whose items could not be read."""
    shared_groups: dict[str, int]
    """Split or out-of-domain set -> its groups that training has too, which only split files can
    bring about."""
    strongest: tuple[LeakedPair, ...]
    """The pairs in force that share most, of all comparisons, the strongest first; not every pair.
    """
    brought: dict[str, dict[str, ItemsByKind]] = field(default_factory=dict)
    """Arm that was trained elsewhere -> split or out-of-domain set -> kind -> ids of its examples
    that share text with what the arm was trained on. Arms that do not say what that was are left
    out."""
    brought_unread: dict[str, int] = field(default_factory=dict)
    """Arm that was trained elsewhere -> rows that it was trained on which could not be read, so
    that they were not looked for."""

    @property
    def counts(self) -> dict[LeakKind, int]:
        """Kind -> examples of all splits that were found."""
        counts: Counter[LeakKind] = Counter()
        for kinds in self.found.values():
            counts.update(kinds)
        return dict(counts)


@dataclass(frozen=True, slots=True)
class DataRecord:
    """The data that a study is run on."""

    source: str
    """As the experiment names it: a file, a packaged name or a data set of a hub."""
    fingerprint: str
    """SHA-256 over all examples of all splits, order included."""
    test_fingerprint: str
    """The same of the test items alone: studies with the same one were judged on the same items."""
    available: dict[str, int]
    """Split -> examples there were before the limits."""
    groups: dict[str, int]
    """Split -> groups. Out-of-domain sets under their own names."""
    answers: dict[str, dict[str, dict[str, int]]]
    """Split -> answer field (``label`` for a label task) -> value -> examples. Fields of free text
    are left out."""
    dropped_rows: int
    """Rows that could not be used and were left out."""
    audit: AuditRecord
    """Text that the study learns from and that also stands in data meant for judging."""
    calibration: dict[str, tuple[CalibrationRow, ...]] = field(default_factory=dict)
    """Judge -> people's marks of this study's replies; only of judges that have some."""
    date: str | None = None
    """The day on which the study began, as YYYY-MM-DD; None where it is not known."""
    slices: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    """Column of ``data.slices`` -> its value -> ids of the test items that have it."""


def items_of(kinds: ItemsByKind) -> frozenset[str]:
    """The ids of all kinds together."""
    return frozenset(identity for ids in kinds.values() for identity in ids)


def count_by_kind(kinds: ItemsByKind) -> dict[LeakKind, int]:
    """Kind -> number of items."""
    return {kind: len(ids) for kind, ids in kinds.items()}


__all__ = [
    "LEAK_KINDS",
    "AuditRecord",
    "DataRecord",
    "ItemsByKind",
    "LeakKind",
    "LeakedPair",
    "count_by_kind",
    "items_of",
]
