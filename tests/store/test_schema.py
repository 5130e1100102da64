"""Versions of the store, and the words that explain its columns."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import duckdb
import pytest

from harness.errors import StoreError
from harness.store import StoreReader, StoreWriter
from harness.store.connection import transaction
from harness.store.migrations import MIGRATIONS, VIEWS, Migration, migrate, version_of
from harness.store.reader import VIEWS as VIEW_NAMES

from .example_records import NOW, example_store, experiment, pruned, trial

HARNESS = Path(__file__).parents[2] / "harness"
SCHEMA = (HARNESS / "store" / "schema.sql").read_text(encoding="utf-8")
ADDED = "".join(
    (HARNESS / "store" / f"{name}.sql").read_text(encoding="utf-8")
    for name in ("stopped", "filtered")
)
LATER = Migration(4, "note on a trial", "ALTER TABLE trial ADD COLUMN note VARCHAR")


def test_a_new_store_has_the_last_version(tmp_path: Path) -> None:
    StoreWriter(tmp_path / "s.duckdb", now=lambda: NOW)
    result = StoreReader(tmp_path / "s.duckdb").query("FROM schema_version")
    assert result.rows == (
        (1, "first schema", NOW),
        (2, "where pruned trials were stopped", NOW),
        (3, "what filters made of replies", NOW),
    )


def first_version(path: Path) -> None:
    """A store of version 1 with the rows of the example store: its columns are the same, but for
    the last of the trials.
    """
    example_store(path)
    with duckdb.connect(str(path)) as connection:
        for view in VIEW_NAMES:
            connection.execute(f"DROP VIEW {view}")
        connection.execute("ALTER TABLE trial DROP COLUMN stopped")
        connection.execute("ALTER TABLE item_output DROP COLUMN filtered")
        connection.execute("DELETE FROM schema_version WHERE version > 1")
        # The first version had nothing else to read it with.
        connection.execute(VIEWS.replace("o.filtered, ", ""))


def test_a_store_of_the_first_version_is_read_and_written_on(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    first_version(path)
    with duckdb.connect(str(path), read_only=True) as connection:
        assert version_of(connection) == 1
        before = connection.execute("SELECT * FROM trial ORDER BY trial_id").fetchall()
    with pytest.raises(StoreError, match="has version 1, this program reads version 3"):
        StoreReader(path).trials("e1")
    writer = StoreWriter(path, now=lambda: NOW)
    reader = StoreReader(path)
    after = reader.query("SELECT * FROM trial ORDER BY trial_id").rows
    assert [row[:-1] for row in after] == before
    assert len(before) == 4
    assert {row[-1] for row in after} == {None}
    assert [one.stopped for one in reader.trials("e1")] == [None] * 4
    writer.ingest(pruned(trial("t9", phase="search", seed=9)))
    assert [one.trial_id for one in reader.trials("e1") if one.stopped] == ["t9"]
    assert len(reader.study("e1").vectors) == 6


def test_migration_keeps_what_is_stored_and_runs_once(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    example_store(path)
    later = (*MIGRATIONS, LATER)
    with transaction(path) as connection:
        assert migrate(connection, NOW, later) == 1
    with transaction(path) as connection:
        assert migrate(connection, NOW, later) == 0
        assert version_of(connection) == 4
        rows = connection.execute("SELECT count(*), count(note) FROM trial").fetchone()
        assert rows == (4, 0)
        items = connection.execute("SELECT count(*) FROM items").fetchone()
        assert items and items[0] > 0


def test_a_migration_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    example_store(path)
    broken = Migration(5, "broken", "ALTER TABLE nowhere ADD COLUMN x INTEGER")
    with pytest.raises(StoreError, match="nothing was changed"), transaction(path) as connection:
        migrate(connection, NOW, (*MIGRATIONS, LATER, broken))
    assert len(StoreReader(path).trials("e1")) == 4


def test_a_newer_store_is_refused_by_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    example_store(path)
    with transaction(path) as connection:
        migrate(connection, NOW, (*MIGRATIONS, LATER))
    with pytest.raises(StoreError, match="upgrade the program"):
        StoreWriter(path)
    with pytest.raises(StoreError, match="upgrade the program"):
        StoreReader(path).experiments()


def test_files_that_are_not_stores_are_refused(tmp_path: Path) -> None:
    stranger = tmp_path / "other.duckdb"
    with duckdb.connect(str(stranger)) as connection:
        connection.execute("CREATE TABLE sales (a INTEGER)")
    with pytest.raises(StoreError, match="it holds sales"):
        StoreWriter(stranger)
    with pytest.raises(StoreError, match="not a store"):
        StoreReader(stranger).experiments()
    garbage = tmp_path / "garbage.duckdb"
    garbage.write_bytes(b"garbage" * 1000)
    for opening in (lambda: StoreWriter(garbage), StoreReader(garbage).experiments):
        with pytest.raises(StoreError, match="cannot be opened"):
            opening()


def test_every_column_has_a_comment(tmp_path: Path) -> None:
    StoreWriter(tmp_path / "s.duckdb").declare(experiment())
    columns = StoreReader(tmp_path / "s.duckdb").query(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND table_name "
        "IN (SELECT table_name FROM duckdb_tables()) AND table_name <> 'schema_version'"
    )
    assert len(columns.rows) > 80
    for table, column in columns.rows:
        body = SCHEMA.split(f"CREATE TABLE {table} (")[1].split("\n);")[0]
        for added in re.findall(rf"ALTER TABLE {table} ADD COLUMN (.*)", ADDED):
            body += f"\n    {added}"
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
