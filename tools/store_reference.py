"""The reference of the store as Markdown: columns and types from DuckDB, meanings from the SQL."""

from __future__ import annotations

import re

import duckdb

from harness.store.schema import TABLES, VIEWS, ensure_schema

_CREATED = re.compile(
    r"^((?:-- [^\n]*\n)+)CREATE (TABLE|VIEW) (\w+)(.*?)(?:;$|^\)$)",
    re.DOTALL | re.MULTILINE,
)
_COLUMN = re.compile(r"^ {4}(\w+) .*?-- (.+)$", re.MULTILINE)


def store_reference() -> str:
    """A section per view with its columns, then one per table with a row per column."""
    with duckdb.connect() as connection:
        ensure_schema(connection, "")
        found = connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE NOT internal ORDER BY table_oid, column_index"
        ).fetchall()
    types: dict[str, dict[str, str]] = {}
    for name, column, kind in found:
        types.setdefault(name, {})[column] = kind
    meanings: dict[tuple[str, str], str] = {}
    parts: dict[str, list[str]] = {"VIEW": ["## Views"], "TABLE": ["## Tables"]}
    for comment, made, name, body in _CREATED.findall(f"{TABLES}\n{VIEWS}"):
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
