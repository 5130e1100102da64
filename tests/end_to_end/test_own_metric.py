"""A metric of the user's own through whole studies of real weights: values, reuse, report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.evaluation import brought_metrics
from harness.export.final_run import find_final_run
from harness.measures import EvaluateMetric, PythonMetric
from harness.records import primary_name
from harness.review.studies import load_study, write_reports
from harness.store import StoreReader
from harness.study.run import StudyRun
from tests.end_to_end.test_change_one_thing import ARMS, TIMED, Counting, run
from tests.tiny_model import TinyModels, tiny_models
from tests.untimed import untimed_module

__all__ = ["tiny_models", "untimed_module"]
pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("untimed_module")]

SURPLUS = """
import math

import harness


@harness.metric(higher_is_better=False, lowest=-math.inf, highest=math.inf, label="Surplus letters")
def surplus(item, reply, target):
    if item["text"].startswith("{refused}"):
        raise LookupError("no letters are counted here")
    return {factor} * (len(reply) - len(target))
"""
TRIED = {**ARMS, "few-shot": {"kind": "prompt", "shots": {"choices": [0, 2]}}}


def own_metric(folder: Path, *, factor: int = 1, refused: str = "zzz") -> dict[str, Any]:
    file = folder / "counts.py"
    file.write_text(SURPLUS.format(factor=factor, refused=refused), encoding="utf-8")
    metric = PythonMetric(python="counts.py:surplus").located(folder)
    return metric.model_dump(mode="json", by_alias=True)


def together(folder: Path) -> dict[str, Any]:
    """A metric of all items together, of the library evaluate."""
    metric = EvaluateMetric(evaluate="f1").located(folder)
    return metric.model_dump(mode="json", by_alias=True)


def run_with(
    folder: Path, models: TinyModels, metrics: list[Any], **changes: Any
) -> tuple[StudyRun, Counting]:
    return run(
        folder, models, task={"metrics": metrics}, contrast={"margin": 0.5}, arms=TRIED,
        general=None, **{"budget": {"trials": 2, "test_default": False}, **changes},
    )  # fmt: skip


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, tiny_models: TinyModels) -> Path:
    folder = tmp_path_factory.mktemp("first")
    done, counted = run_with(folder, tiny_models, ["exact_match"])
    assert (done.trials_failed, counted.trained) == (0, 1)
    return folder


@pytest.fixture
def folder(first: Path, tmp_path: Path) -> Path:
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    return tmp_path


def loaded(counted: Counting) -> int:
    """How often weights were loaded for anything but the time of requests."""
    return counted.loaded - sum(spec.phase == TIMED for spec in counted.specs)


def test_it_is_computed_from_replies_and_an_edit_of_it_as_well(
    folder: Path, tiny_models: TinyModels
) -> None:
    results = folder / "results"
    once, counted = run_with(folder, tiny_models, ["exact_match", own_metric(folder)])
    assert (once.trials_failed, counted.trained, loaded(counted)) == (0, 0, 0)
    reader = StoreReader(results / "harness.duckdb")

    def values(done: StudyRun) -> dict[tuple[str, str], float]:
        return {
            (vector.arm, doc): value
            for vector in reader.study(done.experiment_id).vectors
            if (vector.suite, vector.split, vector.metric) == ("domain", "test", "surplus")
            for doc, value in zip(vector.doc_hashes, vector.values.tolist(), strict=True)
        }

    before = values(once)
    assert len(before) == 3 * 8
    assert len(set(before.values())) > 1
    again, counted = run_with(folder, tiny_models, ["exact_match", own_metric(folder)])
    assert (again.experiment_id, counted.specs) == (once.experiment_id, [])
    # Whoever exports what was trained for another study asks it by the metrics of this one.
    final = find_final_run(results, once.experiment_id, "lora")
    assert primary_name(final.spec.task["metrics"]) == "exact_match"
    assert final.spec.task["metrics"][1]["names"] == ["surplus"]
    edited, counted = run_with(folder, tiny_models, ["exact_match", own_metric(folder, factor=2)])
    assert edited.experiment_id != once.experiment_id
    assert (edited.trials_failed, counted.trained, loaded(counted)) == (0, 0, 0)
    assert values(edited) == {place: 2 * value for place, value in before.items()}
    # What was computed before is as it was.
    assert values(once) == before


def test_it_may_be_primary_and_lower_may_be_better(
    folder: Path, tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is of all items together is computed anew for each draw of each score.
    monkeypatch.setattr(brought_metrics, "RESAMPLES", 20)
    done, counted = run_with(
        folder, tiny_models, [own_metric(folder, refused="5feceb"), "exact_match", together(folder)]
    )
    assert (done.trials_failed, counted.trained) == (0, 0)
    loaded_study = load_study(folder / "results", done.experiment_id)
    assert loaded_study.experiment.task.primary.label == "Surplus letters"
    study, findings = loaded_study.study, loaded_study.findings
    # Each arm's selected setting is the one with the lowest value.
    searched: dict[str, list[tuple[float, int, Any]]] = {}
    for trial in study.trials:
        if trial.phase == "search":
            (value,) = [a.value for a in trial.aggregates if a.metric == "surplus"]
            searched.setdefault(trial.arm, []).append((value, trial.number, trial.params))
    assert len({value for value, *_ in searched["few-shot"]}) == 2
    for trial in study.trials:
        if trial.phase == "finalist":
            assert trial.params == min(searched[trial.arm], key=lambda one: one[:2])[2]
    contrast = findings.primary
    assert contrast is not None
    assert contrast.metric == "surplus"
    # Differences are turned so that more is better.
    assert contrast.difference == pytest.approx(contrast.mean_b - contrast.mean_a)
    files = write_reports(loaded_study, folder / "out", ("html", "md", "json"))
    text = files["md"].read_text()
    assert "Surplus letters" in text
    for row in findings.arms:
        low, high = row.metric_intervals["f1"].low, row.metric_intervals["f1"].high
        assert low <= row.metrics["f1"] <= high
    assert json.loads(files["json"].read_text())


def test_what_it_cannot_score_is_counted_and_told(folder: Path, tiny_models: TinyModels) -> None:
    rows = [json.loads(line) for line in (folder / "data.jsonl").read_text().splitlines()]
    reader = StoreReader(folder / "results" / "harness.duckdb")
    (found,) = reader.experiments()
    tested = {row.text for row in reader.study(found.experiment_id).items}
    refused = next(row["text"] for row in rows if row["text"] in tested)
    done, counted = run_with(
        folder, tiny_models, [own_metric(folder, refused=refused), "exact_match"]
    )
    assert (done.trials_failed, counted.trained) == (0, 0)
    loaded_study = load_study(folder / "results", done.experiment_id)
    contrast = loaded_study.findings.primary
    assert contrast is not None
    assert (contrast.items, contrast.unscored) == (7, 1)
    told = " ".join(loaded_study.findings.verdict.caveats)
    line = 1 + next(n for n, row in enumerate(rows) if row["text"] == refused)
    assert "lora, domain, test: 1 of the 8 replies could not be scored by surplus" in told
    assert f"(line {line} of its source)" in told
    assert "LookupError: no letters are counted here (counts.py:10: raise LookupError(" in told
    stored = reader.query(
        "SELECT count(*) FROM item_score WHERE metric = 'surplus' AND value IS NULL"
    )
    assert stored.rows[0][0] >= 3
