"""What a metric of one's own is part of: the key of a score, and of nothing that is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.data import prepare
from harness.measures import PythonMetric
from harness.records import ResolvedModel, Runtime, TrialSpec
from harness.spec import Experiment
from harness.study.make_plan import make_plan
from harness.study.plan import Plan
from tests.fake_trial import experiment

CODE = "def own(item, reply, target):\n    return reply == target\n"
MODEL = ResolvedModel("model", "/model", "f" * 64)
RUNTIME = Runtime("cpu", "float32", 1, 4)


def own(folder: Path, code: str = CODE, **more: Any) -> dict[str, Any]:
    (folder / "own.py").write_text(code, encoding="utf-8")
    metric = PythonMetric(python="own.py:own", **more).located(folder)
    return metric.model_dump(mode="json", by_alias=True)


def plan(folder: Path, metrics: list[Any], arm: dict[str, Any] | None = None) -> Plan:
    plain: dict[str, Any] = experiment(folder).task.model_dump(mode="json", by_alias=True)
    arms = {"lora": {"kind": "lora", **(arm or {})}, "few-shot": {"kind": "prompt", "shots": 2}}
    spec: Experiment = experiment(folder, task={**plain, "metrics": metrics}, arms=arms)
    return make_plan(spec, prepare(spec), MODEL, RUNTIME, None, folder / "results")


def finalist(of: Plan, arm: str = "lora") -> TrialSpec:
    return of.finalist(arm, 0, 1, of.default_setting(arm))


def keys(trial: TrialSpec) -> set[str]:
    return {score.key for score in trial.scores if score.suite == "domain"}


def asked(trial: TrialSpec) -> set[str]:
    return {score.asked for score in trial.scores}


def test_an_edit_is_another_score_of_the_same_trial(tmp_path: Path) -> None:
    first = plan(tmp_path, ["exact_match", own(tmp_path)])
    edited = plan(tmp_path, ["exact_match", own(tmp_path, CODE + "# once more\n")])
    without = plan(tmp_path, ["exact_match"])
    assert len({one.experiment_id for one in (first, edited, without)}) == 3
    for arm in ("lora", "few-shot"):
        trials = [finalist(one, arm) for one in (first, edited, without)]
        # The trial, its weights and whoever is asked, are the same.
        assert len({trial.trial_id for trial in trials}) == 1
        assert len({trial.weights_id for trial in trials}) == 1
        assert len(set(map(frozenset, map(asked, trials)))) == 1
        assert not keys(trials[0]) & keys(trials[1])
        assert not keys(trials[0]) & keys(trials[2])


def test_a_label_changes_no_score(tmp_path: Path) -> None:
    first = plan(tmp_path, ["exact_match", own(tmp_path)])
    labelled = plan(tmp_path, ["exact_match", own(tmp_path, label="Own")])
    assert first.experiment_id == labelled.experiment_id
    assert keys(finalist(first)) == keys(finalist(labelled))


def test_an_edit_of_the_primary_metric_trains_nothing_anew(tmp_path: Path) -> None:
    one = plan(tmp_path, [own(tmp_path)])
    other = plan(tmp_path, [own(tmp_path, CODE + "# once more\n")])
    assert finalist(one).weights_id == finalist(other).weights_id
    assert finalist(one).trial_id == finalist(other).trial_id


def test_an_edit_counts_where_its_values_choose_what_is_kept(tmp_path: Path) -> None:
    chosen = {"answering": {"choices": ["generate", "choice"]}}
    one = plan(tmp_path, [own(tmp_path)], chosen)
    other = plan(tmp_path, [own(tmp_path, CODE + "# once more\n")], chosen)

    def search(of: Plan) -> TrialSpec:
        return of.search_trial("lora", 0, of.default_setting("lora"))

    # The way of answering that is kept is another trial, of the same weights.
    assert search(one).trial_id != search(other).trial_id
    assert search(one).weights_id == search(other).weights_id
    scored = {"checks": "score", "keep": "best"}
    one = plan(tmp_path, [own(tmp_path)], scored)
    other = plan(tmp_path, [own(tmp_path, CODE + "# once more\n")], scored)
    # Which of a training's weights are kept is decided by the metric.
    assert finalist(one).weights_id != finalist(other).weights_id


def test_a_column_counts_where_its_values_choose_what_is_kept(tmp_path: Path) -> None:
    chosen = {"answering": {"choices": ["generate", "choice"]}}

    def searched() -> TrialSpec:
        made = plan(tmp_path, [own(tmp_path)], chosen)
        return made.search_trial("lora", 0, made.default_setting("lora"))

    one = searched()
    rows = (tmp_path / "data.jsonl").read_text(encoding="utf-8")
    (tmp_path / "data.jsonl").write_text(rows.replace("{", '{"price": 1, '), encoding="utf-8")
    other = searched()
    assert one.trial_id != other.trial_id
    assert one.weights_id == other.weights_id


def test_a_column_that_only_a_metric_reads_is_part_of_its_score_alone(tmp_path: Path) -> None:
    first = plan(tmp_path, ["exact_match", own(tmp_path)])
    rows = (tmp_path / "data.jsonl").read_text(encoding="utf-8")
    (tmp_path / "data.jsonl").write_text(rows.replace("{", '{"price": 1, ', 1), encoding="utf-8")
    other = plan(tmp_path, ["exact_match", own(tmp_path)])
    assert first.experiment_id != other.experiment_id
    one, two = finalist(first), finalist(other)
    assert (one.trial_id, one.weights_id) == (two.trial_id, two.weights_id)
    assert asked(one) == asked(two)
    differing = keys(one) ^ keys(two)
    assert differing
    # Only the set that holds the row is scored anew.
    assert len(keys(one) & keys(two)) == len(keys(one)) - len(differing) / 2
    # Without such a metric it is no part of anything.
    plain = plan(tmp_path, ["exact_match"])
    (tmp_path / "data.jsonl").write_text(rows, encoding="utf-8")
    assert plan(tmp_path, ["exact_match"]).experiment_id == plain.experiment_id
    assert replace(plain.sets["test"], path=Path()).columns == ""
