"""The queries in docs/store.md run, and its tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.store import StoreReader

from .example_records import example_store

PAGE = (Path(__file__).parents[2] / "docs" / "store.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> StoreReader:
    path = tmp_path_factory.mktemp("docs") / "harness.duckdb"
    writer = example_store(path)
    look = {"trial_id": "t9", "arm": "lora", "seed": 1, "task": "feedback-test", "purpose": "peek"}
    writer.record_event("e1", "test_access", look)
    return StoreReader(path)


def test_the_page_has_its_queries() -> None:
    assert len(QUERIES) == 6


@pytest.mark.parametrize("number", range(6))
def test_each_query_runs_and_finds_rows(reader: StoreReader, number: int) -> None:
    assert reader.query(QUERIES[number]).rows


def test_the_page_names_every_table_and_view(reader: StoreReader) -> None:
    tables = reader.query("SELECT table_name FROM duckdb_tables()").rows
    views = reader.query("SELECT view_name FROM duckdb_views() WHERE NOT internal").rows
    assert len(views) == 10
    for (name,) in (*tables, *views):
        assert f"| `{name}` |" in PAGE
