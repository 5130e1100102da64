"""The reference of the store as Markdown: columns and types from DuckDB, meanings from the SQL."""

from __future__ import annotations

import re

import duckdb

from harness.store.migrations import MIGRATIONS, VERSION_TABLE, VIEWS, migrate

_CREATED = re.compile(
    r"^((?:-- [^\n]*\n)+)CREATE (?:OR REPLACE )?(TABLE|VIEW) (\w+)(.*?)(?:;$|^\)$)",
    re.DOTALL | re.MULTILINE,
)
_COLUMN = re.compile(r"^ {4}(\w+) .*?-- (.+)$", re.MULTILINE)
_ADDED = re.compile(r"^ALTER TABLE (\w+) ADD COLUMN (\w+) .*?-- (.+)$", re.MULTILINE)


def store_reference() -> str:
    """A section per view with its columns, then one per table with a row per column."""
    with duckdb.connect() as connection:
        migrate(connection, "")
        found = connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE NOT internal ORDER BY table_oid, column_index"
        ).fetchall()
    types: dict[str, dict[str, str]] = {}
    for name, column, kind in found:
        types.setdefault(name, {})[column] = kind
    sql = "\n".join([VERSION_TABLE, *(one.sql for one in MIGRATIONS), VIEWS])
    meanings = {(table, column): text for table, column, text in _ADDED.findall(sql)}
    parts: dict[str, list[str]] = {"VIEW": ["## Views"], "TABLE": ["## Tables"]}
    for comment, made, name, body in _CREATED.findall(sql):
        meanings |= {(name, column): text for column, text in _COLUMN.findall(body)}
        rows = [
            f"| `{column}` | {kind}" + (f" | {meanings[name, column]}" if made == "TABLE" else "")
            for column, kind in types[name].items()
        ]
        head = ["column", "type", "meaning"][: 3 if made == "TABLE" else 2]
        parts[made] += [
            f"### {name}",
            " ".join(comment.replace("-- ", "").split()),
            "\n".join(f"{row} |" for row in [f"| {' | '.join(head)}", "|---" * len(head), *rows]),
        ]
    return "\n\n".join([*parts["VIEW"], *parts["TABLE"]]) + "\n"
