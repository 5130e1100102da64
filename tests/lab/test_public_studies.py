"""The studies of the gallery: written from what the authors publish, and valid."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from harness.data import prepare
from harness.errors import InputError
from harness.spec import load_experiment
from lab.public_studies import INTENTS, STUDIES, write_study
from tests.lab.published import write_pubmedqa


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A few rows of each data set, in the files and shapes in which their authors have them."""
    folder = tmp_path / "published"
    bank = folder / "banking_data"
    bank.mkdir(parents=True)
    with (bank / "train.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "category"])
        rows.writerows([f"where is card w{n} x{n}?", f"intent_{n % 7}"] for n in range(80))
    for number, intent in enumerate(INTENTS):
        said = [
            {"data": [{"text": f"do {number} with "}, {"text": f"thing{n}", "entity": "what"}]}
            for n in range(40)
        ]
        path = folder / intent / f"train_{intent}_full.json"
        path.parent.mkdir()
        path.write_text(json.dumps({intent: said}), encoding="utf-8")
    write_pubmedqa(folder)
    return folder


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_valid_and_written_alike(name: str, published: Path, tmp_path: Path) -> None:
    path = write_study(name, published, tmp_path / "out")
    text = path.read_text("utf-8")
    assert text.startswith(f"# Data: github.com/{STUDIES[name].origin}, ")
    spec = load_experiment(path)
    assert spec.name == name
    prepared = prepare(spec)
    assert not prepared.dropped
    assert all(prepared.counts[split] for split in ("train", "validation", "test"))
    assert write_study(name, published, tmp_path / "out").read_text("utf-8") == text


def test_the_slots_of_a_request_are_its_answer(published: Path, tmp_path: Path) -> None:
    write_study("snips", published, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "snips.jsonl").read_text().splitlines()]
    assert {"text": "do 2 with thing3",
            "answer": {"intent": "GetWeather", "slots": {"what": "thing3"}}} in rows  # fmt: skip
    assert len(rows) == 280


@pytest.mark.parametrize("name", STUDIES)
def test_a_folder_without_the_files_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .* in it or below"):
        write_study(name, tmp_path, tmp_path / "out")
