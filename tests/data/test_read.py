"""Sources: every kind is read alike, and what cannot be read is located."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data import read_rows
from harness.data.encoding import guess_encoding
from harness.errors import DataError, UnknownReferenceError
from harness.packaged import data_sets as packaged_data
from harness.packaged.data_sets import PackagedRow

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
    assert [problem.where for problem in read.problems] == [f"{path}:3", f"{path}:4"]
    assert "never closed" in read.problems[0].what
    assert read.problems[1].what == "lost to the quote that is open since line 3"


def test_rows_that_an_open_quote_runs_over_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('text,label\nfine,a\n"open, oops\nb,y\nc,y\nd,"z"\ne,z\n')
    read = read_rows(str(path))
    assert [row.line for row in read.rows] == [2, 7]
    assert [problem.where for problem in read.problems] == [f"{path}:{n}" for n in (3, 4, 5, 6)]


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


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_separator_is_the_one_that_divides_rows_as_the_header(
    tmp_path: Path, mark: str
) -> None:
    others = " and ".join({",", ";", "|", "\t"} - {mark})
    path = tmp_path / ("rows.tsv" if mark == "\t" else "rows.csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=mark)
        writer.writerows([("text", "label"), (f"one {others} two", "a"), ("plain", "b")])
    read = read_rows(str(path))
    assert read.columns == ("text", "label")
    assert [row.values["label"] for row in read.rows] == ["a", "b"]


def test_a_header_without_a_separator_is_one_column(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text\nhello\nwell, yes\n")
    read = read_rows(str(path))
    assert read.columns == ("text",)
    assert [problem.where for problem in read.problems] == [f"{path}:3"]
    assert "quotes around fields that hold commas" in read.problems[0].what


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16", "utf-8"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_encodings_that_are_named(tmp_path: Path, encoding: str, name: str) -> None:
    path = tmp_path / name
    content = "text,label\nGrüße,a\n" if name == "rows.csv" else '{"text": "Grüße", "label": "a"}\n'
    path.write_bytes(content.encode(encoding))
    (row,) = read_rows(str(path), encoding).rows
    assert row.values == {"text": "Grüße", "label": "a"}


def test_encodings_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("text,label\nGrüße,a\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"is UTF-16, not UTF-8; set data\.encoding"):
        read_rows(str(path))
    path.write_bytes(b"text,label\nx,a\n\x81,b\n")
    with pytest.raises(DataError, match=r"rows.csv:3: byte 0x81 is not windows-1252"):
        read_rows(str(path), "windows-1252")


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"plain", "utf-8"),
        ("Grüße\nÉté\nbad".encode() + b"\xe9", "utf-8"),
        ("Grüße\nÉté".encode("cp1252"), "windows-1252"),
        (b"\x81\xe9", "latin-1"),
        ("x".encode("utf-16"), "utf-16"),
        ("Grüße\n".encode("utf-32"), "utf-32"),
        ("Grüße\n".encode("utf-16-be"), "utf-16-be"),
        ("Grüße\n".encode("utf-16-le"), "utf-16-le"),
    ],
)
def test_the_encoding_is_guessed(content: bytes, encoding: str) -> None:
    assert guess_encoding(content).encoding == encoding


def test_a_json_file_is_a_list_of_objects_or_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"text": "a"},\n 3,\n {"text": "b"}]')
    read = read_rows(str(path))
    assert [(row.line, row.values["text"]) for row in read.rows] == [(1, "a"), (3, "b")]
    assert "each element must be an object, not a number" in read.problems[0].what
    path.write_text('{"text": "a"}\n{"text": "b"}\n')
    assert len(read_rows(str(path)).rows) == 2


def test_conversations_become_columns(tmp_path: Path) -> None:
    def turn(role: str, content: str) -> dict[str, str]:
        return {"role": role, "content": content}

    rows = [
        {"messages": [turn("system", "Be brief."), turn("user", "Hi?"), turn("assistant", "Yes.")]},
        {
            "messages": [
                turn("user", "One"),
                turn("assistant", "Two"),
                {"from": "human", "value": "Three"},
                {"from": "gpt", "value": "Four"},
            ]
        },
        {"messages": [turn("user", "Nobody answers")]},
        {"messages": "none"},
    ]
    read = read_rows(str(write_jsonl(tmp_path / "rows.jsonl", rows)))
    parts = ("messages_prompt", "messages_response", "messages_system")
    assert read.columns == ("messages", *parts)
    assert [tuple(row.values.get(part) for part in parts) for row in read.rows] == [
        ("Hi?", "Yes.", "Be brief."),
        ("User: One\n\nAssistant: Two\n\nUser: Three", "Four", ""),
        ("Nobody answers", None, ""),
        (None, None, None),
    ]


@pytest.mark.parametrize(
    ("lines", "mark"),
    [
        (["sep=;", "text;label", "x, y;a", "z;b"], ";"),
        (['"sep=,"', "text,label", '"x, y",a', "z,b"], ","),
        (["SEP=\t", "text\tlabel", "x, y\ta", "z\tb"], "\t"),
        (["sep=^", "text^label", "x, y^a", "z^b"], "^"),
        (["text;label;;", "x, y;a;;", ";;;", "z;b;;", ";;;"], ";"),
        (["text;label;;", "x, y;a", "z;b"], ";"),
        (["text;label", "x, y;a;;", "z;b;;;"], ";"),
        ([";;", "", "text;label; ", "x, y;a;", "z;b; "], ";"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_spreadsheets_leave_in_a_table(
    tmp_path: Path, lines: list[str], mark: str, encoding: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("\r\n".join(lines).encode(encoding))
    read = read_rows(str(path), encoding.removesuffix("-sig"))
    assert (read.columns, read.problems) == (("text", "label"), ())
    assert [row.values for row in read.rows] == [
        {"text": "x, y", "label": "a"}, {"text": "z", "label": "b"}]  # fmt: skip
    assert [lines[row.line - 1].rstrip(f"{mark} ")[-1] for row in read.rows] == ["a", "b"]


def test_a_column_without_a_name_but_with_values_gets_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,,, \nx,a,,\ny,,,\n")
    read = read_rows(str(path))
    assert read.columns == ("text", "column 2")
    assert [row.values["column 2"] for row in read.rows] == ["a", ""]
    assert read.notes == ("a column without a name is called `column 2`",)


def test_more_values_than_names_are_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label,\nx,a,\ny,b,,c\nz\n")
    read = read_rows(str(path))
    assert [problem.where for problem in read.problems] == [f"{path}:3", f"{path}:4"]


def test_an_instruction_stands_with_its_input_where_there_is_one(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Name it.", "input": "A knot."},
        {"instruction": "Tie it.", "input": ""},
        {"instruction": "Tie it.", "input": None},
        {"instruction": "Cut it."},
        {"instruction": " ", "input": "A knot."},
        {"instruction": "Name it.", "input": ["A knot."]},
    ]
    read = read_rows(str(write_jsonl(tmp_path / "rows.jsonl", rows)))
    assert [row.values.get("instruction_input") for row in read.rows] == [
        "Name it.\n\nA knot.", "Tie it.", "Tie it.", "Cut it.", None, None]  # fmt: skip
    assert [row.lacking.get("instruction_input") for row in read.rows[4:]] == [
        "instruction: the text is missing; fill it in", "input: holds no text"]  # fmt: skip
