"""The made-up store of the benchmarks follows the schema, and is read like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.store import StoreReader
from lab.benchmarks import store_rows
from lab.benchmarks.store_rows import LARGEST, make_store


def test_a_small_one_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The small ones beside the large one are all made alike.
    monkeypatch.setattr(store_rows, "SMALL_STUDIES", 2)
    reader = StoreReader(make_store(tmp_path, 1_000))
    found = reader.find(LARGEST).study
    study = reader.study(found.experiment.experiment_id)
    ((rows,),) = reader.query("SELECT count(*) FROM items WHERE value IS NOT NULL").rows
    assert rows > 10_000
    assert {item.arm for item in study.items} == set(found.experiment.spec["arms"])
