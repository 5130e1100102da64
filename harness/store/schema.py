"""The store's tables and views, and the version that says which program reads them."""

from __future__ import annotations

from pathlib import Path

import duckdb

from harness.errors import StoreError

_FOLDER = Path(__file__).parent

VERSION = 1
"""Raised when tables or views change: a store is of one version, and no other is read."""
TABLES = (_FOLDER / "schema.sql").read_text(encoding="utf-8")
VIEWS = (_FOLDER / "views.sql").read_text(encoding="utf-8")


def ensure_schema(connection: duckdb.DuckDBPyConnection, created_at: str) -> None:
    """Make tables and views in an empty file, inside the caller's transaction.

    Args:
        connection: of a file that is empty or holds a store.
        created_at: ISO 8601 time to note in a new store.

    Raises:
        StoreError: the store is of another version, or the file holds something else.
    """
    tables = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
    names = [name for (name,) in tables]
    if "schema_version" in names:
        require_version(connection)
        return
    if names:
        raise StoreError(
            "the file is a DuckDB database but not a store of this program "
            f"(it holds {', '.join(names[:3])}); give another path"
        )
    connection.execute(TABLES)
    connection.execute("INSERT INTO schema_version VALUES (?, ?)", [VERSION, created_at])
    connection.execute(VIEWS)


def require_version(connection: duckdb.DuckDBPyConnection) -> None:
    """Check that this program understands the store.

    Raises:
        StoreError: the store is of another version, or not a store at all.
    """
    try:
        stored = connection.execute("SELECT version FROM schema_version").fetchone()
    except duckdb.CatalogException as error:
        held = connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone()
        raise StoreError(
            "the file is not a store of this program; give another path"
            if held and held[0]
            else "the store is empty: the run that made it was ended as it did; run it again"
        ) from error
    version = stored[0] if stored else None
    if version != VERSION:
        raise StoreError(
            f"the store has version {version}, this program reads and writes version {VERSION} "
            "alone; read it with the program that wrote it, or name another folder with --results"
        )
