"""Scores without the items that share text with training.

Which items these are was found before anything trained and stands in the experiment's record. An
item is left out by its id; a vector that does not know its ids keeps all items, unless another
vector that it is paired with knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness.analysis.forgetting import GeneralScores, mean_change_sampling
from harness.analysis.paired import Comparison, conclude_family, conclude_primary
from harness.analysis.pairing import align
from harness.findings import Contrast, Forgetting, WithoutFlagged
from harness.records import ScoreVector, Study


@dataclass(frozen=True, slots=True)
class Leaks:
    """Items in force that share text with what the study learns from; ids.

    named: the record names the flagged items, as those of older studies do not.
    found: items that were flagged in the splits before any training example was dropped.
    test: test items, against training. selection: test items, against validation.
    general: task of the general suite -> its items, against training. not_audited: its tasks
        whose items could not be read.
    """

    named: bool = False
    found: int = 0
    test: frozenset[str] = frozenset()
    selection: frozenset[str] = frozenset()
    general: Mapping[str, frozenset[str]] = field(default_factory=dict)
    not_audited: tuple[str, ...] = ()


def read_leaks(study: Study) -> Leaks:
    """What the study's record says of its leakage audit; empty where it says nothing."""
    audit = _mapping(study.experiment.data.get("audit"))
    flagged = _mapping(audit.get("flagged_items"))
    counts = _mapping(audit.get("by_split")).get("test")
    return Leaks(
        named="flagged_items" in audit,
        found=sum(int(number) for number in _mapping(counts).values()),
        test=_ids(flagged.get("test")),
        selection=_ids(audit.get("selection_items")),
        general={task: _ids(kinds) for task, kinds in _mapping(audit.get("general")).items()},
        not_audited=tuple(map(str, audit.get("general_not_audited") or ())),
    )


def without_items(vectors: Iterable[ScoreVector], items: frozenset[str]) -> list[ScoreVector]:
    """The vectors without some items. One that does not know its items' ids stays as it is."""
    return [_without(vector, items) for vector in vectors]


def beside_flagged(
    contrasts: Sequence[Contrast],
    items: frozenset[str],
    vectors: Callable[[str], Sequence[ScoreVector]],
    again: Callable[[str, str], Comparison | None],
) -> tuple[Contrast, ...]:
    """The primary contrast, or the family of secondary ones, with what they are without items.

    p-values of a family are corrected over the same family, so that an outcome differs only
    because of the items.

    Args:
        vectors: arm -> its vectors, one a seed, with all items.
        again: compares two arms without the items.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    hits = [_hits(vectors(c.a), vectors(c.b), items) if items else 0 for c in contrasts]
    if not any(hits):
        return tuple(contrasts)
    rest = {(c.a, c.b): again(c.a, c.b) for c in contrasts}
    known = [found for found in rest.values() if found is not None]
    primary = all(contrast.primary for contrast in contrasts)
    concluded = map(conclude_primary, known) if primary else conclude_family(known)
    clean = {(c.a, c.b): c for c in concluded}
    return tuple(
        replace(
            contrast, flagged=flagged, without_flagged=_clean(clean.get((contrast.a, contrast.b)))
        )
        if flagged
        else contrast
        for contrast, flagged in zip(contrasts, hits, strict=True)
    )


def forgetting_beside_flagged(
    found: Forgetting,
    scores: Sequence[GeneralScores],
    items: Mapping[str, frozenset[str]],
    *,
    resamples: int,
    generator: np.random.Generator,
) -> Forgetting:
    """What an arm forgot, with its flagged items counted and the mean change without them.

    The mean is over the tasks that count with all their items; a task of which fewer than two
    clusters are left is out of it.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    hits: dict[str, int] = {}
    rest: dict[str, GeneralScores] = {}
    for task in scores:
        flagged = items.get(task.task, frozenset())
        hits[task.task] = _hits(task.arm, task.base, flagged) if flagged else 0
        arm, base = without_items(task.arm, flagged), without_items(task.base, flagged)
        rest[task.task] = replace(task, arm=tuple(arm), base=tuple(base))
    deltas = tuple(replace(delta, flagged=hits.get(delta.task, 0)) for delta in found.tasks)
    counted = [delta for delta in deltas if delta.kept is not None]
    if not any(delta.flagged for delta in counted):
        return replace(found, tasks=deltas)
    aligned = {delta.task: align(rest[delta.task].arm, rest[delta.task].base) for delta in counted}
    left = {
        task: (rest[task], pairs) for task, pairs in aligned.items() if pairs.cluster_count >= 2
    }
    if not left:
        return replace(found, tasks=deltas)
    mean = mean_change_sampling(left, resamples, generator)
    clean = (mean.estimate, mean.interval(found.interval.level))
    return replace(found, tasks=deltas, without_flagged=clean)


def _without(vector: ScoreVector, items: frozenset[str]) -> ScoreVector:
    kept = [row for row, identity in enumerate(vector.item_ids) if identity not in items]
    if len(kept) == len(vector.item_ids):
        return vector
    return replace(
        vector,
        doc_hashes=tuple(vector.doc_hashes[row] for row in kept),
        clusters=tuple(vector.clusters[row] for row in kept),
        item_ids=tuple(vector.item_ids[row] for row in kept),
        values=vector.values[kept],
    )


def _hits(a: Sequence[ScoreVector], b: Sequence[ScoreVector], items: frozenset[str]) -> int:
    """How many of the items that both sides scored are among those given."""
    return align(a, b).items - align(without_items(a, items), without_items(b, items)).items


def _clean(contrast: Contrast | None) -> WithoutFlagged | None:
    if contrast is None:
        return None
    return WithoutFlagged(
        items=contrast.items,
        mean_a=contrast.mean_a,
        mean_b=contrast.mean_b,
        difference=contrast.difference,
        interval=contrast.interval,
        outcome=contrast.outcome,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _ids(kinds: object) -> frozenset[str]:
    """Ids of all kinds of match together."""
    return frozenset(str(i) for ids in _mapping(kinds).values() for i in ids)


__all__ = [
    "Leaks",
    "beside_flagged",
    "forgetting_beside_flagged",
    "read_leaks",
    "without_items",
]
