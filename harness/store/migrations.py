"""The store's version, and the steps from each version to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from harness.errors import StoreError

_FOLDER = Path(__file__).parent

VERSION_TABLE = """
-- One row per migration that was applied.
CREATE TABLE schema_version (
    version     INTEGER PRIMARY KEY,  -- counts from 1
    description VARCHAR NOT NULL,     -- what the migration did
    applied_at  VARCHAR NOT NULL      -- when, ISO 8601
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. version: the version that ``sql`` leads to, from ``version - 1``."""

    version: int
    description: str
    sql: str


MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, "first schema", (_FOLDER / "schema.sql").read_text(encoding="utf-8")),
    Migration(
        2,
        "where pruned trials were stopped",
        (_FOLDER / "stopped.sql").read_text(encoding="utf-8"),
    ),
    Migration(
        3,
        "what filters made of replies",
        (_FOLDER / "filtered.sql").read_text(encoding="utf-8"),
    ),
)
VIEWS = (_FOLDER / "views.sql").read_text(encoding="utf-8")


def migrate(
    connection: duckdb.DuckDBPyConnection,
    applied_at: str,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> int:
    """Bring the store to the last version, inside the caller's transaction.

    applied_at: ISO 8601 time to note. Returns the number of migrations applied; 0 if up to date.

    Raises:
        StoreError: the store is of a newer version, or the file holds something else.
    """
    current = version_of(connection)
    _refuse_newer(current, migrations[-1].version)
    if current == 0:
        strangers = connection.execute(
            "SELECT table_name FROM duckdb_tables() ORDER BY table_name LIMIT 3"
        ).fetchall()
        if strangers:
            names = ", ".join(name for (name,) in strangers)
            raise StoreError(
                "the file is a DuckDB database but not a store of this program "
                f"(it holds {names}); give another path"
            )
        connection.execute(VERSION_TABLE)
    pending = [migration for migration in migrations if migration.version > current]
    for migration in pending:
        connection.execute(migration.sql)
        connection.execute(
            "INSERT INTO schema_version VALUES (?, ?, ?)",
            [migration.version, migration.description, applied_at],
        )
    if pending:
        connection.execute(VIEWS)
    return len(pending)


def require_version(
    connection: duckdb.DuckDBPyConnection, expected: int = MIGRATIONS[-1].version
) -> None:
    """Check that a reader understands the store.

    Raises:
        StoreError: the store is newer, older, or not a store at all.
    """
    current = version_of(connection)
    _refuse_newer(current, expected)
    if current == 0:
        raise StoreError("the file is not a store of this program; give another path")
    if current < expected:
        raise StoreError(
            f"the store has version {current}, this program reads version {expected}; any command "
            "that writes to it, such as `harness run`, upgrades it"
        )


def version_of(connection: duckdb.DuckDBPyConnection) -> int:
    """The store's version; 0 where there is no version table."""
    found = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'schema_version'"
    ).fetchone()
    if found is None or not found[0]:
        return 0
    row = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    return 0 if row is None else int(row[0])


def _refuse_newer(current: int, known: int) -> None:
    if current > known:
        raise StoreError(
            f"the store has version {current}, but this program knows versions up to {known}; "
            "upgrade the program, or give another path for a new store"
        )
