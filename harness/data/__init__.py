"""The user's data: read, checked row by row, divided by group, audited for leakage."""

from harness.data.audit import LeakageAudit, audit_general, audit_leakage
from harness.data.audit_record import audit_record
from harness.data.calibration import read_calibration
from harness.data.examples import ExamplesRead, asked_columns, read_examples, read_questions
from harness.data.examples_file import (
    columns_fingerprint,
    fingerprint,
    read_examples_file,
    row_hashes,
    write_examples,
)
from harness.data.general_text import GeneralTexts, read_general_texts
from harness.data.prepare import Prepared, answer_counts, prepare, scored_of, with_general
from harness.data.read import read_rows, rows_in_memory
from harness.data.rows import Row, Rows
from harness.data.split import limited, merge_duplicates, shuffled, split_groups

__all__ = [
    "ExamplesRead",
    "GeneralTexts",
    "LeakageAudit",
    "Prepared",
    "Row",
    "Rows",
    "answer_counts",
    "asked_columns",
    "audit_general",
    "audit_leakage",
    "audit_record",
    "columns_fingerprint",
    "fingerprint",
    "limited",
    "merge_duplicates",
    "prepare",
    "read_calibration",
    "read_examples",
    "read_examples_file",
    "read_general_texts",
    "read_questions",
    "read_rows",
    "row_hashes",
    "rows_in_memory",
    "scored_of",
    "shuffled",
    "split_groups",
    "with_general",
    "write_examples",
]
