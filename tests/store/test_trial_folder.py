"""The record on disk: exact, and whole or not at all."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import StoreError
from harness.records import (
    COMMAND_STATE,
    Artifact,
    ItemOutput,
    ItemScore,
    ScoreRecord,
    StepReport,
    TrialRecord,
)
from harness.store import (
    discard_record,
    has_record,
    holds_link,
    quarantine,
    quarantine_record,
    read_record,
    verify_record,
    whole_records,
    write_record,
)
from harness.store.columns import record_hash, take_apart
from harness.store.relocate import relocate_record

from .example_records import failed, score, trial

NUMBER = st.floats(allow_nan=False)
# No experiment holds an infinite setting, and JSON has no word for one.
SETTING = st.floats(allow_nan=False, allow_infinity=False)
FILES = ("trial.json", "item_outputs.parquet", "item_scores.parquet", "SHA256SUMS")


@st.composite
def scores(draw: st.DrawFn, key: str) -> ScoreRecord:
    hashes = draw(st.lists(st.text(), unique=True, max_size=4))
    text = st.text(max_size=8)
    count = st.integers(0, 2**31 - 1)
    return ScoreRecord(
        key=key,
        task=draw(text),
        suite="domain",
        split="test",
        form="base",
        seconds=draw(NUMBER),
        outputs=tuple(
            ItemOutput(
                one, draw(text), draw(text), draw(text), draw(text), draw(count), draw(count)
            )
            for one in hashes
        ),
        item_scores=tuple(
            ItemScore(one, "none", "exact_match", draw(st.none() | NUMBER)) for one in hashes
        ),
        aggregates=draw(st.dictionaries(text, NUMBER, max_size=3)),
        higher_is_better={"exact_match": draw(st.booleans())},
        chance=draw(st.none() | NUMBER),
        latencies=tuple(draw(st.lists(NUMBER, max_size=3))),
    )


@st.composite
def records(draw: st.DrawFn) -> TrialRecord:
    keys = draw(st.lists(st.text(), unique=True, max_size=3))
    plain = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | SETTING | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
        max_leaves=5,
    )
    record = trial(scores=[draw(scores(key)) for key in keys])
    params = draw(st.dictionaries(st.text(max_size=5), plain, max_size=3))
    return replace(
        record,
        spec=replace(record.spec, params=params),
        failure_message=draw(st.text()),
        steps=tuple(
            StepReport(
                n, 9, 0.5, draw(NUMBER), 1e-3, draw(NUMBER), n, 0.0, draw(st.none() | NUMBER)
            )
            for n in range(draw(st.integers(0, 3)))
        ),
    )


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(record=records())
def test_a_record_comes_back_as_it_was(tmp_path: Path, record: TrialRecord) -> None:
    write_record(tmp_path / "t", record)
    back = read_record(tmp_path / "t")
    assert back == record
    assert record_hash(take_apart(back)) == record_hash(take_apart(record))


def test_numbers_that_diverged_come_back(tmp_path: Path) -> None:
    record = failed(trial(scores=[score("k", values=(math.nan, None, 1.0))]), "nan_loss")
    step = StepReport(1, 2, 0.5, math.nan, 1e-3, math.inf, 8, 1.0)
    write_record(tmp_path, replace(record, steps=(step,)))
    back = read_record(tmp_path)
    assert back.steps[0].loss is not None
    assert math.isnan(back.steps[0].loss)
    assert back.steps[0].grad_norm == math.inf
    values = [item.value for item in back.scores[0].item_scores]
    assert values[0] is not None and math.isnan(values[0])
    assert values[1:] == [None, 1.0]


def test_hash_does_not_tell_an_integer_from_the_same_float() -> None:
    record = trial()
    whole = replace(record, steps=(replace(record.steps[0], loss=1),))
    point = replace(record, steps=(replace(record.steps[0], loss=1.0),))
    other = replace(record, steps=(replace(record.steps[0], loss=1.5),))
    assert record_hash(take_apart(whole)) == record_hash(take_apart(point))
    assert record_hash(take_apart(whole)) != record_hash(take_apart(other))


def test_artifacts_stay_and_a_retry_replaces_the_record(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "weights").write_text("weights")
    record = trial(scores=[score("k")])
    write_record(tmp_path, failed(record))
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "record"]


def test_killed_before_the_rename_leaves_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    folder = tmp_path / "t1"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            write_record(folder, trial())
    with pytest.raises(StoreError, match="no record"):
        read_record(folder)
    good, bad = whole_records(tmp_path)
    assert not good
    assert [path for path, _ in bad] == [folder]
    write_record(folder, trial())
    assert whole_records(tmp_path) == ([folder], [])
    assert [path.name for path in folder.iterdir()] == ["record"]


@pytest.mark.parametrize("name", FILES)
def test_an_altered_byte_is_noticed(tmp_path: Path, name: str) -> None:
    write_record(tmp_path, trial(scores=[score("k")]))
    path = tmp_path / "record" / name
    whole = path.read_bytes()
    for position in (0, len(whole) // 3, len(whole) - 1):
        altered = bytearray(whole)
        altered[position] ^= 0x20
        path.write_bytes(altered)
        with pytest.raises(StoreError, match=r"altered|not whole"):
            read_record(tmp_path)
    path.write_bytes(whole[:-5])
    with pytest.raises(StoreError, match="altered"):
        read_record(tmp_path)
    path.unlink()
    with pytest.raises(StoreError, match=r"altered|not whole"):
        read_record(tmp_path)


def test_quarantine_moves_aside_and_says_why(tmp_path: Path) -> None:
    places = []
    for _ in range(2):
        write_record(tmp_path / "t1", trial())
        places.append(quarantine(tmp_path / "t1", "checksum"))
    assert [place.name for place in places] == ["t1", "t1-2"]
    assert (places[0] / "quarantine-reason.txt").read_text() == "checksum\n"
    assert whole_records(tmp_path) == ([], [])
    with pytest.raises(StoreError, match="no such trial folder"):
        quarantine(tmp_path / "t1", "again")


def test_a_record_is_verified_without_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(tmp_path / "t1", trial(scores=[score("k")]))
    with monkeypatch.context() as patch:
        patch.setattr("harness.store.trial_folder.head_from_json", None)
        patch.setattr("harness.store.trial_folder.pq.read_table", None)
        verify_record(tmp_path / "t1")
    for name in FILES:
        path = tmp_path / "t1" / "record" / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(StoreError, match="altered or torn"):
            verify_record(tmp_path / "t1")
        path.write_bytes(whole)
    with pytest.raises(StoreError, match="no record"):
        verify_record(tmp_path / "t2")


def test_a_record_alone_is_quarantined(tmp_path: Path) -> None:
    for count in (1, 2):
        write_record(tmp_path / "t1", trial())
        (tmp_path / "t1" / "weights").write_text("trained")
        place = quarantine_record(tmp_path / "t1", f"torn {count}")
        assert (place / "quarantine-reason.txt").read_text() == f"torn {count}\n"
        assert read_record(place) == trial()
    assert [path.name for path in (tmp_path / "t1").iterdir()] == ["weights"]
    assert sorted(path.name for path in (tmp_path / "quarantine").iterdir()) == ["t1", "t1-2"]


def test_a_discarded_record_is_gone(tmp_path: Path) -> None:
    discard_record(tmp_path)
    write_record(tmp_path, trial())
    (tmp_path / "weights").write_text("trained")
    assert has_record(tmp_path)
    discard_record(tmp_path)
    assert not has_record(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_no_folder_holds_no_records(tmp_path: Path) -> None:
    assert whole_records(tmp_path / "nowhere") == ([], [])


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../other/x.json", "a/../../x", "..", "C:\\x", "\\\\host\\x",
     "a\\..\\..\\b", "x\0.json"],
)  # fmt: skip
def test_a_record_cannot_name_files_outside_its_folder(tmp_path: Path, name: str) -> None:
    write_record(tmp_path / "t", replace(trial(), artifacts=(Artifact(name, "0" * 64, 1),)))
    with pytest.raises(StoreError, match="as a file of its own"):
        read_record(tmp_path / "t")
    whole, others = whole_records(tmp_path)
    assert (whole, [folder.name for folder, _ in others]) == ([], ["t"])


def test_links_that_a_command_keeps_to_go_on_from_are_its_own(tmp_path: Path) -> None:
    state = tmp_path / "t" / COMMAND_STATE
    (state / "checkpoint-10").mkdir(parents=True)
    (state / "latest").symlink_to("checkpoint-10")
    assert not holds_link(tmp_path / "t")
    (state.parent / "result").symlink_to(state)
    assert holds_link(tmp_path / "t")
    (state.parent / "result").unlink()
    state.rename(tmp_path / "elsewhere")
    state.symlink_to(tmp_path / "elsewhere")
    assert holds_link(tmp_path / "t")


def test_files_below_the_folder_are_its_own(tmp_path: Path) -> None:
    record = replace(trial(), artifacts=(Artifact("artifact/a..b.json", "0" * 64, 1),))
    write_record(tmp_path / "t", record)
    assert read_record(tmp_path / "t") == record


@pytest.mark.parametrize("linked", ["t", "t/record", "t/record/trial.json"])
def test_a_record_that_is_a_link_is_not_read(tmp_path: Path, linked: str) -> None:
    write_record(tmp_path / "trials" / "t", trial())
    place = tmp_path / "trials" / linked
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    folder = tmp_path / "trials" / "t"
    assert holds_link(folder)
    with pytest.raises(StoreError, match="a link to elsewhere"):
        read_record(folder)
    before = sorted(tmp_path.glob("elsewhere/**/*"))
    quarantine(folder, "a link")
    assert not folder.is_symlink()
    assert not folder.exists()
    assert sorted(tmp_path.glob("elsewhere/**/*")) == before


def test_a_record_made_elsewhere_keeps_the_way_of_answering_that_it_found(tmp_path: Path) -> None:
    made = trial("t", [score("v", split="validation")], phase="search")
    (request,) = made.spec.scores
    tried = tuple(replace(request, key=way, answering=way) for way in ("generate", "choice"))
    asked = replace(made.spec, params={"answering": ["generate", "choice"]}, scores=tried)
    there = replace(asked, model=replace(asked.model, path="/there"))
    found = replace(
        made, spec=there.settled("choice"), scores=(replace(made.scores[0], key="choice"),)
    )
    write_record(tmp_path, found)
    relocate_record(tmp_path, asked)
    assert read_record(tmp_path).spec == asked.settled("choice")


def test_weights_that_left_no_file_keep_their_size_on_their_way_here(tmp_path: Path) -> None:
    """A classifier is not kept, and weights that were trained elsewhere stay where they lie."""
    made = trial("t", [score("v", split="validation")], phase="search")
    assert made.cost is not None
    write_record(tmp_path, replace(made, artifacts=(), cost=replace(made.cost, artifact_bytes=700)))
    relocate_record(tmp_path, replace(made.spec, model=replace(made.spec.model, path="/here")))
    moved = read_record(tmp_path)
    assert moved.cost is not None
    assert moved.cost.artifact_bytes == 700
