"""What a machine uses in place, what it fetches, and how a trial's files come home."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.engine.ray.arrival import Arrival
from harness.engine.ray.inputs import (
    Input,
    LackingError,
    NodeInputs,
    file_parts,
    gather,
    input_paths,
    remembered_sha256,
)
from harness.evaluation.suites.find import load_suite
from harness.records import (
    CommandCall,
    CommandFile,
    ScoreRequest,
    Seat,
    TrialSpec,
    file_sha256,
)
from tests.engine.contract import trial
from tests.tiny_model import write_suite


class Driver:
    """Gives files by their hash, in small parts, and counts how often."""

    def __init__(self, inputs: Iterable[Input]) -> None:
        self.places = {f.sha256: Path(i.root) / f.name for i in inputs for f in i.files}
        self.asked: Counter[str] = Counter()

    def fetch(self, digest: str) -> Iterable[bytes]:
        self.asked[digest] += 1
        return file_parts(self.places[digest], 5)

    def node(self, *, in_place: bool = True, at_hand: bool = True) -> NodeInputs:
        return NodeInputs(frozenset(self.places if at_hand else ()), self.fetch, in_place)


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[TrialSpec, tuple[Input, ...]]:
    """A trial that reads a file of items, a suite and a model."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "suites").mkdir()
    suite = write_suite(tmp_path / "suites")
    (suite.parent / "tasks" / "rules.py").write_text("LIMIT = 3\n")
    (suite.parent / "another.yaml").write_text("name: another\n")
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"weights" * 100)
    (model / "pytorch_model.bin").write_bytes(b"the same once more")
    (model / "empty.txt").touch()
    spec, _ = trial(tmp_path)
    general = ScoreRequest("k2", "sky", "general", "test", suite_path=str(suite))
    spec = replace(spec, model=replace(spec.model, path=str(model)), scores=(*spec.scores, general))
    return spec, tuple(gather(path, kind) for path, kind in input_paths(spec).items())


def test_all_that_a_trial_reads_is_taken_down(case: tuple[TrialSpec, tuple[Input, ...]]) -> None:
    names = {one.kind: [file.name for file in one.files] for one in case[1]}
    assert names == {
        "file": ["items.parquet"],
        "suite": [
            "tasks/prose.jsonl", "tasks/prose.yaml", "tasks/rules.py", "tasks/sky.jsonl",
            "tasks/sky.yaml", "tiny.yaml",
        ],
        "model": ["config.json", "empty.txt", "model.safetensors"],
    }  # fmt: skip


def test_a_judge_s_model_goes_along(
    case: tuple[TrialSpec, tuple[Input, ...]], tmp_path: Path
) -> None:
    spec = case[0]
    judge = tmp_path / "judge"
    judge.mkdir()
    (judge / "config.json").write_text('{"judge": true}')
    (judge / "model.safetensors").write_bytes(b"taste")
    seat = Seat("kind", "asked", replace(spec.model, path=str(judge)))
    spec = replace(spec, judges=(seat, Seat("away", "asked", None)))
    inputs = tuple(gather(path, kind) for path, kind in input_paths(spec).items())
    there = Driver(inputs).node(in_place=False).localise(spec, inputs).judges
    assert [one.name for one in there] == ["kind", "away"]
    assert there[1].model is None
    assert there[0].model is not None
    assert there[0].model.path != str(judge)
    assert (Path(there[0].model.path) / "model.safetensors").read_bytes() == b"taste"


def test_files_of_a_command_lie_to_one_another_as_they_did(
    case: tuple[TrialSpec, tuple[Input, ...]], tmp_path: Path
) -> None:
    """A script imports what lies beside it, and a program that is named can be run."""
    for name, text in {
        "train.sh": f'#!/bin/sh\nexec "{sys.executable}" "$(dirname "$0")/src/main.py" "$@"\n',
        "src/main.py": "import sys\nfrom lib.rules import LIMIT\nprint(LIMIT, sys.argv[1])\n",
        "src/lib/rules.py": "LIMIT = 3\n",
        "recipe.yaml": "rate: 1\n",
    }.items():
        place = tmp_path / "own" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    files = tuple(
        CommandFile(str(path), path.name, file_sha256(path))
        for path in sorted((tmp_path / "own").rglob("*"))
        if path.is_file()
    )
    words = (f"{tmp_path}/own/train.sh", f"--config={tmp_path}/own/recipe.yaml")
    spec = replace(case[0], command=CommandCall(words, files))
    inputs = tuple(gather(path, kind) for path, kind in input_paths(spec).items())
    here = Driver(inputs).node().localise(spec, inputs).command
    assert here == spec.command
    for _ in range(2):
        there = Driver(inputs).node(in_place=False).localise(spec, inputs).command
        assert there is not None
        assert not any(word.startswith(str(tmp_path / "own")) for word in there.words)
        assert there.identity() == CommandCall(words, files).identity()
        assert all(file.is_as_planned() for file in there.files)
        done = subprocess.run(there.words, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["3", there.words[1]]
        assert Path(there.words[1].partition("=")[2]).read_text() == "rate: 1\n"
        # What was torn is put right.
        Path(there.files[-1].path).write_text("torn")


def test_a_suite_takes_what_it_extends_and_its_mirrors_along(
    case: tuple[TrialSpec, tuple[Input, ...]], tmp_path: Path
) -> None:
    copy = tmp_path / "copies" / "sky" / "test.jsonl"
    copy.parent.mkdir(parents=True)
    copy.write_bytes((tmp_path / "suites" / "tasks" / "sky.jsonl").read_bytes())
    (copy.parent / ".git").mkdir()
    (copy.parent / ".git" / "config").touch()
    suite = tmp_path / "mine" / "mirrored.yaml"
    suite.parent.mkdir()
    suite.write_text(
        "name: mirrored\nextends: ../suites/tiny.yaml\nmirrors: {sky: ../copies/sky}\n"
    )
    request = ScoreRequest("k", "sky", "general", "test", suite_path=str(suite))
    spec = replace(case[0], scores=(request,))
    inputs = tuple(gather(path, kind) for path, kind in input_paths(spec).items())
    (sent,) = (one for one in inputs if one.kind == "suite")
    assert {file.name for file in sent.files} >= {
        "mine/mirrored.yaml", "copies/sky/test.jsonl", "suites/tiny.yaml", "suites/tasks/sky.yaml",
    }  # fmt: skip
    assert not any(".git" in file.name for file in sent.files)
    there = Driver(inputs).node(in_place=False).localise(spec, inputs).scores[0].suite_path
    assert there != str(suite)
    assert load_suite(there).fingerprint == load_suite(suite).fingerprint


def test_the_same_files_are_used_in_place(case: tuple[TrialSpec, tuple[Input, ...]]) -> None:
    spec, inputs = case
    driver = Driver(inputs)
    assert driver.node(at_hand=False).localise(spec, inputs) == spec
    assert not driver.asked


def test_what_is_missing_is_fetched_once(case: tuple[TrialSpec, tuple[Input, ...]]) -> None:
    spec, inputs = case
    driver = Driver(inputs)
    there = driver.node(in_place=False).localise(spec, inputs)
    assert not set(input_paths(there)) & set(input_paths(spec))
    assert list(input_paths(there).values()) == list(input_paths(spec).values())
    for path, kind in input_paths(there).items():
        (sent,) = (one for one in inputs if one.kind == kind)
        assert gather(path, kind).files == sent.files
    assert load_suite(there.scores[1].suite_path).fingerprint == (
        load_suite(spec.scores[1].suite_path).fingerprint
    )
    assert set(driver.asked.values()) == {1}
    assert driver.node(in_place=False, at_hand=False).localise(spec, inputs) == there


def test_another_file_at_the_same_path_is_not_used(
    case: tuple[TrialSpec, tuple[Input, ...]],
) -> None:
    spec, inputs = case
    driver = Driver(inputs)
    weights = Path(spec.model.path) / "model.safetensors"
    sent = hashlib.sha256(weights.read_bytes()).hexdigest()
    weights.write_bytes(b"WEIGHTS" * 100)
    with pytest.raises(LackingError) as lacking:
        driver.node(at_hand=False).localise(spec, inputs)
    assert sent in lacking.value.digests
    assert not driver.asked


def test_a_file_more_makes_another_model(case: tuple[TrialSpec, tuple[Input, ...]]) -> None:
    spec, inputs = case
    (Path(spec.model.path) / "adapter_config.json").write_text("{}")
    there = Driver(inputs).node().localise(spec, inputs)
    assert there.model.path != spec.model.path
    assert there.train_path == spec.train_path


def test_what_arrives_altered_is_refused(case: tuple[TrialSpec, tuple[Input, ...]]) -> None:
    spec, inputs = case
    driver = Driver(inputs)
    node = NodeInputs(frozenset(driver.places), lambda digest: [b"something else"], in_place=False)
    with pytest.raises(OSError, match="arrived altered"):
        node.localise(spec, inputs)
    # And nothing of it is left to be taken for the real one.
    assert driver.node(in_place=False).localise(spec, inputs).model.path != spec.model.path


def test_a_damaged_cache_is_fetched_again(case: tuple[TrialSpec, tuple[Input, ...]]) -> None:
    spec, inputs = case
    node = Driver(inputs).node(in_place=False)
    there = node.localise(spec, inputs)
    (Path(there.model.path) / "model.safetensors").write_bytes(b"torn")
    assert node.localise(spec, inputs) == there
    assert gather(there.model.path, "model").files == gather(spec.model.path, "model").files


def test_the_hash_of_a_large_file_is_remembered_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    large = tmp_path / "large"
    for fill in (b"a", b"b"):
        large.write_bytes(fill * (2**20 + 1 + ord(fill)))
        expected = hashlib.sha256(large.read_bytes()).hexdigest()
        assert [remembered_sha256(large), remembered_sha256(large)] == [expected, expected]
    remembered = list((tmp_path / "cache" / "cluster" / "digests").iterdir())
    assert len(remembered) == 2
    for memory in remembered:
        memory.write_text("from memory")
    assert remembered_sha256(large) == "from memory"


# --------------------------------------------------------------------------- what comes home


def test_files_are_in_place_only_when_all_have_come(tmp_path: Path) -> None:
    arrival = Arrival(tmp_path)
    arrival.add("artifact/weights", 0, b"12345")
    arrival.add("artifact/weights", 5, b"678")
    arrival.add("record/trial.json", 0, b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["arriving"]
    arrival.settle()
    assert (tmp_path / "artifact" / "weights").read_bytes() == b"12345678"
    assert (tmp_path / "record" / "trial.json").read_bytes() == b"{}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifact", "record"]


def test_an_earlier_attempt_is_replaced(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        arrival = Arrival(tmp_path)
        arrival.add("record/trial.json", 0, content)
        arrival.settle()
    torn = Arrival(tmp_path)
    torn.add("record/trial.json", 0, b"thi")
    arrival = Arrival(tmp_path)
    arrival.add("record/trial.json", 0, b"fourth")
    arrival.settle()
    assert (tmp_path / "record" / "trial.json").read_bytes() == b"fourth"


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    arrival = Arrival(tmp_path)
    arrival.add("record/trial.json", 0, b"123")
    with pytest.raises(ValueError, match="at byte 3 is missing"):
        arrival.add("record/trial.json", 4, b"5")
    with pytest.raises(ValueError, match="outside the trial's folder"):
        arrival.add("../elsewhere", 0, b"")
    with pytest.raises(ValueError, match="no record came"):
        Arrival(tmp_path / "other").settle()
    arrival.discard()
    assert list(tmp_path.iterdir()) == []
