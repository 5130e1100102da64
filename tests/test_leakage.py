"""The leakage audit on its way from the data into the store, and back into the findings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.whole_study import analyse
from harness.data import Prepared, with_general
from harness.evaluation.suites.texts import SuiteTexts
from harness.spec import Experiment
from harness.store import StoreReader
from harness.study.observer import Observer
from harness.study.record import experiment_record
from harness.study.run import plan_study, run_study
from tests.data_records import by_kind
from tests.fake_trial import Watching, experiment, write_data
from tests.untimed import untimed_module

__all__ = ["untimed_module"]
pytestmark = pytest.mark.usefixtures("untimed_module")

PROMPT = "The capital of Germany is"


def spec(folder: Path, **changes: Any) -> Experiment:
    return experiment(folder, general={"limit": 12, "search_limit": 0}, **changes)


def split_files(folder: Path) -> dict[str, Any]:
    """Files of which training holds a general prompt, and eight words of the first test row."""
    rows = write_data(folder / "rows.jsonl", 90).read_text(encoding="utf-8").splitlines()
    parts = {"train": rows[:40], "validation": rows[40:60], "test": rows[60:]}
    eight = " ".join(json.loads(rows[60])["text"].split()[:8])
    for text in (PROMPT, f"{eight} and then something else of quite another kind"):
        parts["train"].append(json.dumps({"text": text, "label": "praise"}))
    for name, lines in parts.items():
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = {name: str(folder / f"{name}.jsonl") for name in ("validation", "test")}
    return {"source": str(folder / "train.jsonl"), "splits": files}


def test_the_audit_is_stored_and_its_items_are_left_out(tmp_path: Path) -> None:
    made = spec(tmp_path, data=split_files(tmp_path))
    done = run_study(made, tmp_path / "results", open_with=Watching)
    study = StoreReader(done.store).study(done.experiment_id)
    audit = study.experiment.data.audit
    assert audit.flagged["test"] == by_kind(ngram=["test:1"])
    assert audit.general["mini_capitals"] == by_kind(exact=["capitals-001"])
    assert {pair.kind: pair.longest_run for pair in audit.strongest} == {
        "exact": 5,
        "ngram": 8,
    }
    primary = analyse(study, resamples=200).primary
    assert primary is not None
    assert primary.without_flagged is not None
    assert (primary.items, primary.flagged, primary.without_flagged.items) == (30, 1, 29)


def test_the_audit_is_no_part_of_the_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    class Listening(Observer):
        def warning(self, text: str) -> None:
            said.append(text)

    made = spec(tmp_path)
    whole = plan_study(made, tmp_path / "results")
    monkeypatch.setattr(
        "harness.study.run.suite_texts", lambda *_: SuiteTexts({}, {"mini_sums": "OSError: away"})
    )
    blind = plan_study(made, tmp_path / "results", Listening())
    assert blind.experiment_id == whole.experiment_id
    assert experiment_record(blind).data.audit.general_not_audited == ("mini_sums",)
    assert experiment_record(whole).data.audit.general_not_audited == ()
    assert [text for text in said if "mini_sums was not audited for leakage" in text]


def test_adding_the_general_audit_changes_nothing_else(tmp_path: Path) -> None:
    plain = plan_study(experiment(tmp_path), tmp_path / "results").prepared
    told: Prepared = with_general(plain, {"facts": [("f", PROMPT)]}, ["far"])
    assert replace(told, general=None, general_not_audited=()) == plain
