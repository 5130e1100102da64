"""Parquet columns of every type: read as what they mean, or named."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data import Rows, read_examples, read_rows
from harness.errors import DataError

from .tiny import experiment


def read(folder: Path, **columns: Any) -> Rows:
    path = folder / "rows.parquet"
    pq.write_table(pa.table(columns), path)
    return read_rows(str(path))


def values(table: Rows, name: str = "x") -> list[Any]:
    return [row.values[name] for row in table.rows]


DAY = datetime.date(2031, 5, 6)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([b"gr\xc3\xbcn", None]), ["grün", None]),
        (pa.array([0.1, 2, None, 1e-7], pa.float32()), [0.1, 2.0, None, 1e-7]),
        (pa.array([b"a", b"b"], pa.large_binary()), ["a", "b"]),
        (pa.array([b"ab", b"cd"], pa.binary(2)), ["ab", "cd"]),
        (pa.array([b"a", b"b"], pa.binary_view()), ["a", "b"]),
        (pa.array([b"a", b"b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([[b"a"], []]), [["a"], []]),
        (pa.array([{"k": b"a"}, None]), [{"k": "a"}, None]),
        (pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([Decimal("1.50"), Decimal("2.25")]), [1.5, 2.25]),
        (pa.array([Decimal(7), Decimal(10**30)], pa.decimal128(38)), [7, 10**30]),
        (pa.array([Decimal("0.12345678901234567891")]), ["0.12345678901234567891"]),
        (pa.array([DAY]), ["2031-05-06"]),
        (pa.array([datetime.time(4, 5)]), ["04:05:00"]),
        (pa.array([1], pa.timestamp("ns")), ["1970-01-01 00:00:00.000000001"]),
        (pa.array([90], pa.duration("s")), ["0:01:30"]),
        (pa.array([uuid.UUID(int=3).bytes], pa.uuid()), [str(uuid.UUID(int=3))]),
        (pa.array([[("a", 1), ("b", 2)]], pa.map_(pa.string(), pa.int64())), [{"a": 1, "b": 2}]),
        (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
        (pa.array([0.5], pa.float16()), [0.5]),
        (pa.array([None, None], pa.null()), [None, None]),
        (pa.array([{"on": DAY, "at": [Decimal("0.5")]}]), [{"on": "2031-05-06", "at": [0.5]}]),
    ],
)
def test_values(tmp_path: Path, column: Any, expected: list[Any]) -> None:
    table = read(tmp_path, x=column)
    assert values(table) == expected
    assert all(not row.lacking for row in table.rows)


def test_bytes_that_are_no_text_are_named_with_their_row_where_they_are_needed(
    tmp_path: Path,
) -> None:
    labels = pa.array(["a", "b"])
    table = read(tmp_path, text=pa.array([b"fine", b"\xfe\xff"]), label=labels, note=labels)
    assert "no text in UTF-8 (byte 0xfe at 1)" in table.rows[1].lacking["text"]
    path = str(tmp_path / "rows.parquet")
    found = read_examples(path, experiment(path))
    assert [problem.where for problem in found.problems] == [f"{path}:2"]
    assert "column of type binary" in found.problems[0].what
    # Where the column is not used, the row is as good as any.
    answer = {"kind": "text", "column": "label"}
    spec = experiment(path, template="{note}", answer=answer)
    assert len(read_examples(path, spec).examples) == 2


def test_a_map_that_is_no_object_is_named(tmp_path: Path) -> None:
    table = read(tmp_path, x=pa.array([[(1, "a")]], pa.map_(pa.int64(), pa.string())))
    assert "a map whose keys are no texts" in table.rows[0].lacking["x"]


def test_classes_have_the_names_that_the_file_gives_them(tmp_path: Path) -> None:
    import datasets

    classes = datasets.ClassLabel(names=["calm", "rough"])
    features = datasets.Features({
        "text": datasets.Value("string"), "sea": classes, "seas": datasets.Sequence(classes),
        "trip": {"out": classes, "legs": [{"sea": classes}]},
    })  # fmt: skip
    trip = {"out": 1, "legs": [{"sea": 0}, {"sea": 1}]}
    rows = {"text": ["a", "b", "c"], "sea": [1, 0, -1], "seas": [[0, 1], [], [-1]],
            "trip": [trip] * 3}  # fmt: skip
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "rows.parquet")
    table = read_rows(str(tmp_path / "rows.parquet"))
    assert values(table, "sea") == ["rough", "calm", None]
    assert values(table, "seas") == [["calm", "rough"], [], [None]]
    assert values(table, "trip")[0] == {"out": "rough", "legs": [{"sea": "calm"}, {"sea": "rough"}]}
    assert table.notes == ("classes of `sea`, `seas`, `trip` are read by their names",)


def test_a_class_beyond_the_names_and_metadata_of_no_use(tmp_path: Path) -> None:
    names = '{"names": ["calm"], "_type": "ClassLabel"}'
    for told, expected, why in (
        (f'{{"info": {{"features": {{"x": {names}}}}}}}', ["calm", None], "class 1 has no name"),
        ("{broken", [0, 1], ""),
    ):
        table = pa.table({"x": [0, 1]}).replace_schema_metadata({"huggingface": told})
        pq.write_table(table, tmp_path / "rows.parquet")
        found = read_rows(str(tmp_path / "rows.parquet"))
        assert values(found) == expected
        assert why in found.rows[1].lacking.get("x", "")
        assert ("so classes stay numbers" in found.notes[0]) is not why.startswith("class")


def test_pandas_categories(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"x": pd.Categorical(["low", "high", None], ["low", "high"], ordered=True)}
    )
    frame.to_parquet(tmp_path / "rows.parquet")
    assert values(read_rows(str(tmp_path / "rows.parquet"))) == ["low", "high", None]


def test_a_column_whose_name_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"xyzxyz": [1]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"xyzxyz", b"xyz\x80yz"))
    with pytest.raises(DataError, match="not a whole Parquet file"):
        read_rows(str(path))


def test_two_columns_of_one_name_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["x", "x"]), path)
    with pytest.raises(DataError, match="the header names 'x' twice"):
        read_rows(str(path))
