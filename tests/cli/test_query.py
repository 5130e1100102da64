"""`harness query` writes what any reader of JSON takes, and commands refuse an empty name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.spec import Experiment
from harness.study.run import run_study
from tests.cli.in_process import good, refused
from tests.fake_trial import Watching, experiment_values


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one finished study of pretended trials."""
    folder = tmp_path_factory.mktemp("asked")
    arms = {"zero-shot": {"kind": "prompt"}, "lora": {"kind": "lora"}}
    values = experiment_values(folder, name="first", arms=arms, budget={"trials": 1})
    run_study(Experiment.model_validate(values), folder / "results", open_with=Watching)
    return folder / "results"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("0.25::DECIMAL(18,5)", 0.25), ("300::DECIMAL(9,2)", 300),
        ("'0.1234567890123456789'::DECIMAL(38,19)", "0.1234567890123456789"),
        ("'nan'::DOUBLE", "NaN"), ("'inf'::DOUBLE", "Infinity"), ("'-inf'::FLOAT", "-Infinity"),
        ("[1.5::DECIMAL(5,1), 'inf'::DOUBLE, NULL]", [1.5, "Infinity", None]),
        ("{'low': 'nan'::DOUBLE}", {"low": "NaN"}),
        ("MAP {DATE '2031-05-06': 2.5::DECIMAL(4,2)}", {"2031-05-06": 2.5}),
        ("DATE '2031-05-06'", "2031-05-06"),
        ("170141183460469231731687303715884105727", 2**127 - 1),
    ],
)  # fmt: skip
def test_query_writes_json_that_every_reader_takes(
    results: Path, value: str, written: object
) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = good("query", f"SELECT {value} AS x", "--results", results, "--format", "json")
    assert json.loads(text, parse_constant=refuse) == {"x": written}


def test_query_does_not_lose_columns_of_one_name(results: Path) -> None:
    sql = "SELECT a.arm, b.arm, a.seed FROM trials a JOIN trials b USING (trial_id) LIMIT 1"
    header, *_ = good("query", sql, "--results", results, "--format", "csv").splitlines()
    assert header == "arm,arm,seed"
    said = refused("query", sql, "--results", results, "--format", "json")
    assert said.startswith("several columns are called 'arm', ")
    assert "name them apart with AS" in said
    apart = sql.replace("b.arm", "b.arm AS other")
    assert set(json.loads(good("query", apart, "--results", results, "--format", "json"))) == {
        "arm", "other", "seed",
    }  # fmt: skip


@pytest.mark.parametrize(
    "command", [("report",), ("status",), ("watch",), ("rm",), ("compare", "first"), ("ask",)]
)
def test_an_empty_name_of_a_study_is_refused(results: Path, command: tuple[str, ...]) -> None:
    said = refused(*command, "", "--results", results)
    assert said.startswith("the name of the study is empty; give a name or the start of an id.")
    assert "first (" in said
