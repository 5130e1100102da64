"""Metrics of the library ``evaluate``: those that come along, a folder's, and what is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.measures import EvaluateMetric, UnscoredError, as_mapping
from harness.measures.bundled_modules import BUNDLED, FOLDER

NEAR = """
import datasets
import evaluate


class Near(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        features = {"predictions": text, "references": datasets.Sequence(text)}
        return evaluate.MetricInfo(description="", citation="", inputs_description="",
                                   features=datasets.Features(features))

    def _compute(self, predictions, references, bonus=0.0):
        if "boom" in predictions:
            raise RuntimeError("no boom here")
        right = [p in r for p, r in zip(predictions, references)]
        return {"near": sum(right) / len(right) + bonus, "items": len(right)}
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def value(metric: EvaluateMetric, reply: str, target: str) -> float:
    (one,) = metric.scorer()({}, reply, target).values()
    return one


def near(folder: Path, **more: Any) -> EvaluateMetric:
    place = folder / "near"
    place.mkdir(exist_ok=True)
    (place / "near.py").write_text(NEAR, encoding="utf-8")
    return EvaluateMetric(evaluate="near", key="near", **more).located(folder)


@pytest.mark.parametrize(
    ("name", "key", "reply", "target", "expected"),
    [
        ("accuracy", None, "a", "a", 1), ("accuracy", None, "a", "b", 0),
        ("bleu", None, "a b c d", "a b c d", 1), ("bleu", None, "x y", "a b", 0),
        ("sacrebleu", None, "a b c d", "a b c d", 100), ("chrf", None, "abc", "abc", 100),
        ("ter", None, "a b", "a b", 0), ("ter", None, "a x", "a b", 50),
        ("rouge", "rougeL", "a b", "a b", 1), ("rouge", "rouge1", "b a c d", "a b", 2 / 3),
        ("mae", None, "3.5", "2", 1.5), ("mse", None, "4", "2", 4),
    ],
)  # fmt: skip
def test_those_that_come_along_have_values_of_single_items(
    tmp_path: Path, name: str, key: str | None, reply: str, target: str, expected: float
) -> None:
    metric = EvaluateMetric(evaluate=name, key=key).located(tmp_path)
    assert value(metric, reply, target) == pytest.approx(expected, abs=0.01)


def test_what_is_known_of_them_need_not_be_said(tmp_path: Path) -> None:
    assert set(BUNDLED) == {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    (info,) = EvaluateMetric(evaluate="ter").located(tmp_path).infos
    assert (info.name, info.higher_is_better, info.lowest) == ("ter", False, 0)
    # The product has a metric of this name, from 0 to 1.
    (info,) = EvaluateMetric(evaluate="chrf").located(tmp_path).infos
    assert (info.name, info.highest) == ("evaluate_chrf", 100)
    assert as_mapping("evaluate:f1") == {"evaluate": "f1"}


@pytest.mark.parametrize("name", ["f1", "precision", "recall", "matthews_correlation"])
def test_those_of_all_items_together(tmp_path: Path, name: str) -> None:
    metric = EvaluateMetric(evaluate=name).located(tmp_path)
    assert not metric.is_per_item
    assert not metric.infos[0].per_item
    right, wrong = ["a", "b", "a", "b"], ["b", "a", "b", "a"]
    assert metric.computer()(right, right) == 1
    assert metric.computer()(wrong, right) == (-1 if name == "matthews_correlation" else 0)


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    metric = near(tmp_path, options={"bonus": 0.25}, range=(0, 2))
    assert value(metric, "a", "a") == 1.25
    assert value(metric, "a", "b") == 0.25
    assert "evaluate" in metric.packages
    assert set(metric.files) == {"near.py"}
    kept = EvaluateMetric.model_validate(metric.model_dump(mode="json", by_alias=True))
    assert kept == metric
    # As a study keeps it, it needs no folder.
    (tmp_path / "near" / "near.py").unlink()
    (tmp_path / "near").rmdir()
    assert kept.located(tmp_path) == metric
    assert value(kept, "a", "a") == 1.25


def test_its_identity_is_its_content(tmp_path: Path) -> None:
    one = near(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    assert near(other, label="x").identity() == one.identity()
    assert near(other, options={"bonus": 1}).identity() != one.identity()
    script = other / "near" / "near.py"
    script.write_text(NEAR + "# more\n", encoding="utf-8")
    changed = EvaluateMetric(evaluate="near", key="near").located(other)
    assert changed.identity() != one.identity()


@pytest.mark.parametrize(
    ("more", "reply", "message"),
    [
        ({"key": None, "names": ["near"]}, "a", r"gives several values \(near, items\); say which"),
        ({"key": "far"}, "a", "gives near, items, and no far"),
        ({"options": {"gone": 1}}, "a", "TypeError.*gone"),
        ({}, "boom", r"RuntimeError: no boom here \(in near\)"),
        ({"options": {"bonus": 5}}, "a", "outside its range of 0 to 1"),
    ],
)
def test_what_is_no_value_is_said(
    tmp_path: Path, more: dict[str, Any], reply: str, message: str
) -> None:
    near(tmp_path)
    metric = EvaluateMetric(**{"evaluate": "near", "key": "near", **more}).located(tmp_path)
    with pytest.raises(UnscoredError, match=message):
        value(metric, reply, "a")


def test_one_of_the_hub_is_kept_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As evaluate hands on what it has fetched: a module that can be imported."""
    from evaluate import loading

    fetched = SimpleNamespace(module_path="harness.measures.modules.accuracy")
    with monkeypatch.context() as patch:
        patch.setattr(loading, "evaluation_module_factory", lambda name: fetched)
        metric = EvaluateMetric(evaluate="someone/accuracy").located(tmp_path)
    assert "accuracy.py" in metric.files
    assert value(metric, "a", "a") == 1
    # From then on no hub is asked.
    assert metric.located(tmp_path) == metric


def test_it_has_one_value(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="names: it has one value"):
        EvaluateMetric(evaluate="rouge", names=["a", "b"])
    metric = EvaluateMetric(evaluate="chrf", names=["letters"]).located(tmp_path)
    assert metric.metric_names == ("letters",)


def test_numbers_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UnscoredError, match="asks for numbers, and 'about 3' is none"):
        value(EvaluateMetric(evaluate="mae").located(tmp_path), "about 3", "3")


def test_what_is_not_there_is_refused_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"neither one that comes along \(accuracy, .*hub"):
        EvaluateMetric(evaluate="no_such_metric_anywhere").located(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"holds no empty.py, which evaluate asks for"):
        EvaluateMetric(evaluate="empty").located(tmp_path)
    (tmp_path / "broken.py").write_text("def (:\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"broken.py:1: not valid Python"):
        EvaluateMetric(evaluate="broken.py").located(tmp_path)
    (tmp_path / "nothing.py").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="evaluate cannot load nothing"):
        EvaluateMetric(evaluate="nothing.py").located(tmp_path).scorer()
    with pytest.raises(ValueError, match="is not the plain name of a Python file"):
        EvaluateMetric(evaluate="x", files={"../x.py": ""})
