"""A whole study whose primary metric is an error: the least one is searched for and selected."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest

from harness.evaluation.score_batches import Answered
from harness.records import Pruning, TrialCurve
from harness.review.searches import stored_searches
from harness.review.studies import AnalysedStudy, load_study, write_reports
from harness.search.rebuilt import rebuild
from harness.study.run import run_study
from harness.trial.candidate import Pruned
from harness.trial.early_stopping import ItemWatch
from tests.fake_trial import Watching, experiment
from tests.untimed import untimed_module

__all__ = ["untimed_module"]
pytestmark = pytest.mark.usefixtures("untimed_module")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> AnalysedStudy:
    folder = tmp_path_factory.mktemp("errors")
    rows = [
        {"text": f"How many are {n} and {(7 * n) % 90} of {n % 11}?", "label": 3 * n}
        for n in range(80)
    ]
    data = folder / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = experiment(
        folder,
        task={
            "instruction": "Add.",
            "answer": {"kind": "number", "column": "label"},
            "metrics": ["relative_error", "exact_match", "absolute_error", "valid"],
        },
        arms={
            "zero-shot": {"kind": "prompt"},
            "few-shot": {
                "kind": "prompt",
                "shots": {"choices": [1, 2, 3, 4, 5, 6], "default": 4},
            },
            "lora": {"kind": "lora"},
        },
        budget={"trials": 6},
    )
    done = run_study(spec, folder / "results", open_with=Watching)
    return load_study(folder / "results", done.experiment_id)


def test_the_trial_with_the_least_error_is_selected_and_tested(loaded: AnalysedStudy) -> None:
    study = loaded.study
    for arm in ("few-shot", "lora"):
        trials = [t for t in study.trials if (t.arm, t.phase) == (arm, "search")]
        errors = {
            t.number: a.value
            for t in trials
            for a in t.aggregates
            if (a.metric, a.split) == ("relative_error", "validation")
        }
        assert len(set(errors.values())) > 1
        best = min(errors, key=lambda number: (errors[number], number))
        (finalist,) = [t for t in study.trials if (t.arm, t.phase) == (arm, "finalist")]
        (selected,) = [t for t in trials if t.number == best]
        assert finalist.params == selected.params


def test_optuna_is_told_to_minimise(loaded: AnalysedStudy) -> None:
    searches = {search.arm: search for search in stored_searches(loaded.study)}
    rebuilt = rebuild(searches["few-shot"])
    assert rebuilt.direction == optuna.study.StudyDirection.MINIMIZE
    assert rebuilt.best_value == min(t.value for t in rebuilt.trials if t.value is not None)
    # Losses, which a pruner reads with their sign turned, have their own here.
    losses = rebuild(searches["lora"]).trials[0].intermediate_values
    assert losses and min(losses.values()) > 0


def test_the_report_says_the_direction(loaded: AnalysedStudy, tmp_path: Path) -> None:
    text = write_reports(loaded, tmp_path, ["md"])["md"].read_text(encoding="utf-8")
    assert "Of relative error lower is better; its differences are turned" in text
    assert "in relative error, where lower is better," in text


def test_a_prompt_trial_with_large_errors_is_stopped() -> None:
    past = TrialCurve(1, "complete", -0.1, tuple((n, -0.1) for n in range(60)))
    pruning = Pruning("wilcoxon", (past,), 0.05, 24)

    def watch(error: float) -> None:
        watched = ItemWatch(pruning, 60, higher_is_better=False)
        for start in range(0, 60, 10):
            watched([Answered(n, error, 5) for n in range(start, start + 10)])

    watch(0.05)
    with pytest.raises(Pruned) as stopped:
        watch(0.9)
    assert stopped.value.stopped.value == pytest.approx(0.9)
    assert stopped.value.stopped.against == pytest.approx(0.1)
