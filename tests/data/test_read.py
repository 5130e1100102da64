"""Sources: every kind is read alike, and what cannot be read is located."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import packaged_data
from harness.data import read_rows
from harness.errors import DataError, UnknownReferenceError
from harness.packaged_data import PackagedRow

from .tiny import write_jsonl


def test_jsonl_csv_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    rows = [{"text": "one, two", "label": "a"}, {"text": "line\nbreak", "label": "b"}]
    jsonl = write_jsonl(tmp_path / "rows.jsonl", rows)
    table = tmp_path / "rows.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(rows)
    parquet = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    for path in (jsonl, table, parquet):
        read = read_rows(str(path))
        assert [row.values for row in read.rows] == rows
        assert read.columns == ("text", "label")
        assert read.problems == ()


def test_jsonl_problems_are_located_and_reading_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"text": "good"}\n'
        b'{"text": "cut\n'
        b"[1, 2]\n"
        b"\n"
        b'{"text": "caf\xe9"}\n'
        b'{"text": NaN}\n'
        b'{"text": "\xe2\x80\xa8 is no line break"}\n'
    )
    read = read_rows(str(path))
    assert [row.line for row in read.rows] == [1, 7]
    assert [problem.where for problem in read.problems] == [f"{path}:{n}" for n in (2, 3, 5, 6)]
    whats = [problem.what for problem in read.problems]
    assert "not valid JSON" in whats[0]
    assert "not a list" in whats[1]
    assert "byte 0xe9 at byte 14" in whats[2]
    assert "NaN" in whats[3]


def test_csv_lines_are_physical_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'text,label\r\n"two\r\nlines",a\r\nshort\r\n"x",b\r\ncaf\xe9,c\r\nlast,d\r\n')
    read = read_rows(str(path))
    assert [(row.line, row.values["label"]) for row in read.rows] == [(2, "a"), (5, "b"), (7, "d")]
    assert read.rows[0].values["text"] == "two\r\nlines"
    assert [problem.where for problem in read.problems] == [f"{path}:4", f"{path}:6"]
    assert "1 fields where the header has 2" in read.problems[0].what
    assert "0xe9" in read.problems[1].what


def test_csv_quote_that_never_closes_is_told_where_it_opens(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('text,label\nfine,a\n"open,b\nmore,c\n')
    read = read_rows(str(path))
    assert len(read.rows) == 1
    assert [problem.where for problem in read.problems] == [f"{path}:3"]
    assert "never closed" in read.problems[0].what


def test_csv_fields_may_be_long_and_the_limit_is_put_back(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "x" * 300_000 + ",a\n")
    assert len(read_rows(str(path)).rows[0].values["text"]) == 300_000
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("rows.txt", b"x", "cannot be read"),
        ("rows.jsonl", b"\n", "holds no rows"),
        ("rows.csv", b"text,label\n", "holds no rows"),
        ("rows.csv", b"text,text\na,b\n", "twice"),
        ("rows.parquet", b"PAR1 cut", "not a whole Parquet file"),
    ],
)
def test_whole_file_errors(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=what) as caught:
        read_rows(str(path))
    assert caught.value.problems[0].where.startswith(str(path))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_rows(str(tmp_path / "none.jsonl"))


def test_packaged_source(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(name: str) -> tuple[PackagedRow, ...]:
        assert name == "tweets"
        return (PackagedRow(3, {"text": "hi"}),)

    monkeypatch.setattr("harness.data.read.packaged_rows", rows)
    read = read_rows("packaged:tweets")
    assert [(row.line, row.values) for row in read.rows] == [(3, {"text": "hi"})]


def test_unknown_packaged_source_names_the_known_ones() -> None:
    with pytest.raises(UnknownReferenceError, match="did you mean 'tweets'") as caught:
        read_rows("packaged:tweet")
    assert all(name in str(caught.value) for name in packaged_data.DATA_SETS)


def test_hub_source_names_class_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    loaded = datasets.Dataset.from_dict(
        {"text": ["a", "b", "c"], "label": [1, 0, -1]}, features=features
    )
    asked: list[tuple[str, str]] = []

    def load(name: str, *, split: str) -> object:
        asked.append((name, split))
        return loaded

    monkeypatch.setattr(datasets, "load_dataset", load)
    read = read_rows("hub:some/set:validation")
    assert asked == [("some/set", "validation")]
    assert [row.values["label"] for row in read.rows] == ["yes", "no", None]


def test_hub_failure_says_what_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def load(name: str, *, split: str) -> object:
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(DataError, match=r"no route.*hub can be reached"):
        read_rows("hub:some/set")


def test_values_keep_their_json_types(tmp_path: Path) -> None:
    row = {"n": 3, "x": 1.5, "b": True, "none": None, "nested": {"a": [1]}}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row))
    assert read_rows(str(path)).rows[0].values == row
