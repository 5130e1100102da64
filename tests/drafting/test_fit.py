"""The number of worked examples in a draft is one that the model has room for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import group
from harness.drafting.answers import Answers, take_default
from harness.drafting.draft import Draft, draft_experiment
from harness.drafting.machine import Machine
from harness.errors import DataError, InputError
from harness.spec import load_experiment
from tests.tiny_model import TinyModels, tiny_models

__all__ = ["tiny_models"]

CPU = Machine("cpu", "float32", 4, 8000.0, 1e11)


def rows(folder: Path) -> Path:
    path = folder / "rows.jsonl"
    texts = [
        {"q": f"Which town is number {n}?", "answer": f"The town of {n * 37 % 101} towers."}
        for n in range(60)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in texts), encoding="utf-8")
    return path


def drafted(folder: Path, most: int, asked: list[int]) -> Draft:
    """A draft for a model that has room for so many worked examples; -1 for none at all."""

    def check(path: Path) -> InputError | None:
        few = load_experiment(path).arms.get("few-shot")
        shots = max(map(int, few.values_of("shots"))) if few else 0
        asked.append(shots)
        return DataError("its prompt is too long") if shots > most else None

    return draft_experiment(
        str(rows(folder)),
        Answers(kind="text"),
        take_default,
        lambda: CPU,
        folder / "e.yaml",
        folder,
        check=check,
    )


@pytest.mark.parametrize(
    ("most", "shots", "asked"),
    [
        (8, [2, 4, 8], [8]),
        (6, [2, 4], [8, 0, 4]),
        (3, [2], [8, 0, 4, 2]),
        (1, [1], [8, 0, 4, 2, 1]),
        (0, [], [8, 0, 4, 2, 1]),
    ],
)
def test_as_many_as_fit(tmp_path: Path, most: int, shots: list[int], asked: list[int]) -> None:
    tried: list[int] = []
    draft = drafted(tmp_path, most, tried)
    assert draft.refusal is None
    assert tried == asked
    found = [arm.values["shots"]["choices"] for arm in draft.sizing.arms.arms if arm.shots]
    assert found == ([shots] if shots else [])
    if not shots:
        assert "longer than the model can read" in draft.sizing.arms.left_out["few-shot"]


def test_what_no_number_of_them_mends_is_told(tmp_path: Path) -> None:
    draft = drafted(tmp_path, -1, [])
    assert str(draft.refusal) == "its prompt is too long"
    assert draft.sizing.arms.most_shots == 8


@pytest.mark.parametrize("measure", ["--measure", "--no-measure"])
def test_a_draft_that_is_refused_says_so(
    tmp_path: Path, tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch, measure: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_models.chat, "model")
    config = Path("model", "config.json")
    known = json.loads(config.read_text("utf-8"))
    # A prompt without any worked example is longer.
    config.write_text(json.dumps(known | {"max_position_embeddings": 24}), encoding="utf-8")
    arguments = ["init", str(rows(tmp_path)), "--yes", "--model", "./model", measure]
    result = CliRunner().invoke(group, arguments)
    assert isinstance(result.exception, InputError), result.output
    assert "is written, but harness check refuses it" in str(result.exception)
    assert "reads 24 in all" in str(result.exception)
    assert "then:" not in result.stdout
    checked = CliRunner().invoke(group, ["check", "experiment.yaml"])
    assert "reads 24 in all" in str(checked.exception)
