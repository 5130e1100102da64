"""Preparation as a whole: policies, split files, out-of-domain sets, fingerprint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data import (
    Prepared,
    audit_record,
    fingerprint,
    prepare,
    read_examples_file,
    write_examples,
)
from harness.data.label_notes import few_of_a_label, label_notes
from harness.errors import DataError
from harness.records import Example, from_json, to_json
from harness.spec import Experiment
from tests.real_data import write_banking77

from .tiny import LABEL, RATING_SCHEMA, experiment, words, write_jsonl


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [
        {"key": f"k{n}", "text": words(n * 10, 10), "label": "ab"[n % 2], "who": f"w{n // 2}"}
        for n in range(start, start + count)
    ]


def all_of(prepared: Prepared) -> list[Example]:
    splits = prepared.splits
    return [*splits.train, *splits.validation, *splits.test]


def test_shares_groups_counts_and_distribution(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", rows(100))
    prepared = prepare(experiment(path, id="key", group="who"))
    assert sum(prepared.counts.values()) == 100
    for name, share in (("train", 60), ("validation", 15), ("test", 25)):
        assert abs(prepared.counts[name] - share) <= 2
    groups = [
        {e.group for e in split}
        for split in (prepared.splits.train, prepared.splits.validation, prepared.splits.test)
    ]
    assert sum(map(len, groups)) == 50
    assert prepared.groups["train"] == len(groups[0])
    total = sum(prepared.answers[name]["label"]["a"] for name in prepared.answers)
    assert total == 50
    assert prepared.labels == ("a", "b")
    assert prepared.dropped == ()
    assert from_json(Prepared, to_json(prepared)) == prepared


def test_row_order_is_no_matter_with_an_id(tmp_path: Path) -> None:
    values = rows(40)
    once = prepare(experiment(write_jsonl(tmp_path / "a.jsonl", values), id="key"))
    again = prepare(experiment(write_jsonl(tmp_path / "b.jsonl", values[::-1]), id="key"))
    assert once.fingerprint == again.fingerprint
    assert [e.id for e in all_of(once)] == [e.id for e in all_of(again)]
    other = prepare(experiment(tmp_path / "a.jsonl", id="key", seed=1))
    assert other.fingerprint != once.fingerprint


def test_bad_rows_stop_with_all_of_them_or_are_dropped_and_told(tmp_path: Path) -> None:
    values: list[object] = [*rows(40), {"text": "", "label": "a"}, [1], {"text": "no label"}]
    path = write_jsonl(tmp_path / "rows.jsonl", values)
    where = [f"{path}:{line}" for line in (41, 42, 43)]
    with pytest.raises(DataError) as caught:
        prepare(experiment(path))
    first, *located = caught.value.problems
    assert first.where == "data.bad_rows"
    assert first.what.startswith("3 row(s) cannot be used")
    assert [problem.where for problem in located] == where
    prepared = prepare(experiment(path, bad_rows="drop"))
    assert [problem.where for problem in prepared.dropped] == where
    assert sum(prepared.counts.values()) == 40


def test_problems_of_all_files_come_together(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", [*rows(10), [1]])
    test = write_jsonl(tmp_path / "test.jsonl", [{"txt": "x", "label": "a"}])
    missing = tmp_path / "missing.csv"
    with pytest.raises(DataError) as caught:
        prepare(experiment(train, splits={"test": str(test)}, out_of_domain={"far": str(missing)}))
    places = {problem.where.partition(":")[0] for problem in caught.value.problems}
    assert places == {"data.bad_rows", str(train), str(test), str(missing)}


def test_split_files_keep_their_division(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", rows(20))
    validation = write_jsonl(tmp_path / "validation.jsonl", rows(6, 100))
    test = write_jsonl(tmp_path / "test.jsonl", rows(8, 200))
    files = {"validation": str(validation), "test": str(test)}
    prepared = prepare(experiment(train, splits=files))
    assert prepared.counts == {"train": 20, "validation": 6, "test": 8}
    assert {e.id for e in prepared.splits.test} == {f"test:{n}" for n in range(1, 9)}
    assert len({e.id for e in all_of(prepared)}) == 34
    carved = prepare(experiment(train, splits={"test": str(test), "validation_share": 0.25}))
    assert carved.counts == {"train": 15, "validation": 5, "test": 8}


def test_an_id_in_two_split_files_is_a_problem(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", rows(20))
    other = [{**row, "key": row["key"].replace("k100", "k3")} for row in rows(4, 100)]
    test = write_jsonl(tmp_path / "test.jsonl", other)
    with pytest.raises(DataError, match=f"'k3' stands already in {train}:4"):
        prepare(experiment(train, id="key", splits={"test": str(test)}))


def test_rows_that_were_left_out_are_named_where_too_few_are_left(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [{**row, "key": "same"} for row in rows(6)])
    with pytest.raises(DataError) as caught:
        prepare(experiment(path, id="key", bad_rows="drop"))
    first, *others = map(str, caught.value.problems)
    assert "would be empty: 1 example(s)" in first
    assert len(others) == 5
    assert all("key: id 'same' stands already on line 1" in other for other in others)


@pytest.mark.parametrize("leaks", ["drop", "report", "stop"])
def test_leak_policies(tmp_path: Path, leaks: str) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", rows(20))
    leaked = [{"text": words(0, 10).upper(), "label": "a"}, *rows(5, 100)]
    test = write_jsonl(tmp_path / "test.jsonl", leaked)
    validation = write_jsonl(tmp_path / "validation.jsonl", rows(5, 200))
    files = {"validation": str(validation), "test": str(test)}
    setting = experiment(train, splits=files, leaks=leaks)
    if leaks == "stop":
        with pytest.raises(DataError) as caught:
            prepare(setting)
        (problem,) = caught.value.problems
        assert problem.where == f"{train}:1"
        assert f"({test}:1)" in problem.what
        return
    prepared = prepare(setting)
    assert prepared.audit.flagged["test"]["exact"] == 1
    assert prepared.counts["train"] == (19 if leaks == "drop" else 20)
    assert prepared.audit.dropped == (("train:1",) if leaks == "drop" else ())


def test_what_is_in_force_is_what_was_not_dropped(tmp_path: Path) -> None:
    shared = words(5000, 10)
    twice = {"text": f"{words(0, 10)} {shared}", "label": "a"}
    train = [twice, {"text": f"{words(6000, 30)} {shared}", "label": "b"}, *rows(20, 300)]
    files = {
        "validation": str(write_jsonl(tmp_path / "validation.jsonl", rows(5, 200))),
        "test": str(write_jsonl(tmp_path / "test.jsonl", [twice, rows(1, 300)[0], *rows(5, 100)])),
    }
    source = write_jsonl(tmp_path / "train.jsonl", train)
    prepared = prepare(experiment(source, splits=files, leaks="drop"))
    assert prepared.audit.dropped
    assert prepared.audit.flagged["test"] == {"exact": 2, "near": 0, "ngram": 0}
    # The first lost its copy in training and still shares ten words with another example.
    assert prepared.remaining.flagged["test"] == {"exact": 0, "near": 0, "ngram": 1}
    assert prepared.remaining.flagged_ids("test") == {"test:1"}
    (pair,) = prepared.remaining.pairs
    assert (pair.seen_id, pair.longest_run) == ("train:2", 10)
    reported = prepare(experiment(source, splits=files, leaks="report"))
    assert reported.remaining == reported.audit


def test_items_dropped_later_are_not_in_force(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", rows(20))
    strange = {"text": words(0, 10) + " and more", "label": "z"}
    test = write_jsonl(tmp_path / "test.jsonl", [strange, *rows(5, 100)])
    validation = write_jsonl(tmp_path / "validation.jsonl", rows(5, 200))
    files = {"validation": str(validation), "test": str(test)}
    prepared = prepare(experiment(train, splits=files, bad_rows="drop", leaks="report"))
    assert prepared.audit.flagged_ids("test") == {"test:1"}
    assert prepared.remaining.flagged_ids("test") == frozenset()


def test_duplicates_join_groups_which_straddle_no_split(tmp_path: Path) -> None:
    values = rows(80)
    # w0 .. w9 each repeat a text of w30 .. w39: the two customers become one group.
    values += [{**values[60 + 2 * n], "key": f"copy{n}", "who": f"w{n}"} for n in range(10)]
    prepared = prepare(experiment(write_jsonl(tmp_path / "r.jsonl", values), id="key", group="who"))
    splits = prepared.splits
    homes = [{e.group for e in part} for part in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, homes)) == len(set.union(*homes)) == 30
    whole = {str(row["key"]): str(row["who"]) for row in values}
    customers = [
        {whole[e.id] for e in part} for part in (splits.train, splits.validation, splits.test)
    ]
    assert sum(map(len, customers)) == len(set.union(*customers)) == 40
    assert all(n == 0 for kinds in prepared.audit.flagged.values() for n in kinds.values())
    assert audit_record(prepared).shared_groups == {"validation": 0, "test": 0}


def test_a_group_that_split_files_tear_apart_is_counted(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", rows(20))
    customers = ("w0", "w0", "w3", "other")
    test = [{**row, "who": who} for row, who in zip(rows(4, 200), customers, strict=True)]
    files = {"test": str(write_jsonl(tmp_path / "test.jsonl", test)), "validation_share": 0.2}
    prepared = prepare(experiment(train, splits=files, group="who"))
    in_train = {e.group for e in prepared.splits.train}
    expected = len({"w0", "w3"} & in_train)
    assert audit_record(prepared).shared_groups == {"validation": 0, "test": expected}


def test_training_set_that_leaks_whole_is_an_error(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", rows(5))
    validation = write_jsonl(tmp_path / "validation.jsonl", rows(5, 200))
    files = {"validation": str(validation), "test": str(train)}
    with pytest.raises(DataError, match="all 5 training examples"):
        prepare(experiment(train, splits=files))


def test_label_that_training_never_shows(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", rows(20))
    test = write_jsonl(tmp_path / "test.jsonl", [*rows(5, 100), {"text": "new", "label": "z"}])
    splits = {"test": str(test)}
    with pytest.raises(DataError) as caught:
        prepare(experiment(train, splits=splits))
    summary, problem = caught.value.problems
    assert summary.where == "data.bad_rows"
    assert problem.where == f"{test}:6"
    assert "'z' in test never occurs in training" in problem.what
    prepared = prepare(experiment(train, splits=splits, bad_rows="drop"))
    assert prepared.counts["test"] == 5
    assert [p.where for p in prepared.dropped] == [f"{test}:6"]
    declared = {**LABEL, "labels": ["a", "b", "z"]}
    assert prepare(experiment(train, splits=splits, answer=declared)).counts["test"] == 6


def labelled(path: Path, labels: Sequence[object], start: int = 0) -> Path:
    return write_jsonl(
        path,
        [{"text": words((start + n) * 10, 10), "label": label} for n, label in enumerate(labels)],
    )


def test_one_number_is_one_label_in_all_files(tmp_path: Path) -> None:
    train = labelled(tmp_path / "train.jsonl", [3, 4] * 10)
    test = labelled(tmp_path / "test.jsonl", [3.0, "4.00", "3"] * 2, 50)
    prepared = prepare(experiment(train, splits={"test": str(test)}))
    assert prepared.labels == ("3", "4")
    assert prepared.answers["test"]["label"] == {"3": 4, "4": 2}
    assert prepared.spellings == {"3": ("3.0",), "4": ("4.00",)}
    assert from_json(Prepared, to_json(prepared)) == prepared
    assert [note.split(" in the data")[0] for note in label_notes(prepared)] == ["'3.0'", "'4.00'"]
    listed = {**LABEL, "labels": ["4.0", "3.0"]}
    declared = prepare(experiment(train, splits={"test": str(test)}, answer=listed))
    assert declared.labels == ("4.0", "3.0")
    assert declared.spellings == {"3.0": ("3",), "4.0": ("4", "4.00")}


def test_versions_and_mixed_columns_keep_their_labels(tmp_path: Path) -> None:
    for labels in (["1.0", "1.1", "1.10", "1"], ["1", "1.0", "one"]):
        prepared = prepare(experiment(labelled(tmp_path / "rows.jsonl", labels * 10)))
        assert prepared.labels == tuple(sorted(labels))
        assert prepared.spellings == {}


def test_labels_are_composed_and_told(tmp_path: Path) -> None:
    path = labelled(
        tmp_path / "rows.jsonl", ["m\u00e9tro", "me\u0301tro\u200b", "\u00a0bus ", "Bus"] * 8
    )
    prepared = prepare(experiment(path))
    assert prepared.labels == ("Bus", "bus", "m\u00e9tro")
    assert prepared.spellings == {"m\u00e9tro": ("me\u0301tro\u200b",)}
    spelt, alike = label_notes(prepared)
    assert spelt == "'me\\u0301tro\\u200b' in the data is read as the label 'm\u00e9tro'"
    assert "'Bus' (8 rows) and 'bus' (8 rows) differ only in case or signs" in alike


def test_labels_that_hardly_occur_in_the_parts_that_judge_are_told_once(tmp_path: Path) -> None:
    train = labelled(tmp_path / "train.jsonl", ["a", "b", "c"] * 10)
    few = labelled(tmp_path / "few.jsonl", ["a"] * 8 + ["b"] * 4, 50)
    many = labelled(tmp_path / "many.jsonl", ["a", "b", "c"] * 5, 80)
    splits = {"validation": str(few), "test": str(many)}
    (note,) = few_of_a_label(prepare(experiment(train, splits=splits)))
    assert note.startswith(
        "labels with fewer than 5 rows: 2 of 3 in validation (fewest 'c', 0); what is said"
    )
    splits = {"validation": str(many), "test": str(many)}
    assert not list(few_of_a_label(prepare(experiment(train, splits=splits))))


@pytest.mark.parametrize(
    ("labels", "groups"),
    [
        (["^^", "vv"], 0),
        ([";)", ";("], 1),
        (["B", "B+", "B-"], 0),
        (["-1", "1"], 0),
        (["true", "True"], 1),
    ],
)
def test_labels_alike_are_told_and_no_others(
    tmp_path: Path, labels: list[str], groups: int
) -> None:
    prepared = prepare(experiment(labelled(tmp_path / "rows.jsonl", labels * 15)))
    assert len(list(label_notes(prepared))) == groups


def test_values_alike_of_a_closed_field_are_told(tmp_path: Path) -> None:
    moods = {"mood": {"enum": ["good", "Good", "bad"]}}
    answer = {
        "kind": "json",
        "schema": {"type": "object", "properties": moods},
        "columns": {"mood": "label"},
    }
    path = labelled(tmp_path / "rows.jsonl", ["good", "Good", "bad"] * 10)
    (note,) = label_notes(prepare(experiment(path, answer=answer)))
    assert "the values of `mood` " in note
    assert "'good' (10 rows)" in note
    assert "'Good' (10 rows)" in note
    assert "differ only in case or signs" in note


def test_out_of_domain_sets_are_limited_and_audited(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", rows(60))
    far = write_jsonl(tmp_path / "far.jsonl", rows(30, 500))
    limits = {"train": 10, "out_of_domain": 7}
    setting = experiment(path, out_of_domain={"far": str(far)}, limits=limits)
    prepared = prepare(setting)
    assert prepared.counts["far"] == len(prepared.splits.out_of_domain["far"]) == 7
    assert prepared.counts["train"] == 10
    assert (prepared.available["train"], prepared.available["far"]) == (36, 30)
    assert prepared.audit.flagged["far"] == {"exact": 0, "near": 0, "ngram": 0}
    with pytest.raises(ValueError, match="cannot be called 'test'"):
        experiment(path, out_of_domain={"test": str(far)})


def test_distribution_of_closed_json_fields(tmp_path: Path) -> None:
    values = [
        {"text": words(n * 10, 10), "answer": {"stars": n % 3, "mood": "good"}} for n in range(30)
    ]
    path = write_jsonl(tmp_path / "rows.jsonl", values)
    answer = {"kind": "json", "column": "answer", "schema": RATING_SCHEMA}
    prepared = prepare(experiment(path, answer=answer))
    assert prepared.labels is None
    moods = [prepared.answers[name]["mood"]["good"] for name in prepared.counts]
    assert moods == list(prepared.counts.values())
    assert sum(sum(prepared.answers[n]["stars"].values()) for n in prepared.counts) == 30


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(
    st.lists(
        st.builds(
            Example,
            id=TEXTS,
            inputs=st.dictionaries(TEXTS, TEXTS, max_size=3),
            answer=TEXTS,
            group=TEXTS,
            line=st.integers(0, 2**40),
        ),
        max_size=6,
    )
)
def test_examples_round_trip(tmp_path_factory: pytest.TempPathFactory, made: list[Example]) -> None:
    path = tmp_path_factory.mktemp("examples") / "deep" / "train.parquet"
    write_examples(path, made)
    back = read_examples_file(path)
    assert back == tuple(made)
    assert [list(e.inputs) for e in back] == [list(e.inputs) for e in made]
    assert [entry.name for entry in path.parent.iterdir()] == ["train.parquet"]


def test_examples_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with pytest.raises(DataError, match="not a file of examples"):
        read_examples_file(path)
    path.write_text(json.dumps({}))
    with pytest.raises(DataError, match="not a file of examples"):
        read_examples_file(path)


def test_fingerprint_sees_every_part_and_the_order() -> None:
    one, two = Example("1", {"a": "x"}, "y", "g", 1), Example("2", {"a": "x"}, "y", "g", 2)
    prints = {
        fingerprint(splits)
        for splits in (
            {"train": [one, two]},
            {"train": [two, one]},
            {"train": [one], "test": [two]},
            {"train": [Example("1", {"a": "z"}, "y", "g", 1), two]},
            {"train": [Example("1", {"a": "x"}, "z", "g", 1), two]},
            {"train": [Example("1", {"a": "x"}, "y", "h", 1), two]},
        )
    }
    assert len(prints) == 6
    assert fingerprint({"a": [one], "b": [two]}) == fingerprint({"b": [two], "a": [one]})


@pytest.mark.real_data
def test_banking77_split_files(shared_data: Path, tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    write_banking77(shared_data, train)
    written = write_banking77(shared_data, test, part="test")
    setting = experiment(
        train,
        answer={"kind": "label", "column": "category"},
        splits={"test": str(test)},
        limits={"train": 300},
    )
    prepared = prepare(setting)
    assert prepared.counts["test"] == written
    assert prepared.counts["train"] + len(prepared.audit.dropped) == 300
    assert prepared.labels is not None
    assert len(prepared.labels) == 12
    assert prepare(setting) == prepared


def test_what_an_arm_was_trained_on_is_looked_for_whatever_its_answers_are(tmp_path: Path) -> None:
    """Rows of another label scheme, or without an answer, are compared; bad ones are counted."""
    source = write_jsonl(tmp_path / "rows.jsonl", rows(40))
    theirs = [{"text": row["text"], "label": "elsewhere"} for row in rows(20)]
    theirs += [{"text": row["text"]} for row in rows(40)[20:]]
    trained_on = write_jsonl(tmp_path / "theirs.jsonl", [*theirs, {"text": None}])
    spec = experiment(source)
    arm = {"kind": "trained", "path": "adapter", "trained_on": str(trained_on)}
    asked = Experiment.model_validate({**spec.plain(), "arms": {"theirs": arm}})
    prepared = prepare(asked)
    found = prepared.brought["theirs"]
    assert set(found.flagged["test"]["exact"]) == {item.id for item in prepared.splits.test}
    assert found.unread == 1
    assert any(
        "1 row that theirs was trained on elsewhere could not be" in n for n in prepared.notes
    )


def written_as(count: int, start: int, spelling: Any) -> list[dict[str, Any]]:
    return [{**row, "who": spelling(n % 8)} for n, row in enumerate(rows(count, start))]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{}", "{}.0"),
        ("c{}", "C{}"),
        ("Müller {}", "MÜLLER {}"),
        ("{}", "{}.00"),
        ("Acme {}", "Acme\u00a0  {}"),
        ("shop {}", "ｓｈｏｐ {}"),
    ],
)
def test_a_group_is_one_however_it_is_written(tmp_path: Path, one: str, other: str) -> None:
    mixed = [
        {**row, "who": (one if n % 2 else other).format(n // 2 % 10)}
        for n, row in enumerate(rows(60))
    ]
    prepared = prepare(experiment(write_jsonl(tmp_path / "a.jsonl", mixed), id="key", group="who"))
    assert sum(prepared.groups.values()) == 10
    assert not any(audit_record(prepared).shared_groups.values())
    (note,) = [note for note in prepared.notes if "data.group" in note]
    assert "10 groups written in several ways" in note
    train = write_jsonl(tmp_path / "train.jsonl", written_as(40, 0, one.format))
    test = write_jsonl(tmp_path / "test.jsonl", written_as(16, 40, other.format))
    prepared = prepare(experiment(train, id="key", group="who", splits={"test": str(test)}))
    assert audit_record(prepared).shared_groups["test"] > 0


def test_rows_of_their_own_are_not_joined_by_how_their_ids_are_written(tmp_path: Path) -> None:
    values = [{**row, "key": f"{'kK'[n % 2]}{n // 2}"} for n, row in enumerate(rows(40))]
    prepared = prepare(experiment(write_jsonl(tmp_path / "a.jsonl", values), id="key"))
    assert sum(prepared.groups.values()) == 40
