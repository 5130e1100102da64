"""Scores without the items that share text with training.

Which items these are was found before anything trained and stands in the experiment's record. An
item is left out by its id; a vector that does not know its ids keeps all items, unless another
vector that it is paired with knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from harness.analysis.forgetting.abilities import MeasuredAbilities, measure_task
from harness.analysis.statistics.paired import Comparison, conclude_family, conclude_primary
from harness.analysis.statistics.pairing import align
from harness.analysis.statistics.scores import on_rows
from harness.findings import Contrast, WithoutFlagged
from harness.records import AuditRecord, ScoreVector, items_of


def flagged_on_test(audit: AuditRecord, *arms: str) -> frozenset[str]:
    """Test items that share text with the study's training rows, or with those of these arms.

    What one arm was trained on elsewhere says nothing of a comparison of two others.
    """
    theirs = (items_of(audit.brought.get(arm, {}).get("test", {})) for arm in arms)
    return items_of(audit.flagged["test"]).union(*theirs)


def without_items(vectors: Iterable[ScoreVector], items: frozenset[str]) -> list[ScoreVector]:
    """The vectors without some items. One that does not know its items' ids stays as it is."""
    return [_without(vector, items) if items else vector for vector in vectors]


def beside_flagged(
    contrasts: Sequence[Contrast],
    items: Callable[[str, str], frozenset[str]],
    vectors: Callable[[str], Sequence[ScoreVector]],
    again: Callable[[str, str], Comparison | None],
) -> tuple[Contrast, ...]:
    """The primary contrast, or the family of secondary ones, with what they are without items.

    p-values of a family are corrected over the same family, so that an outcome differs only
    because of the items.

    Args:
        items: the items to leave out of the comparison of two arms.
        vectors: arm -> its vectors, one a seed, with all items.
        again: compares two arms without the items.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    hits = [
        _hits(vectors(c.a), vectors(c.b), left_out) if (left_out := items(c.a, c.b)) else 0
        for c in contrasts
    ]
    if not any(hits):
        return tuple(contrasts)
    rest = {(c.a, c.b): again(c.a, c.b) for c in contrasts}
    known = [comparison for comparison in rest.values() if comparison is not None]
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


def abilities_beside_flagged(
    measured: MeasuredAbilities, items: Mapping[str, frozenset[str]]
) -> MeasuredAbilities:
    """What was measured of an arm, with its flagged items counted and the same without them.

    A task of which fewer than two clusters are left is out of the latter.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    tasks, clean = dict(measured.tasks), dict(measured.tasks)
    for name, task in measured.tasks.items():
        flagged = items.get(name, frozenset())
        hits = _hits(task.scores.arm, task.scores.base, flagged) if flagged else 0
        if not hits:
            continue
        tasks[name] = replace(task, flagged=hits)
        arm, base = (without_items(v, flagged) for v in (task.scores.arm, task.scores.base))
        scores = replace(task.scores, arm=tuple(arm), base=tuple(base))
        rest = measure_task(scores, measured.resamples, partial(measured.generator, "unflagged"))
        if rest is None:
            del clean[name]
        else:
            clean[name] = rest
    if not any(task.flagged for task in tasks.values()):
        return measured
    apart = replace(measured, tasks=clean, generator=partial(measured.generator, "unflagged"))
    return replace(measured, tasks=tasks, clean=apart)


def _without(vector: ScoreVector, items: frozenset[str]) -> ScoreVector:
    if not vector.item_ids:
        return vector
    return on_rows(
        vector, [row for row, identity in enumerate(vector.item_ids) if identity not in items]
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


__all__ = [
    "abilities_beside_flagged",
    "beside_flagged",
    "flagged_on_test",
    "without_items",
]
