"""A stored study that today's rules refuse is named with its reason, not met as a fault."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from harness.errors import InputError
from harness.review.declared import declared
from harness.review.studies import load_study
from harness.store import StoreReader
from harness.study.run import StudyRun, run_study
from tests.fake_trial import Watching, experiment


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> StudyRun:
    folder = tmp_path_factory.mktemp("study")
    spec = experiment(folder, general=None, budget={"trials": 1})
    return run_study(spec, folder / "results", open_with=Watching)


def with_template(spec: dict[str, Any]) -> dict[str, Any]:
    return spec | {"task": spec["task"] | {"template": "{text} {label}"}}


def test_a_study_is_declared_as_it_was_written(done: StudyRun) -> None:
    (record,) = StoreReader(done.store).experiments()
    assert declared(record).plain() == record.spec
    old = replace(record, spec=with_template(dict(record.spec)))
    with pytest.raises(InputError, match=r"rules that this version no longer has.*\{label\}"):
        declared(old)


def test_a_report_on_a_study_that_is_refused_says_why(done: StudyRun, tmp_path: Path) -> None:
    path = tmp_path / "harness.duckdb"
    path.write_bytes(done.store.read_bytes())
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "UPDATE experiment SET spec = json_merge_patch(spec, ?)",
            ['{"task": {"template": "{text} {label}"}}'],
        )
    with pytest.raises(InputError, match="was declared under rules"):
        load_study(tmp_path, done.experiment_id)
