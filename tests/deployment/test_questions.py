"""What a finalist may be asked is what its own arm reads, whatever the study's other arms read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.deployment.predictions import questions_in, questions_of
from harness.errors import DataError, InputError
from harness.export.final_run import FinalRun, find_final_run
from harness.spec import Experiment
from harness.study.run import run_study
from tests.fake_trial import Watching, experiment_values

ARMS = {
    "plain": {"kind": "prompt"},
    "titled": {"kind": "prompt", "template": "{title}: {text}"},
    "tuned": {"kind": "lora", "template": {"choices": ["{text}", "Read: {text}"]}},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two-templates")
    values = experiment_values(folder, arms=ARMS, budget={"trials": 2})
    path = Path(values["data"]["source"])
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = (json.dumps({**row, "title": f"Nr. {n}"}) for n, row in enumerate(rows))
    path.write_text("\n".join(lines), encoding="utf-8")
    run_study(Experiment.model_validate(values), folder / "results", open_with=Watching)
    return folder / "results"


def final(results: Path, arm: str) -> FinalRun:
    return find_final_run(results, None, arm)


@pytest.mark.parametrize("arm", ["plain", "tuned"])
def test_a_text_is_a_row_of_an_arm_of_one_column(results: Path, arm: str) -> None:
    run = final(results, arm)
    for rows in (["Where is it?"], [{"text": "Where is it?"}]):
        (item,) = questions_of(run, rows).items
        assert item.inputs == {"text": "Where is it?"}


def test_an_arm_of_two_columns_needs_both(results: Path) -> None:
    run = final(results, "titled")
    (item,) = questions_of(run, [{"text": "a", "title": "b"}]).items
    assert item.inputs == {"title": "b", "text": "a"}
    with pytest.raises(
        InputError, match="titled reads the columns title, text, so that a text alone"
    ):
        questions_of(run, ["a"])
    with pytest.raises(DataError, match="no column 'title'"):
        questions_of(run, [{"text": "a"}])


def test_a_file_needs_the_columns_of_the_arm(results: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("text\nWhere is it?\n", encoding="utf-8")
    (item,) = questions_in(final(results, "plain"), path).items
    assert item.inputs == {"text": "Where is it?"}
    with pytest.raises(DataError, match="no column 'title'"):
        questions_in(final(results, "titled"), path)
