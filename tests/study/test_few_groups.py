"""A test split of too few groups is told before anything runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.data import prepare
from harness.study.few_groups import too_few_groups
from tests.fake_trial import LABELS, experiment


def written(folder: Path, customers: int, rows: int = 60) -> Path:
    path = folder / "customers.jsonl"
    lines = [
        {"text": f"parcel {n} of {n * 7919}", "label": LABELS[n % 3], "customer": n % customers}
        for n in range(rows)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def sentences(folder: Path, source: Path, **changes: Any) -> Sequence[str]:
    spec = experiment(
        folder,
        data={"source": str(source), **changes.pop("data", {})},
        **changes,
    )
    return too_few_groups(spec, prepare(spec))


def test_fewer_groups_than_any_test_needs_are_told(tmp_path: Path) -> None:
    few = written(tmp_path, customers=4)
    (sentence,) = sentences(tmp_path, few, data={"group": "customer"})
    assert "group" in sentence and "data.group: customer" in sentence and "fewer than 6" in sentence
    assert not sentences(tmp_path, few)


@pytest.mark.parametrize(("level", "told"), [(0.95, False), (0.999, True)])
def test_how_many_it_takes_follows_the_level(tmp_path: Path, level: float, told: bool) -> None:
    source = written(tmp_path, customers=30)
    found = sentences(tmp_path, source, data={"group": "customer"}, contrast={"level": level})
    assert bool(found) is told
