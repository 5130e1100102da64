"""What of the audit is stored."""

from __future__ import annotations

import json
from pathlib import Path

from harness.data import audit_record, prepare, with_general
from harness.data.audit_record import PAIRS_KEPT

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
    plain = audit_record(prepared)
    assert plain["counts"] == {"exact": 2, "near": 0, "ngram": 1}
    assert plain["by_split"]["validation"] == {"exact": 1, "near": 0, "ngram": 0}
    assert plain["dropped_from_train"] == 2
    # The exact copies were dropped from training, so nothing of them is in force.
    assert plain["flagged_items"] == {
        "validation": {"exact": [], "near": [], "ngram": []},
        "test": {"exact": [], "near": [], "ngram": ["test:3"]},
    }
    assert plain["selection"] == {"exact": 1, "near": 0, "ngram": 0}
    assert plain["selection_items"] == {"exact": ["test:2"], "near": [], "ngram": []}
    assert (plain["general"], plain["general_not_audited"]) == ({}, [])

    whole = with_general(prepared, {"talk": [("g1", "hello there"), ("g2", "bye")]}, ["far"])
    assert whole.fingerprint == prepared.fingerprint
    plain = audit_record(whole)
    assert plain["general"] == {"talk": {"exact": ["g1"], "near": [], "ngram": []}}
    assert plain["general_not_audited"] == ["far"]
    kinds = [(p["kind"], p["seen_in"], p["split"], p["longest_run"]) for p in plain["strongest"]]
    assert kinds == [
        ("exact", "validation", "test", 12),
        ("exact", "train", "talk", 2),
        ("ngram", "train", "test", 8),
    ]
    assert json.loads(json.dumps(plain)) == plain


def test_only_the_strongest_pairs_are_kept(tmp_path: Path) -> None:
    rows = [{"text": words(n * 50, 12), "label": "ab"[n % 2]} for n in range(PAIRS_KEPT + 30)]
    source = write_jsonl(tmp_path / "train.jsonl", rows)
    files = {"test": str(source), "validation_share": 0.2}
    plain = audit_record(prepare(experiment(source, splits=files, leaks="report")))
    assert len(plain["strongest"]) == PAIRS_KEPT
    found = {n for kinds in plain["flagged_items"]["test"].values() for n in kinds}
    assert len(found) + sum(plain["selection"].values()) >= len(rows)
