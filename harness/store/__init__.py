"""The store: one DuckDB file that holds every experiment, and the records that trials leave.

Nothing else in the package imports duckdb.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from harness.store.reader import QueryResult, StoreReader

if TYPE_CHECKING:
    from harness.store.trial_folder import (
        discard_record,
        has_record,
        holds_link,
        quarantine,
        quarantine_record,
        read_record,
        record_head,
        verify_record,
        whole_records,
        write_record,
    )
    from harness.store.writer import StoreWriter

STORE_FILE = "harness.duckdb"
"""Name of the store in a results folder."""

__all__ = [
    "STORE_FILE",
    "QueryResult",
    "StoreReader",
    "StoreWriter",
    "discard_record",
    "has_record",
    "holds_link",
    "quarantine",
    "quarantine_record",
    "read_record",
    "record_head",
    "verify_record",
    "whole_records",
    "write_record",
]


def __getattr__(name: str) -> Any:
    # What writes needs Arrow; a question to the store is answered before that is loaded.
    if name == "StoreWriter":
        return import_module("harness.store.writer").StoreWriter
    if name in __all__:
        return getattr(import_module("harness.store.trial_folder"), name)
    raise AttributeError(f"module 'harness.store' has no attribute {name!r}")
