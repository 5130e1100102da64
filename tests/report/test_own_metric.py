"""Studies that a metric of the user's own decides: lower better, without bounds, below zero."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from harness.analysis.whole_study import analyse
from harness.findings import Findings
from harness.records import Study
from harness.report import build_view, report_json, to_html, to_markdown
from tests.analysis.study_builder import ACCURACY, StudyBuilder, experiment, right

LABEL = "Euros off"


def metric(lowest: float | None, highest: float | None, **more: Any) -> dict[str, Any]:
    """A metric as a study keeps it."""
    return {
        "python": "/study/prices.py:euros_off", "code": "def euros_off(item, reply, target): ...",
        "names": ["euros_off"], "label": LABEL, "meaning": "euros between reply and price",
        "range": [lowest, highest], "higher_is_better": False, **more,
    }  # fmt: skip


def study(
    few_shot: float, lora: float, own: dict[str, Any], *, margin: float, spread: float = 1.0
) -> StudyBuilder:
    """Two arms whose test values lie around two means."""
    answer = {"kind": "text", "column": "price"}
    task = {"instruction": "Price it.", "answer": answer, "metrics": [own, "chrf"]}
    built = StudyBuilder(experiment(task=task, contrast={"margin": margin}), {"facts": ACCURACY})
    built.search("few-shot", [few_shot + 1, few_shot]).search("lora", [lora, lora + 1])
    built.finalist(
        "base", 0, {"test": values(few_shot + 4, 0, spread), "general:facts": right(0.8)}
    )
    for seed in (1, 2, 3):
        for arm, mean in (("few-shot", few_shot), ("lora", lora)):
            kept = {"general:facts": right(0.8)} if arm == "lora" else {}
            # The setting that the search selects: the lowest value on validation.
            scores = {
                split: values(mean, seed, spread) for split in ("test", "train", "validation")
            }
            built.finalist(arm, seed, {**scores, **kept}, setting=1 if arm == "few-shot" else 0)
    return built


def values(mean: float, seed: int, spread: float) -> list[float]:
    drawn = np.random.default_rng([seed, round(abs(mean) * 10)]).normal(mean, spread, 80)
    return [float(value) for value in drawn]


def analysed(built: StudyBuilder) -> tuple[Study, Findings]:
    made = built.build()
    return made, analyse(made, resamples=400)


def pages(built: StudyBuilder) -> tuple[str, Findings]:
    made, found = analysed(built)
    view = build_view(made, built.experiment, found)
    html = to_html(view)
    assert "nan" not in html.lower().replace("finan", "").replace("nano", "").replace("domina", "")
    assert json.loads(report_json(made, found))
    return to_markdown(view), found


def test_the_lower_one_wins_and_numbers_are_as_measured() -> None:
    text, found = pages(study(60, 40, metric(0, None), margin=2))
    contrast = found.primary
    assert contrast is not None
    assert (contrast.a, contrast.b, contrast.outcome) == ("lora", "few-shot", "better")
    assert contrast.difference == pytest.approx(20, abs=1)
    assert contrast.mean_a == pytest.approx(40, abs=1)
    assert 15 < contrast.interval.low < contrast.interval.high < 25
    assert (found.verdict.outcome, found.verdict.winner) == ("fine_tune", "lora")
    rows = {row.arm: row for row in found.arms}
    assert rows["few-shot"].test == pytest.approx(60, abs=1)
    assert rows["few-shot"].test_interval is not None
    assert rows["few-shot"].test_interval.low > 59
    assert f"{LABEL} on the domain test set" in text or f"{LABEL} on the test set" in text
    assert "euros between reply and price" in text
    assert "in Euros off" in text
    # Nothing is a share of anything.
    assert "60.0 %" not in text


def test_the_search_is_told_to_have_selected_the_lowest() -> None:
    _, found = analysed(study(60, 40, metric(0, None), margin=2))
    chosen = {row.arm: row.choice for row in found.searches}
    for arm, number in (("few-shot", 1), ("lora", 0)):
        choice = chosen[arm]
        assert choice is not None
        assert choice.number == number


@pytest.mark.parametrize(
    ("lowest", "highest", "few_shot", "lora"), [(None, None, -3.0, -9.0), (-100, 0, -20.0, -60.0)]
)
def test_values_may_lie_below_zero(
    lowest: float | None, highest: float | None, few_shot: float, lora: float
) -> None:
    text, found = pages(study(few_shot, lora, metric(lowest, highest), margin=0.5))
    assert found.primary is not None
    assert found.primary.outcome == "better"
    assert found.primary.mean_a == pytest.approx(lora, abs=0.5)
    rows = {row.arm: row for row in found.arms}
    interval = rows["lora"].test_interval
    assert interval is not None
    assert lora - 1 < interval.low < interval.high < lora + 1
    assert "−" in text


def test_a_difference_within_the_margin_of_its_own_unit_is_none() -> None:
    _, found = analysed(study(60, 59.5, metric(0, None), margin=5))
    assert found.primary is not None
    assert found.primary.outcome == "equivalent"


def test_zeros_and_ones_without_bounds_are_no_shares() -> None:
    """Counts that happen to be 0 or 1 are not judged as right or wrong answers."""
    counts = study(0, 0, metric(0, None), margin=0.1)
    shares = study(0, 0, metric(0, 1), margin=0.1)
    for built in (counts, shares):
        built.vectors = [
            vector
            if vector.suite == "general"
            else type(vector)(
                **{
                    **{name: getattr(vector, name) for name in vector.__dataclass_fields__},
                    "values": np.array(right(0.3 if vector.arm == "lora" else 0.5, 80)),
                }
            )
            for vector in built.vectors
        ]
    judged = {}
    for name, built in (("counts", counts), ("shares", shares)):
        _, found = analysed(built)
        assert found.primary is not None
        judged[name] = found.primary
    assert judged["counts"].difference == judged["shares"].difference == pytest.approx(0.2)
    assert judged["counts"].test != judged["shares"].test
    assert "McNemar" in judged["shares"].test


def test_an_arm_of_which_nothing_could_be_scored_has_no_result() -> None:
    built = study(60, 40, metric(0, None), margin=2)
    for place, vector in enumerate(built.vectors):
        if vector.arm == "lora" and vector.suite == "domain":
            nothing = {name: getattr(vector, name) for name in vector.__dataclass_fields__}
            nothing["values"] = np.full(len(vector.values), math.nan)
            built.vectors[place] = type(vector)(**nothing)
    made, found = analysed(built)
    assert found.primary is None
    assert found.verdict.outcome == "inconclusive"
    assert to_markdown(build_view(made, built.experiment, found))
