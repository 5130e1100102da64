"""What is stopped early, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

from harness.records import Pruning, TrialCurve
from harness.search import Judge


def best_prompt(values: list[float]) -> TrialCurve:
    return TrialCurve(3, "complete", sum(values) / len(values), tuple(enumerate(values)))


def stopped_after(judge: Judge, values: list[float], wave: int = 8) -> int | None:
    """Items after which the judge gives up, asked wave by wave."""
    items = list(enumerate(values))
    for start in range(0, len(items), wave):
        if judge.should_prune(items[start : start + wave]):
            return start + wave
    return None


def test_a_hopeless_prompt_stops_after_a_few_dozen_items() -> None:
    best = [1.0, 1.0, 1.0, 0.0] * 50
    judge = Judge(Pruning("wilcoxon", (best_prompt(best),), 0.05, 24))
    assert stopped_after(judge, [0.0] * 200) == 24
    assert judge.against() == pytest.approx(0.75)
    assert len(judge.values) == 24


def test_an_equal_prompt_is_hardly_ever_stopped() -> None:
    rng = np.random.default_rng(5)
    stopped = 0
    for _ in range(40):
        best, other = (rng.random((2, 96)) < 0.6).astype(float).tolist()
        judge = Judge(Pruning("wilcoxon", (best_prompt(best),), 0.05, 24))
        stopped += stopped_after(judge, other) is not None
    # Several looks at 5 % each: more than one in twenty, but far from all.
    assert stopped <= 12


def test_a_better_prompt_is_never_stopped() -> None:
    judge = Judge(Pruning("wilcoxon", (best_prompt([0.0, 1.0] * 48),), 0.05, 24))
    assert stopped_after(judge, [1.0] * 96) is None


def test_nothing_to_compare_with_stops_nothing() -> None:
    judge = Judge(Pruning("wilcoxon", (), 0.05, 24))
    assert stopped_after(judge, [0.0] * 96) is None
    assert np.isnan(judge.against())


def courses(losses: list[list[float]]) -> tuple[TrialCurve, ...]:
    return tuple(
        TrialCurve(n, "complete", 0.5, tuple((step, -loss) for step, loss in enumerate(one, 1)))
        for n, one in enumerate(losses)
    )


def test_the_median_needs_five_finished_trials() -> None:
    losses = [[1.0, 0.5], [1.1, 0.6], [1.2, 0.7], [1.3, 0.8], [1.4, 0.9]]
    assert not Judge(Pruning("median", courses(losses[:4]))).should_prune([(1, -9.0)])
    judge = Judge(Pruning("median", courses(losses)))
    assert judge.should_prune([(1, -1.21)])
    assert judge.against() == pytest.approx(-1.2)
    assert not Judge(Pruning("median", courses(losses))).should_prune([(1, -1.19)])


def test_halving_lets_the_better_half_go_on() -> None:
    losses = [[1.0, 0.5], [1.1, 0.6], [1.2, 0.7], [1.3, 0.8]]
    assert Judge(Pruning("halving", courses(losses))).should_prune([(1, -1.5)])
    assert not Judge(Pruning("halving", courses(losses))).should_prune([(1, -0.9)])


def test_a_trial_that_was_stopped_counts_in_the_halving() -> None:
    stopped = tuple(TrialCurve(n, "pruned", None, ((1, -1.0 - n / 10),)) for n in range(4))
    assert Judge(Pruning("halving", stopped)).should_prune([(1, -1.5)])


def test_a_step_is_reported_once() -> None:
    judge = Judge(Pruning("median", ()))
    judge.should_prune([(1, 0.5)])
    with pytest.raises(ValueError, match="step 1"):
        judge.should_prune([(1, 0.4)])


def test_a_diverged_trial_is_stopped_by_the_median() -> None:
    losses = [[1.0], [1.1], [1.2], [1.3], [1.4]]
    assert Judge(Pruning("median", courses(losses))).should_prune([(1, float("nan"))])
