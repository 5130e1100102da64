"""The store's tables and views, and the version that says which program reads them."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from harness.errors import StoreError
from harness.records import content_hash

_FOLDER = Path(__file__).parent

VERSION = 1
"""Raised with a release whose tables or views differ: a store is of one version, and no other is
read."""
TABLES = (_FOLDER / "schema.sql").read_text(encoding="utf-8")
VIEWS = (_FOLDER / "views.sql").read_text(encoding="utf-8")
# What comments say changes nothing that is stored.
LAYOUT = content_hash(re.sub(r"--.*|\s+", " ", TABLES + VIEWS).split(), 20)
"""Hash of the tables and views: a store of any others is not read, released or not."""


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
    connection.execute("INSERT INTO schema_version VALUES (?, ?, ?)", [VERSION, LAYOUT, created_at])
    connection.execute(VIEWS)


def require_version(connection: duckdb.DuckDBPyConnection) -> None:
    """Check that this program understands the store.

    Raises:
        StoreError: the store is of another version, or not a store at all.
    """
    try:
        stored = connection.execute("FROM schema_version").fetchone()
    except duckdb.CatalogException as error:
        held = connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone()
        raise StoreError(
            "the file is not a store of this program; give another path"
            if held and held[0]
            else "the store is empty: the run that made it was ended as it did; run it again"
        ) from error
    if stored is None or stored[:2] != (VERSION, LAYOUT):
        version = stored[0] if stored else None
        made = (
            f"has version {version}, this program reads and writes version {VERSION} alone"
            if version != VERSION
            else "was made by another state of this program, whose tables are others"
        )
        raise StoreError(
            f"the store {made}; read it with the program that wrote it, or name another folder "
            "with --results"
        )
