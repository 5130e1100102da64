"""What a judge is known by: who it is, what its template is told, and how it is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.data import prepare
from harness.errors import SpecError
from harness.records import ResolvedModel, Runtime, TrialSpec
from harness.study.judges import Judges, kept_here, known_by_weights
from harness.study.make_plan import make_plan
from harness.study.plan import Plan
from tests.fake_trial import experiment
from tests.tiny_model import CHATML, write_model
from tests.untimed import untimed_module

__all__ = ["untimed_module"]
pytestmark = pytest.mark.usefixtures("untimed_module")

MODEL = ResolvedModel("fake", "/fake", "f" * 64)
JUDGE = ResolvedModel("judge", "/judge", "b" * 64)
RUNTIME = Runtime("cpu", "float32", 32)


def plan(folder: Path, judge: dict[str, Any]) -> Plan:
    task = {**experiment(folder).task.model_dump(mode="json", by_alias=True)}
    task["metrics"] = ["exact_match", "judge:kind"]
    declared = {"kind": {"rubric": "Is it kind?", **judge}}
    spec = experiment(folder, task=task, judges=declared)
    models = {} if "endpoint" in judge else {"kind": JUDGE}
    spec = known_by_weights(spec, models)
    made = make_plan(spec, prepare(spec), MODEL, RUNTIME, None, folder / "results")
    return replace(made, judges=Judges(models))


def baseline(folder: Path, judge: dict[str, Any]) -> TrialSpec:
    return plan(folder, judge).baseline()


def told(**args: Any) -> dict[str, Any]:
    return {"model": {"reference": "judge", "chat_template_args": args}}


def test_what_a_local_judges_template_is_told_is_part_of_who_judges(tmp_path: Path) -> None:
    plain, kind, again, brief = (
        baseline(tmp_path, judge)
        for judge in (told(), told(mood="kind"), told(mood="kind"), told(mood="brief"))
    )
    assert kind.judges[0].template_args == {"mood": "kind"}
    assert plain.judges[0].template_args == {}
    assert kind == again
    assert len({spec.judges[0].asked for spec in (plain, kind, brief)}) == 3
    assert len({spec.scores[0].key for spec in (plain, kind, brief)}) == 3
    # What the candidate is asked stays.
    assert len({spec.scores[0].asked for spec in (plain, kind, brief)}) == 1
    assert plain.trial_id == kind.trial_id


@pytest.mark.parametrize(
    ("template", "said"),
    [
        pytest.param(CHATML, "reads no `mood`", id="unread"),
        pytest.param(None, "has no chat template", id="none"),
    ],
)
def test_arguments_that_nothing_reads_are_refused(
    tmp_path: Path, template: str | None, said: str
) -> None:
    found = ResolvedModel("judge", str(write_model(tmp_path / "judge", template)), "b" * 64)
    spec = plan(tmp_path, told(mood="kind")).experiment
    with pytest.raises(SpecError, match=said) as caught:
        Judges().find(spec, lambda _: found)
    assert [problem.where for problem in caught.value.problems] == ["judges.kind.model"]


def test_a_served_judge_is_known_by_how_it_is_asked(tmp_path: Path) -> None:
    server = {"url": "http://localhost:9/v1", "model": "large"}
    plain, told_so, longer, dearer = (
        baseline(tmp_path, {"endpoint": {**server, **terms}, **more})
        for terms, more in (
            ({}, {}),
            ({"chat_template_args": {"mood": "kind"}}, {}),
            ({}, {"max_new_tokens": 128}),
            ({"retries": 1}, {}),
        )
    )
    # What a longer reply is, its request says; who is asked stays.
    assert plain.judges[0].asked == longer.judges[0].asked == dearer.judges[0].asked
    assert told_so.judges[0].asked != plain.judges[0].asked
    assert len({spec.scores[0].key for spec in (plain, told_so, longer)}) == 3
    assert dearer.scores[0].key == plain.scores[0].key


def test_a_cluster_is_told_which_trials_stay_here(tmp_path: Path) -> None:
    endpoint = {"url": "http://localhost:1/v1", "model": "m"}
    for where, stays in (({"endpoint": endpoint}, True), ({"model": "somewhere"}, False)):
        spec = experiment(
            tmp_path,
            task={
                "instruction": "Classify.",
                "answer": {"kind": "label", "column": "label"},
                "metrics": ["exact_match", "judge:kind"],
            },
            judges={"kind": {"rubric": "Is it kind?", **where}},
        )
        assert ("judge kind asks a server" in kept_here(spec)) == stays
