"""Versions of the store, and the words that explain its columns."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import duckdb
import pytest

from harness.errors import StoreError
from harness.store import StoreReader, StoreWriter
from harness.store.schema import LAYOUT, TABLES

from .example_records import NOW, example_store, experiment

HARNESS = Path(__file__).parents[2] / "harness"


def test_a_new_store_notes_its_version_once(tmp_path: Path) -> None:
    StoreWriter(tmp_path / "s.duckdb", now=lambda: NOW)
    StoreWriter(tmp_path / "s.duckdb", now=lambda: "2030-01-01T00:00:00+00:00")
    result = StoreReader(tmp_path / "s.duckdb").query("FROM schema_version")
    assert result.rows == ((1, LAYOUT, NOW),)


@pytest.mark.parametrize("version", [0, 2, 4])
def test_a_store_of_another_version_is_refused_by_both_sides(tmp_path: Path, version: int) -> None:
    path = tmp_path / "s.duckdb"
    example_store(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE schema_version SET version = ?", [version])
    for opening in (lambda: StoreWriter(path), StoreReader(path).experiments):
        with pytest.raises(StoreError, match=rf"has version {version}, .*name another folder"):
            opening()
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM trial").fetchone() == (4,)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE schema_version SET layout = 'of last week'",
        "ALTER TABLE schema_version DROP COLUMN layout",
    ],
)
def test_a_store_with_other_tables_is_refused_by_both_sides(tmp_path: Path, change: str) -> None:
    path = tmp_path / "s.duckdb"
    example_store(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(change)
    for opening in (lambda: StoreWriter(path), StoreReader(path).experiments):
        with pytest.raises(StoreError, match=r"whose tables are others.*name another folder"):
            opening()


def test_files_that_are_not_stores_are_refused(tmp_path: Path) -> None:
    stranger = tmp_path / "other.duckdb"
    with duckdb.connect(str(stranger)) as connection:
        connection.execute("CREATE TABLE sales (a INTEGER)")
    with pytest.raises(StoreError, match="it holds sales"):
        StoreWriter(stranger)
    with pytest.raises(StoreError, match="not a store"):
        StoreReader(stranger).experiments()
    empty = tmp_path / "empty.duckdb"
    duckdb.connect(str(empty)).close()
    with pytest.raises(StoreError, match=r"the store is empty.*run it again"):
        StoreReader(empty).experiments()
    garbage = tmp_path / "garbage.duckdb"
    garbage.write_bytes(b"garbage" * 1000)
    for opening in (lambda: StoreWriter(garbage), StoreReader(garbage).experiments):
        with pytest.raises(StoreError, match="cannot be opened"):
            opening()


def test_every_column_has_a_comment(tmp_path: Path) -> None:
    StoreWriter(tmp_path / "s.duckdb").declare(experiment())
    columns = StoreReader(tmp_path / "s.duckdb").query(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND table_name "
        "IN (SELECT table_name FROM duckdb_tables())"
    )
    assert len(columns.rows) > 80
    for table, column in columns.rows:
        body = TABLES.split(f"CREATE TABLE {table} (")[1].split("\n);")[0]
        assert re.search(rf"^    {column} +[A-Z].*--  ?\S", body, re.MULTILINE), (table, column)


def test_values_never_become_part_of_the_sql() -> None:
    calls = [
        (file.name, node)
        for file in (HARNESS / "store").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "execute"
    ]
    assert len(calls) > 20
    for name, call in calls:
        sql = call.args[0]
        built = not isinstance(sql, ast.Constant | ast.Name | ast.Attribute | ast.Subscript)
        assert not built, f"{name}:{call.lineno} builds its SQL in place"
