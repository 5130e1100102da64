"""The store: one DuckDB file that holds every experiment, and the records that trials leave.

Nothing else in the package imports duckdb.
"""

from harness.store.reader import QueryResult, StoreReader
from harness.store.trial_folder import (
    discard_record,
    has_record,
    quarantine,
    quarantine_record,
    read_record,
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
    "quarantine",
    "quarantine_record",
    "read_record",
    "verify_record",
    "whole_records",
    "write_record",
]
