"""A study's data whose audit found nothing, for tests to change what they are about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from harness.records import LEAK_KINDS, AuditRecord, DataRecord, ItemsByKind

_JUDGED = ("validation", "test")


def by_kind(**ids: Iterable[str]) -> ItemsByKind:
    """Every kind, with the ids given."""
    assert not ids.keys() - set(LEAK_KINDS)
    return {kind: tuple(ids.get(kind, ())) for kind in LEAK_KINDS}


def audit_record(**changes: Any) -> AuditRecord:
    """An audit that found nothing, but for ``changes``; without a general suite."""
    nothing = AuditRecord(
        found={split: dict.fromkeys(LEAK_KINDS, 0) for split in _JUDGED},
        dropped_from_train=0,
        flagged={split: by_kind() for split in _JUDGED},
        selection=by_kind(),
        general={},
        general_not_audited=(),
        shared_groups=dict.fromkeys(_JUDGED, 0),
        strongest=(),
    )
    return replace(nothing, **changes)


def data_record(**changes: Any) -> DataRecord:
    """Data of 100, 50 and 100 rows, all of them used."""
    sizes = {"train": 100, "validation": 50, "test": 100}
    whole = DataRecord(
        source="data.jsonl",
        fingerprint="d" * 64,
        test_fingerprint="e" * 64,
        available=sizes,
        groups=sizes,
        answers={},
        dropped_rows=0,
        audit=audit_record(),
        date="2026-01-01",
    )
    return replace(whole, **changes)
