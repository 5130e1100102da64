"""The report as JSON: complete, unrounded, and as its page says."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.report.formats.json import plain, report_json
from tools.report_reference import json_reference

from .example_study import findings, no_findings, study, undecided, unfinished_study

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
PAGE = Path(__file__).parents[2] / "docs" / "report-json.md"
START, END = "<!-- fields:start -->\n", "<!-- fields:end -->"


def test_it_holds_the_findings_and_the_settings_unrounded() -> None:
    whole = json.loads(report_json(study(), findings(), now=NOW))
    assert list(whole) == ["schema", "harness", "written", "experiment", "finalists", "findings"]
    assert whole["schema"] == "harness.report/1"
    assert whole["written"] == "2026-01-02T03:04:00+00:00"
    primary = findings().primary
    assert primary is not None
    assert whole["findings"]["primary"]["interval"]["low"] == primary.interval.low
    assert whole["findings"]["arms"][3]["params"]["learning_rate"] == 0.0004731
    assert whole["experiment"]["spec"] == study().experiment.spec
    trial = next(one for one in whole["finalists"] if one["arm"] == "lora")
    assert trial["trial_id"] == "lora-finalist-0-1"
    assert trial["artifacts"][1]["path"] == "artifact/adapter_model.safetensors"
    for field in dataclasses.fields(findings()):
        assert field.name in whole["findings"]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null(number: float) -> None:
    whole = findings()
    assert whole.primary is not None
    changed = dataclasses.replace(whole, primary=dataclasses.replace(whole.primary, mean_a=number))
    text = report_json(study(), changed, now=NOW)
    assert json.loads(text)["findings"]["primary"]["mean_a"] is None
    assert "NaN" not in text and "Infinity" not in text


def test_gaps_are_null_and_what_is_no_data_is_refused() -> None:
    whole = json.loads(report_json(unfinished_study(), no_findings(), now=NOW))
    assert whole["findings"]["primary"] is None and whole["finalists"] == []
    assert json.loads(report_json(study(), undecided()))["findings"]["arms"][0]["test"] is None
    with pytest.raises(TypeError, match="PosixPath has no form in JSON"):
        plain({"path": Path("x")})


def test_the_page_says_what_it_holds() -> None:
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    _, after = rest.split(END)
    wanted = f"{before}{START}{json_reference()}{END}{after}"
    if os.environ.get("HARNESS_WRITE_GOLDEN"):
        PAGE.write_text(wanted, encoding="utf-8")
    assert wanted == PAGE.read_text(encoding="utf-8"), "run this test with HARNESS_WRITE_GOLDEN=1"
