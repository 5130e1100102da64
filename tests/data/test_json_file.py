"""JSON files: whatever holds the rows, they are the same rows, and what is broken is located."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.data import Rows, read_rows
from harness.errors import DataError

ROWS = [{"text": f"ship {n}\u2028docks", "berth": "east" if n % 2 else "west"} for n in range(5)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def read(folder: Path, content: str, name: str = "rows.json") -> Rows:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return read_rows(str(path))


def values(table: Rows) -> list[dict[str, Any]]:
    assert table.problems == ()
    return [row.values for row in table.rows]


AS_THEY_ARE = {
    "a list": json.dumps(ROWS),
    "a list over lines": json.dumps(ROWS, indent=2),
    "one a line": LINES,
    "over lines": "\n".join(json.dumps(row, indent=1) for row in ROWS),
    "glued": "".join(map(json.dumps, ROWS)),
    "with commas between": ",\n".join(map(json.dumps, ROWS)),
    "as texts": "".join(json.dumps(json.dumps(row)) + "\n" for row in ROWS),
    "with escapes": json.dumps(ROWS, ensure_ascii=False),
}
IN_ONE_OBJECT = {
    "under a name": (json.dumps({"version": 3, "data": ROWS}), "list under `data`"),
    "deeper": (json.dumps({"meta": {"n": 5}, "out": {"rows": ROWS}}, indent=1),
               "list under `out.rows`"),
    "lists by name": (json.dumps({k: [row[k] for row in ROWS] for k in ROWS[0]}),
                      "names are the columns"),
    "pandas columns": (pd.DataFrame(ROWS).to_json(), "names are the columns"),
    "pandas index": (pd.DataFrame(ROWS).to_json(orient="index"), "each of its values is a row"),
    "pandas split": (pd.DataFrame(ROWS).to_json(orient="split"), "under `data`"),
    "pandas table": (pd.DataFrame(ROWS).to_json(orient="table", index=False), "under `data`"),
}  # fmt: skip


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
@pytest.mark.parametrize("case", AS_THEY_ARE)
def test_rows_as_they_are(tmp_path: Path, case: str, name: str) -> None:
    table = read(tmp_path, AS_THEY_ARE[case], name)
    assert values(table) == ROWS
    assert table.notes == ()
    assert len({row.line for row in table.rows}) == len(ROWS)


@pytest.mark.parametrize("case", IN_ONE_OBJECT)
def test_rows_in_one_object_and_where_they_stand(tmp_path: Path, case: str) -> None:
    content, note = IN_ONE_OBJECT[case]
    for name in ("rows.json", "rows.jsonl"):
        table = read(tmp_path, content, name)
        assert values(table) == ROWS
        assert note in table.notes[0]


def test_rows_by_their_own_names_keep_them(tmp_path: Path) -> None:
    table = read(tmp_path, json.dumps({f"ship-{n}": row for n, row in enumerate(ROWS)}))
    assert values(table) == [{"key": f"ship-{n}", **row} for n, row in enumerate(ROWS)]


def test_lines_of_rows_that_have_some(tmp_path: Path) -> None:
    table = read(tmp_path, "\n\n" + json.dumps(ROWS, indent=1))
    assert [row.line for row in table.rows] == [4, 8, 12, 16, 20]
    table = read(tmp_path, "\n".join(json.dumps(row, indent=1) for row in ROWS))
    assert [row.line for row in table.rows] == [1, 5, 9, 13, 17]
    assert [row.line for row in read(tmp_path, json.dumps(ROWS)).rows] == [1, 2, 3, 4, 5]


def test_one_object_that_is_a_row(tmp_path: Path) -> None:
    row = {"text": "x", "crew": [{"n": 1}, {"n": 2}], "meta": {"a": {"b": 1}}}
    assert values(read(tmp_path, json.dumps(row), "rows.jsonl")) == [row]
    turns = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}
    (found,) = values(read(tmp_path, json.dumps(turns)))
    assert found["messages_response"] == "y"


def test_several_lists_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"under `train` \(5\) and `test` \(2\); save the list"):
        read(tmp_path, json.dumps({"train": ROWS, "test": ROWS[:2]}))


def test_a_broken_object_among_others_is_one_problem(tmp_path: Path) -> None:
    pretty = [json.dumps(row, indent=1) for row in ROWS]
    pretty[1] = pretty[1].replace('"east"', "east")
    table = read(tmp_path, "\n".join(pretty))
    assert [row.values["text"][:6] for row in table.rows] == [
        "ship 0",
        "ship 2",
        "ship 3",
        "ship 4",
    ]
    (problem,) = table.problems
    assert problem.where.endswith("rows.json:7")
    assert "not valid JSON: Expecting value" in problem.what


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (json.dumps(ROWS, indent=1)[:-20], 20, "not valid JSON"),
        (json.dumps(ROWS, indent=1).replace("},", "}", 1), 6, "a comma or the end of the list"),
        (json.dumps(ROWS, indent=1) + "\n{", 23, "more stands after the end of the list"),
        ("[" * 100_000, 1, "not valid JSON"),
    ],
)
def test_a_broken_list_is_told_where(tmp_path: Path, content: str, line: int, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        read(tmp_path, content)
    assert caught.value.problems[0].where.endswith(f"rows.json:{line}")


def test_a_constant_that_json_has_not_is_a_problem_of_its_row(tmp_path: Path) -> None:
    rows = [{**row, "length": float("nan") if n == 2 else n} for n, row in enumerate(ROWS)]
    for content in (json.dumps(rows), "".join(json.dumps(row) + "\n" for row in rows)):
        table = read(tmp_path, content)
        assert len(table.rows) == 4
        assert [p.where.rpartition(":")[2] for p in table.problems] == ["3"]
        assert "NaN is not JSON" in table.problems[0].what


def task(number: int, *said: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "data": ROWS[number], "annotations": [{"result": list(said)}]}


def choice(*chosen: str) -> dict[str, Any]:
    return {"from_name": "tide", "type": "choices", "value": {"choices": list(chosen)}}


def test_annotations_of_label_studio_are_columns(tmp_path: Path) -> None:
    stars = {"from_name": "stars", "type": "rating", "value": {"rating": 4}}
    box = {"from_name": "stars", "type": "rectanglelabels", "value": {"x": 1}}
    tasks = [task(0, choice("high"), stars), task(1, choice("low", "high"), box), task(2), task(3)]
    tasks[3]["annotations"] = [{"result": [choice(name)]} for name in ("low", "high")]
    tasks.append(task(4, choice("low")))
    tasks[4]["annotations"].append({"result": [choice("high")], "was_cancelled": True})
    table = read(tmp_path, json.dumps(tasks))
    assert table.columns == ("text", "berth", "tide", "stars")
    assert [row.values.get("tide") for row in table.rows] == [
        "high", ["low", "high"], None, None, "low"]  # fmt: skip
    assert table.rows[0].values["stars"] == 4
    assert "type rectanglelabels cannot be read" in table.rows[1].lacking["stars"]
    assert "no annotator answered" in table.rows[2].lacking["tide"]
    assert "annotators say 'high' and 'low'" in table.rows[3].lacking["tide"]
    assert "export of Label Studio" in table.notes[0]


def test_a_broken_object_over_many_lines_is_one_problem(tmp_path: Path) -> None:
    content = json.dumps({"data": ROWS}, indent=1).replace('"east"', "east", 1)
    (problem,) = read(tmp_path, content).problems
    assert problem.where.endswith("rows.json:9")


def test_a_field_that_stands_twice_is_a_problem_of_its_row(tmp_path: Path) -> None:
    table = read(tmp_path, LINES + '{"text": "x", "text": "y"}\n')
    assert len(table.rows) == len(ROWS)
    (problem,) = table.problems
    assert problem.where.endswith("rows.json:6")
    assert "the field 'text' stands twice" in problem.what


@pytest.mark.parametrize(
    "wrapped",
    [
        json.dumps(
            {"hits": {"hits": [{"_id": f"x{n}", "_source": r} for n, r in enumerate(ROWS)]}}
        ),
        json.dumps({"rows": [{"at": n, "row": r, "cut": []} for n, r in enumerate(ROWS)]}),
        "\n".join(json.dumps({"data": row}) for row in ROWS),
    ],
)
def test_fields_that_stand_in_an_object_of_their_own(tmp_path: Path, wrapped: str) -> None:
    found = read(tmp_path, wrapped)
    assert [{k: row.values[k] for k in ROWS[0]} for row in found.rows] == ROWS
    assert "the fields of each row stand under" in found.notes[-1]


@pytest.mark.parametrize(
    "row",
    [
        {"note": "Two crates at noon", "data": {"crates": 2}},
        {"note": "木箱二つ", "data": {"crates": 2}},
        {"text": "crates", "data": {"crates": 2}},
        {"id": 3, "data": {"id": 4}},
        {"data": {"crates": 2}, "berths": ["a", "b"]},
    ],
)
def test_an_object_beside_a_text_is_a_value(tmp_path: Path, row: dict[str, Any]) -> None:
    assert values(read(tmp_path, f"{json.dumps(row)}\n" * 3)) == [row] * 3


def test_lists_of_different_lengths_are_no_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"of different lengths .`text` 3, `berth` 2.*each row"):
        read(tmp_path, json.dumps({"text": ["a", "b", "c"], "berth": ["east", "west"]}))
