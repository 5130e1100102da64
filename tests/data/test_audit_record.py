"""What of the audit is stored."""

from __future__ import annotations

from pathlib import Path

from harness.data import audit_record, prepare, with_general
from harness.data.audit_record import PAIRS_KEPT
from harness.records import AuditRecord, count_by_kind, from_json, items_of, to_json

from .tiny import experiment, words, write_jsonl


def test_the_record_holds_all_three_comparisons(tmp_path: Path) -> None:
    def row(start: int, label: str = "a") -> dict[str, str]:
        return {"text": words(start, 12), "label": label}

    train = [*(row(n * 50, "ab"[n % 2]) for n in range(10)), {"text": "Hello there!", "label": "a"}]
    files = {
        "validation": [row(0), row(3000), row(4000)],
        "test": [row(50), row(3000), {"text": words(104, 8) + " z", "label": "a"}],
    }
    named = {
        name: str(write_jsonl(tmp_path / f"{name}.jsonl", values)) for name, values in files.items()
    }
    source = write_jsonl(tmp_path / "train.jsonl", train)
    prepared = prepare(experiment(source, splits=named))
    record = audit_record(prepared)
    assert record.counts == {"exact": 2, "near": 0, "ngram": 1}
    assert record.found["validation"] == {"exact": 1, "near": 0, "ngram": 0}
    assert record.dropped_from_train == 2
    # The exact copies were dropped from training, so nothing of them is in force.
    assert record.flagged == {
        "validation": {"exact": (), "near": (), "ngram": ()},
        "test": {"exact": (), "near": (), "ngram": ("test:3",)},
    }
    assert count_by_kind(record.selection) == {"exact": 1, "near": 0, "ngram": 0}
    assert record.selection == {"exact": ("test:2",), "near": (), "ngram": ()}
    assert (record.general, record.general_not_audited) == ({}, ())

    whole = with_general(prepared, {"talk": [("g1", "hello there"), ("g2", "bye")]}, ["far"])
    assert whole.fingerprint == prepared.fingerprint
    record = audit_record(whole)
    assert record.general == {"talk": {"exact": ("g1",), "near": (), "ngram": ()}}
    assert record.general_not_audited == ("far",)
    kinds = [(p.kind, p.seen_in, p.split, p.longest_run) for p in record.strongest]
    assert kinds == [
        ("exact", "validation", "test", 12),
        ("exact", "train", "talk", 2),
        ("ngram", "train", "test", 8),
    ]
    assert from_json(AuditRecord, to_json(record)) == record


def test_only_the_strongest_pairs_are_kept(tmp_path: Path) -> None:
    rows = [{"text": words(n * 50, 12), "label": "ab"[n % 2]} for n in range(PAIRS_KEPT + 30)]
    source = write_jsonl(tmp_path / "train.jsonl", rows)
    files = {"test": str(source), "validation_share": 0.2}
    record = audit_record(prepare(experiment(source, splits=files, leaks="report")))
    assert len(record.strongest) == PAIRS_KEPT
    assert len(items_of(record.flagged["test"])) + len(items_of(record.selection)) >= len(rows)
