from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from harness.analysis import analyse
from harness.analysis.forgetting import forgetting_outcome, pooled_mcnemar
from harness.analysis.pairing import Aligned
from harness.findings import Forgetting, Interval

from .study_builder import ACCURACY, StudyBuilder, experiment, right


def forgetting_on(
    base: dict[str, Any], after: list[dict[str, Any]], clusters: Any = None
) -> Forgetting:
    built = StudyBuilder(experiment(), dict.fromkeys(base, ACCURACY))
    named = {f"general:{name}": values for name, values in base.items()}
    where = {f"general:{name}": values for name, values in (clusters or {}).items()}
    built.finalist("base", 0, named, clusters=where)
    for seed, scores in enumerate(after):
        named = {f"general:{name}": values for name, values in scores.items()}
        built.finalist("lora", seed, named, clusters=where)
    return analyse(built.build(), resamples=2000).forgetting[0]


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-0.04, 0.1, "kept"),
        (-0.2, -0.06, "forgot"),
        (-0.06, 0.0, "inconclusive"),
        (-0.05, 0.0, "inconclusive"),
        (math.nan, math.nan, "inconclusive"),
    ],
)
def test_non_inferiority(low: float, high: float, outcome: str) -> None:
    assert forgetting_outcome(Interval(low, high), 0.05) == outcome


def test_flips_changes_and_the_worst_task() -> None:
    after = {"sums": right(0.9), "names": right(0.6)}
    found = forgetting_on({"sums": right(0.8), "names": right(0.8)}, [after] * 3)
    sums, names = found.tasks
    assert (sums.right_to_wrong, sums.wrong_to_right) == (0, 20)
    assert (names.right_to_wrong, names.wrong_to_right) == (40, 0)
    assert (names.base, names.after, names.change) == pytest.approx((0.8, 0.6, -0.2))
    assert found.mean_change == pytest.approx(-0.05)
    assert found.worst_task == "names"
    assert (sums.kept, names.kept) == (True, False)


def test_what_the_base_cannot_do_does_not_count() -> None:
    base = {"sums": right(0.8), "guesses": right(0.26)}
    found = forgetting_on(base, [{"sums": right(0.8), "guesses": right(0.1)}])
    assert found.mean_change == pytest.approx(0.0)
    assert found.tasks[1].kept is None
    alone = forgetting_on({"guesses": right(0.26)}, [{"guesses": right(0.26)}])
    assert math.isnan(alone.mean_change)
    assert alone.outcome == "inconclusive"


def test_the_interval_of_the_mean_is_that_of_independent_tasks() -> None:
    generator = np.random.default_rng(0)
    tasks = {str(number): (generator.random(150) < 0.8).astype(float) for number in range(4)}
    after = {
        name: np.where(generator.random(150) < 0.2, 1 - values, values)
        for name, values in tasks.items()
    }
    found = forgetting_on(tasks, [after])
    changes = [after[name] - tasks[name] for name in tasks]
    error = math.sqrt(sum(change.var(ddof=1) / 150 for change in changes)) / 4
    assert found.mean_change == pytest.approx(np.mean([c.mean() for c in changes]))
    width = found.interval.high - found.interval.low
    assert width == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_clusters_widen_the_interval() -> None:
    generator = np.random.default_rng(1)
    flipped = np.repeat(generator.random(30) < 0.3, 5)
    base = np.ones(150)
    after = [{"sums": np.where(flipped, 0.0, base)}]
    labels = [f"document {item // 5}" for item in range(150)]
    alone = forgetting_on({"sums": base}, after).interval
    together = forgetting_on({"sums": base}, after, {"sums": labels}).interval
    assert together.high - together.low > 1.8 * (alone.high - alone.low)


def flips(lost: int, won: int, seeds: int = 1) -> Aligned:
    base = np.array([[1.0] * lost + [0.0] * won + [1.0] * 5])
    after = np.repeat(np.array([[0.0] * lost + [1.0] * won + [1.0] * 5]), seeds, axis=0)
    items = base.shape[1]
    return Aligned(tuple(map(str, range(items))), (after, base), np.arange(items), items, 0, 0)


def test_pooled_mcnemar_is_the_one_sided_binomial_test_of_all_flips() -> None:
    expected = binomtest(9, 12, 0.5, alternative="greater").pvalue
    assert pooled_mcnemar([flips(6, 2), flips(3, 1)]) == pytest.approx(expected)
    assert pooled_mcnemar([flips(0, 0)]) == 1
    assert pooled_mcnemar([]) is None


def test_several_seeds_do_not_count_the_same_items_several_times() -> None:
    one = pooled_mcnemar([flips(9, 3)])
    three = pooled_mcnemar([flips(9, 3, seeds=3)])
    assert one is not None
    assert three == pytest.approx(2 * one)
