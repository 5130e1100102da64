"""The primary contrast on parts of the test items: for whom the winner is better, for whom not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.statistics.paired import Comparison, compare, conclude_family
from harness.analysis.statistics.scores import DOMAIN, Scores, mean_of, on_rows
from harness.answers.metrics import VALID
from harness.findings import Contrast, Slice, Slicing, ValiditySlice
from harness.records import ItemRow, ScoreVector

# Fewer items of a part tell nothing: an interval of 10 reaches over more than half of the scale.
LEAST_ITEMS = 10
LENGTH, CLASS = "length", "class"

Division = dict[str, frozenset[str]]
"""Value -> hashes of the items that have it."""


@dataclass(frozen=True, slots=True)
class _Part:
    by: str
    value: str
    declared: bool
    comparison: Comparison


def slice_contrast(
    scores: Scores,
    primary: Contrast,
    *,
    resamples: int,
    generator: Callable[..., np.random.Generator],
) -> Slicing:
    """The arms of the primary contrast on parts of its items, one family of tests.

    Parts are those of the columns that the experiment names, of three lengths of the item's text,
    and of the classes of the right answers. A value that has fewer than ten items is counted and
    not compared.

    Args:
        scores: the scores of the study.
        primary: its primary contrast.
        resamples: draws of every bootstrap.
        generator: names of a part -> its random numbers.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    a, b = (
        scores.vectors(arm, primary.metric, task=DOMAIN, split=primary.split)
        for arm in (primary.a, primary.b)
    )
    items = {row.doc_hash: row for row in scores.study.items}
    parts: list[_Part] = []
    too_small = 0
    for by, declared, division in _divisions(scores, items):
        known = _compared(a, b)
        large = {value: hashes & known for value, hashes in division.items()}
        large = {value: hashes for value, hashes in large.items() if len(hashes) >= LEAST_ITEMS}
        too_small += len(division) - len(large)
        if len(large) == 1 and len(division) == 1:
            continue  # it divides nothing
        for value, hashes in large.items():
            comparison = compare(
                _only(a, hashes),
                _only(b, hashes),
                margin=primary.margin,
                level=primary.interval.level,
                resamples=resamples,
                generator=generator("slice", by, value, *sorted((primary.a, primary.b))),
            )
            if comparison is None:
                too_small += 1
            else:
                parts.append(_Part(by, value, declared, comparison))
    concluded = conclude_family([part.comparison for part in parts])
    return Slicing(
        a=primary.a,
        b=primary.b,
        slices=tuple(
            Slice(part.by, part.value, contrast, part.declared)
            for part, contrast in zip(parts, concluded, strict=True)
        ),
        validity=_by_validity(scores, primary, a, b),
        too_small=too_small,
    )


def _divisions(
    scores: Scores, items: Mapping[str, ItemRow]
) -> Iterable[tuple[str, bool, Division]]:
    """What divides the items, whether the experiment asks for it, and how."""
    hash_of = {row.item_id: doc_hash for doc_hash, row in items.items()}
    for column, values in scores.study.experiment.data.slices.items():
        yield (
            column,
            True,
            {
                value: frozenset(hash_of[identity] for identity in ids if identity in hash_of)
                for value, ids in values.items()
            },
        )
    yield LENGTH, False, _by_length(items)
    classes: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for doc_hash, row in items.items():
        for field, counts in scores.experiment.task.answer.count_classes([row.target]).items():
            for value in counts:
                classes[field][value].add(doc_hash)
    for field, values_of in classes.items():
        by = CLASS if field == "label" else f"{CLASS} of {field}"
        yield by, False, {value: frozenset(values_of[value]) for value in sorted(values_of)}


def _by_length(items: Mapping[str, ItemRow]) -> Division:
    """Three parts by the length of the text, as equal as texts of one length allow."""
    lengths = {doc_hash: len(row.text) for doc_hash, row in items.items() if row.text}
    if not lengths:
        return {}
    low, high = np.quantile(list(lengths.values()), (1 / 3, 2 / 3), method="lower")
    parts: defaultdict[str, set[str]] = defaultdict(set)
    names = (f"up to {low} characters", f"{low + 1} to {high} characters",
             f"more than {high} characters")  # fmt: skip
    for name in names:
        parts[name] = set()
    for doc_hash, length in lengths.items():
        parts[names[int(length > low) + int(length > high)]].add(doc_hash)
    return {name: frozenset(hashes) for name, hashes in parts.items() if hashes}


def _by_validity(
    scores: Scores, primary: Contrast, a: Sequence[ScoreVector], b: Sequence[ScoreVector]
) -> tuple[ValiditySlice, ...]:
    judged = [_all_valid(scores, arm, primary.split) for arm in (primary.a, primary.b)]
    common = _compared(a, b) & judged[0].keys() & judged[1].keys()
    parts: defaultdict[tuple[bool, bool], set[str]] = defaultdict(set)
    for doc_hash in common:
        parts[judged[0][doc_hash], judged[1][doc_hash]].add(doc_hash)
    if set(parts) <= {(True, True)}:
        return ()
    return tuple(
        ValiditySlice(*valid, len(hashes), _mean(a, hashes), _mean(b, hashes))
        for valid, hashes in sorted(parts.items(), reverse=True)
    )


def _all_valid(scores: Scores, arm: str, split: str) -> dict[str, bool]:
    """Item -> whether every run's reply to it is valid; without items that were not judged."""
    valid: dict[str, bool] = {}
    for run in scores.runs(arm, VALID.name, task=DOMAIN, split=split):
        for doc_hash, value in zip(run.doc_hashes, run.values.tolist(), strict=True):
            if np.isfinite(value):
                valid[doc_hash] = valid.get(doc_hash, True) and value >= 1
    return valid


def _compared(a: Sequence[ScoreVector], b: Sequence[ScoreVector]) -> frozenset[str]:
    """Items that every run of both arms scored."""
    scored = [
        {
            doc_hash
            for doc_hash, value in zip(vector.doc_hashes, vector.values, strict=True)
            if np.isfinite(value)
        }
        for vector in (*a, *b)
    ]
    return frozenset(set.intersection(*scored)) if scored else frozenset()


def _only(vectors: Sequence[ScoreVector], hashes: frozenset[str]) -> list[ScoreVector]:
    return [
        on_rows(vector, [row for row, one in enumerate(vector.doc_hashes) if one in hashes])
        for vector in vectors
    ]


def _mean(vectors: Sequence[ScoreVector], hashes: Iterable[str]) -> float:
    value = mean_of(_only(vectors, frozenset(hashes)))
    return float("nan") if value is None else value


__all__ = ["LEAST_ITEMS", "LENGTH", "slice_contrast"]
