"""What a forecast says of judges: marks, tokens and money, without asking any."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.cli.plan_tables import print_forecast
from harness.data import read_examples_file
from harness.forecast.findings import Forecast
from harness.forecast.notes import warnings_of
from tests.fake_server import serving
from tests.forecast.test_study import forecast, tiny
from tests.tiny_model import PARAMETERS, TinyModels

pytestmark = pytest.mark.weights
TASK_METRICS = ["exact_match", "judge:kind"]


def foreseen(folder: Path, models: TinyModels, judge: dict[str, Any]) -> Forecast:
    base = tiny(folder, models)
    task = base.task.model_dump(mode="json", by_alias=True) | {"metrics": TASK_METRICS}
    one = tiny(
        folder, models, judges={"kind": judge}, task=task, general=None, memorisation_items=0,
        arms={"zero-shot": {"kind": "prompt"}}, score_batch_size=8,
    )  # fmt: skip
    return forecast(one, folder)


def test_a_served_judge_is_counted_and_not_asked(tmp_path: Path, tiny_models: TinyModels) -> None:
    with serving() as server:
        endpoint = {
            "url": server.url, "model": "large", "prompt_price": 10.0, "completion_price": 10.0,
            "spending_cap": 0.001,
        }  # fmt: skip
        found = foreseen(tmp_path, tiny_models, {"endpoint": endpoint, "rubric": "Is it kind?"})
        assert server.seen == []
    (judge,) = found.judges
    assert (judge.judge, judge.by, judge.cap, judge.least_mib) == ("kind", "large", 0.001, 0.0)
    # Of the base, which the arm asks as well; eight of its replies to test items with a plea.
    (validation,) = (tmp_path / "elsewhere").rglob("splits/validation-*.parquet")
    (test,) = (tmp_path / "elsewhere").rglob("splits/test-*.parquet")
    counts = [len(read_examples_file(path)) for path in (validation, test)]
    assert judge.marks.high == counts[0] + counts[1] + 8
    assert judge.marks.low == 0
    assert judge.tokens.expected > 100 * judge.marks.expected
    assert judge.money.expected == pytest.approx(judge.tokens.expected * 10 / 1e6)
    assert found.money.expected > judge.money.expected
    assert "judge kind: may reach its spending_cap of 0.001" in " ".join(found.warnings)
    console = Console(record=True, width=200)
    print_forecast(found, console)
    text = console.export_text()
    assert "Asked of judges, at most" in text
    assert json.dumps(found.plain())


def test_the_memory_of_a_local_judge_is_foreseen(tmp_path: Path, tiny_models: TinyModels) -> None:
    place = tmp_path / "judge"
    shutil.copytree(tiny_models.plain, place)
    found = foreseen(tmp_path, tiny_models, {"model": str(place), "rubric": "Is it kind?"})
    (judge,) = found.judges
    assert judge.least_mib == pytest.approx(PARAMETERS * 4 / 2**20, rel=0.01)
    assert judge.money.high == 0.0
    # It is a copy of the arms' model, and reads longer prompts than they.
    assert judge.seconds is not None
    assert 0 == judge.seconds.low < judge.seconds.expected <= judge.seconds.high
    arms = sum(arm.seconds.expected for arm in found.arms if arm.seconds)
    assert found.seconds.expected == pytest.approx(
        arms + found.start_seconds + judge.seconds.expected
    )
    assert not [warning for warning in found.warnings if warning.startswith("judge")]
    short = replace(found, available_mib=judge.least_mib / 2)
    assert "judge kind: needs at least" in " ".join(warnings_of(short))
