"""Data files as exports, editors and broken disks may leave them."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from lab.fuzz.experiments import TEXTS, VALUES, damaged_bytes, damaged_text

ROWS: list[dict[str, Any]] = [
    {
        "id": f"r{number}",
        "group": number % 6,
        "text": f"word{number} thing{number * 7} was {'fine' if number % 2 else 'poor'} enough",
        "label": "good" if number % 2 else "bad",
    }
    for number in range(24)
]
KINDS = ("csv", "jsonl", "parquet")
_PLAIN_VALUES = [one for one in VALUES if not isinstance(one, bytes | set)]


def as_csv(rows: list[dict[str, Any]]) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, ["id", "group", "text", "label"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def as_jsonl(rows: list[dict[Any, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _turns(row: dict[Any, Any]) -> list[dict[str, Any]]:
    return [
        {"role": "developer", "content": [{"type": "text", "text": str(row.get("id"))}]},
        {"role": "user", "content": row.get("text")},
        {"role": "assistant", "content": None, "tool_calls": [row.get("group")]},
        {"from": "gpt", "value": row.get("label")},
    ]


# Other forms of a JSON file, and of what its rows hold.
SHAPES: tuple[Callable[[list[dict[Any, Any]]], str], ...] = (
    json.dumps,
    lambda rows: json.dumps(rows, indent=1),
    lambda rows: json.dumps({"data": {"rows": rows}}),
    lambda rows: json.dumps({"data": rows, "more": rows}),
    lambda rows: json.dumps(dict(enumerate(rows))),
    lambda rows: json.dumps({k: {n: row.get(k) for n, row in enumerate(rows)} for k in rows[0]}),
    lambda rows: json.dumps({"columns": list(rows[0]), "data": [[*row.values()] for row in rows]}),
    lambda rows: "".join(json.dumps(row, indent=1) for row in rows),
    lambda rows: as_jsonl([{**row, "messages": _turns(row)} for row in rows]),
    lambda rows: as_jsonl([{**row, "talk": json.dumps(_turns(row))} for row in rows]),
    lambda rows: as_jsonl([{"prompt": _turns(r)[:2], "completion": _turns(r)[2:]} for r in rows]),
    lambda rows: json.dumps([{"data": row, "annotations": [{"result": _turns(row)}]}
                             for row in rows]),
    lambda rows: as_jsonl([{**row, "label": f"```json\n{json.dumps(row)}\n```"} for row in rows]),
    lambda rows: as_jsonl([{**row, "label": repr(row)} for row in rows]),
    lambda rows: as_jsonl([{**row, "instruction": row.get("id"), "input": row.get("text")}
                           for row in rows]),
)  # fmt: skip


def as_parquet(rows: list[dict[str, Any]], **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, **options)
    return sink.getvalue()


def plain(kind: str) -> bytes:
    """The undamaged file."""
    match kind:
        case "csv":
            return as_csv(ROWS).encode()
        case "jsonl":
            return as_jsonl(ROWS).encode()
        case _:
            return as_parquet(ROWS)


@st.composite
def data_files(draw: st.DrawFn, kind: str) -> bytes:
    """A file of the kind, with rows, cells or bytes changed."""
    if draw(st.integers(0, 24)) == 0:
        return draw(st.sampled_from(STRANGE))
    rows: list[dict[Any, Any]] = [dict(row) for row in ROWS]
    for _ in range(draw(st.integers(0, 3))):
        row = draw(st.sampled_from(rows))
        name = draw(st.sampled_from(("id", "group", "text", "label")))
        cells = st.sampled_from(TEXTS) | st.text(max_size=12) | st.sampled_from(_PLAIN_VALUES)
        match draw(st.integers(0, 5)):
            case 0:
                row.pop(name, None)
            case 1:
                row[draw(st.sampled_from(TEXTS))] = "more"
            case 2:
                rows.append(dict(row))
            case _:
                row[name] = draw(cells)
    match kind:
        case "csv":
            return draw(damaged_text(as_csv(rows)))
        case "jsonl":
            text = as_jsonl(rows)
            if draw(st.integers(0, 4)) == 0:
                text = draw(st.sampled_from(SHAPES))(rows)
            if draw(st.integers(0, 4)) == 0:
                text = draw(st.sampled_from(STRANGE_LINES)) + text
            return draw(damaged_text(text))
        case _:
            return draw(damaged_bytes(_table(draw, rows)))


def _table(draw: st.DrawFn, rows: list[dict[Any, Any]]) -> bytes:
    options: dict[str, Any] = draw(
        st.sampled_from(
            (
                {},
                {"compression": "zstd"},
                {"compression": "gzip", "use_dictionary": False},
                {"data_page_version": "2.0", "write_statistics": False},
            )
        )
    )
    if draw(st.integers(0, 2)) == 0:
        return draw(st.sampled_from(ODD_TABLES))
    try:
        return as_parquet(rows, **options)
    except (pa.ArrowException, UnicodeEncodeError, TypeError, OverflowError):
        # Values that no one column can hold.
        return as_parquet(ROWS, **options)


def _odd_tables() -> tuple[bytes, ...]:
    """Whole Parquet files whose columns are not of text."""
    size = len(ROWS)
    texts = [row["text"] for row in ROWS]
    labels: list[Any] = [row["label"] for row in ROWS]
    found = []
    for column in (
        pa.array([b"\xff\x00"] * size),
        pa.array([10**14] * size, pa.timestamp("ns")),
        pa.array([2**62] * size, pa.timestamp("us")),
        pa.array([2**30] * size, pa.date32()),
        pa.array([-(2**62)] * size, pa.duration("s")),
        pa.array([None] * size, pa.null()),
        pa.array([float("nan")] * size),
        pa.array([[1, [2]][:1]] * size),
        pa.array([{"a": {"b": "c"}}] * size),
        pa.array([[("k", "v"), ("k", "w")]] * size, pa.map_(pa.string(), pa.string())),
        pa.array(labels).dictionary_encode(),
        pa.array([1] * size, pa.decimal128(38, 10)),
        pa.array([b"good", b"\xff"] * (size // 2)).dictionary_encode(),
        pa.array([[b"\xff"]] * size),
        pa.array([[(1, "v")]] * size, pa.map_(pa.int64(), pa.string())),
        pa.array([uuid.UUID(int=1).bytes] * size, pa.uuid()),
        pa.array([2**64 - 1] * size, pa.uint64()),
        pa.array([0.5] * size, pa.float16()),
    ):
        for name in ("label", "text", "id", "group"):
            columns = {"id": [row["id"] for row in ROWS], "group": labels, "text": texts,
                       "label": labels, name: column}  # fmt: skip
            sink = io.BytesIO()
            pq.write_table(pa.table(columns), sink)
            found.append(sink.getvalue())
    twice = pa.table([texts, labels, labels], names=["text", "label", "label"])
    for table in (twice, pa.table({}), pa.table({"text": pa.array([], pa.string())})):
        sink = io.BytesIO()
        pq.write_table(table, sink)
        found.append(sink.getvalue())
    return tuple(found)


ODD_TABLES = _odd_tables()
STRANGE = (
    b"", b"\n\n\n", b"\x00" * 4096, b"\xff\xfe", b"\xef\xbb\xbf", b"PAR1", b"PAR1PAR1",
    b"PAR1" + b"\xff" * 40 + b"PAR1", b"\x1f\x8b\x08\x00", b"PK\x03\x04", b"text\n", b"text,label",
    b"text,label\n", b"text,text\na,b\n", b",\n,\n", b"\r\r\r", b'"', b'text,label\n"a', b"[]",
    b"{}", b"[1]\n" * 50, b"null\n", b'{"text": "a", "text": "b", "label": "c"}\n' * 9,
    b"text,label\n" + b"a" * 3_000_000 + b",b\n", b"text,label\n" + b'"\n' * 5_000,
    b"sep=;\n", b"sep=", b"sep=;\ntext;label\na;b\n", b",,,\ntext,,,\na,b,,\n", b"{}{}{}",
    b"[{},{}",
    b'{"a": [{"b": 1}], "c": [{"b": 1}]}', b'[[{"role": "user"}]]', b'"{}"', b"[NaN]", b"NaN",
    b"text,label\n" + b"," * 200_000, b"id,group,text,label\n" + b"1,1,same words here,good\n" * 40,
    ",".join(f"c{n}" for n in range(20_000)).encode() + b"\n1\n",
    b"id,group,text,label\n" + "".join(f"{n},g,w{n} v{n},good\n" for n in range(30)).encode(),
)  # fmt: skip
STRANGE_LINES = (
    "[" * 100_000 + "\n", '{"a": ' * 3_000 + "\n", '{"text": "\\ud800", "label": "good"}\n',
    '{"text": ' + "[" * 500 + "]" * 500 + ', "label": "good"}\n', '{"text": 1e999}\n',
    '{"text": NaN, "label": Infinity}\n', '{"n": ' + "9" * 10_000 + "}\n", "\x00\n", "\ufeff{}\n",
    '{"text": "a", "label": {"label": "good"}}\n', '{"label": "{\\"label\\": \\"good\\"}"}\n',
)  # fmt: skip
