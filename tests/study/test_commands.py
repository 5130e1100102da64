"""What a training command names: which of its words are files, and what of them it is known by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.errors import SpecError
from harness.records import CommandCall, option_of
from harness.spec import CommandArm, load_experiment
from harness.study import commands
from harness.study.commands import find_commands


def experiment_with(arm: dict[str, Any]) -> dict[str, Any]:
    answer = {"kind": "label", "column": "label", "labels": ["yes", "no"]}
    return {
        "name": "own",
        "model": "smollm2-135m-instruct",
        "data": {"source": "data.jsonl"},
        "task": {"instruction": "Yes or no?", "template": "{text}", "answer": answer},
        "arms": {"plain": {"kind": "prompt"}, "theirs": arm},
    }


def found(folder: Path, words: Sequence[str], files: Sequence[str] = ()) -> CommandCall:
    path = folder / "experiment.yaml"
    arm = {"kind": "command", "command": [*words, "{result}"], "files": list(files)}
    path.write_text(yaml.safe_dump(experiment_with(arm)))
    return find_commands(load_experiment(path))["theirs"]


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        place = folder / name / "recipe.yaml"
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)


def test_what_stands_after_an_option_is_a_file_too(tmp_path: Path) -> None:
    write(tmp_path, a="one")
    call = found(tmp_path, ["{python}", "--config=a/recipe.yaml", "--rate=0.1"])
    assert call.words[1:3] == (f"--config={tmp_path}/a/recipe.yaml", "--rate=0.1")
    before = call.identity()
    write(tmp_path, a="another")
    after = found(tmp_path, ["{python}", "--config=a/recipe.yaml", "--rate=0.1"]).identity()
    assert after != before


@pytest.mark.parametrize("as_words", [True, False])
def test_files_that_are_called_alike_are_told_apart(tmp_path: Path, as_words: bool) -> None:
    """Their contents changed places: it is another training."""
    names = ["a/recipe.yaml", "b/recipe.yaml"]

    def identity() -> object:
        call = found(tmp_path, ["{python}", *(names if as_words else [])], names)
        return call.identity()

    write(tmp_path, a="one", b="two")
    before = identity()
    assert identity() == before
    write(tmp_path, a="two", b="one")
    assert identity() != before


def test_where_files_lie_is_no_part_of_it(tmp_path: Path) -> None:
    calls = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        write(tmp_path / place, a="one")
        calls.append(found(tmp_path / place, ["{python}", "--config=a/recipe.yaml"], ["a"]))
    assert calls[0].identity() == calls[1].identity()
    assert calls[0].words != calls[1].words


def test_a_script_where_the_program_was_called_is_not_beside_the_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "train.py").touch()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(SpecError, match=r"there is no file train\.py"):
        found(tmp_path, ["{python}", "train.py"])


def test_a_folder_of_too_many_files_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, a="one", b="two", c="three")
    monkeypatch.setattr(commands, "MOST_FILES", 2)
    monkeypatch.delattr(commands, "file_sha256")
    with pytest.raises(SpecError, match="these are 3 files, where 2 at most"):
        found(tmp_path, ["{python}"], ["a", "b", "c"])


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("--config=a.yaml", ("--config=", "a.yaml")),
        ("config=a=b.yaml", ("config=", "a=b.yaml")),
        ("/data/a=b/c.yaml", ("", "/data/a=b/c.yaml")),
        ("=a", ("", "=a")),
        ("plain", ("", "plain")),
    ],
)
def test_an_option_and_what_it_names(word: str, parts: tuple[str, str]) -> None:
    assert option_of(word) == parts


def test_a_file_with_a_sign_of_equality_in_its_name_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "a=b.yaml").touch()
    arm = CommandArm.model_validate({"kind": "command", "command": ["x", "a=b.yaml", "{result}"]})
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump(experiment_with(arm.model_dump(mode="json"))))
    loaded = load_experiment(path).arms["theirs"]
    assert isinstance(loaded, CommandArm)
    assert loaded.command[1] == str(tmp_path / "a=b.yaml")
