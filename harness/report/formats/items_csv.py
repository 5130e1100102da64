"""Every test item with every reply as CSV, for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from harness.findings import Samples

# What begins so a spreadsheet would compute (CWE-1236); it looks past blanks.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
HEADER = ("item", "text", "right_answer", "arm", "seed", "reply", "score", "valid")


def items_csv(samples: Samples | None) -> str:
    """One row for each final run and test item, UTF-8 with the mark by which spreadsheets know it.

    Text that a spreadsheet would take for a formula has an apostrophe before it, and characters
    that no text file may hold are replaced. A score or validity that is not known is empty.
    Without replies there is the header alone.
    """
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\r\n")
    rows.writerow(HEADER)
    rows.writerows(_rows(samples) if samples else ())
    return "\ufeff" + written.getvalue()


def _rows(samples: Samples) -> Iterator[tuple[str, ...]]:
    for arm in samples.arms:
        for run in arm.runs:
            for at, doc_hash in enumerate(samples.doc_hashes):
                score, valid = run.scores[at], run.valid[at]
                yield (
                    _inert(samples.item_ids[at] or doc_hash),
                    _inert(samples.texts[at]),
                    _inert(samples.targets[at]),
                    _inert(arm.arm),
                    str(run.seed),
                    _inert(run.outputs[at] or ""),
                    "" if score is None else repr(score),
                    "" if valid is None else "yes" if valid else "no",
                )


def _inert(text: str) -> str:
    """Text that a spreadsheet shows as it is."""
    text = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    begins = text.startswith(FORMULA) or text.lstrip().startswith(FORMULA)
    return f"'{text}" if begins else text


__all__ = ["HEADER", "items_csv"]
