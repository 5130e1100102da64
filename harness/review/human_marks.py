"""A sheet of replies for people to mark, blind, so that a judge can be held against them."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.answers.row_reader import answer_part
from harness.errors import InputError, writing
from harness.measures.judge import TARGET
from harness.records import ItemRow, marked_key, reply_key, write_whole
from harness.review.studies import AnalysedStudy

COLUMNS = ("id", "text", "target", "reply", "score", "key")
# With one of these at its head a spreadsheet takes a text for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_KINDS = (".csv", ".jsonl")


@dataclass(frozen=True, slots=True)
class Sheet:
    """Replies to be marked."""

    rows: tuple[tuple[str, str, str, str], ...]
    """Id, text, right answer and reply of each, in the order in which they are to be marked."""
    items: int
    """Number of items that they are replies to."""
    available: int
    """Number of items that both arms replied to."""


def sheet_of(loaded: AnalysedStudy, sample: int, seed: int = 0) -> Sheet:
    """Both compared arms' replies to items drawn at random, in an order drawn for each item.

    Nothing says whose reply is whose. Of several final runs of an arm, one is drawn for each item.
    Where both replied the same there is one row.

    Args:
        sample: number of items, fewer where there are not so many.
        seed: seed of all draws: the same sheet is written again.

    Raises:
        InputError: no two arms were compared, or the study has no judge.
    """
    name = loaded.experiment.name
    if not loaded.experiment.judges:
        raise InputError(
            f"{name} declares no judge: there is nothing to hold people's marks against"
        )
    judged = loaded.experiment.task.judged
    if any(metric.pairwise not in (None, TARGET) for metric in judged):
        raise InputError(
            f"{name} compares replies with a column of the data, which a sheet does not hold; "
            "mark them in a file of your own with the columns id, reply and score"
        )
    shows_target = any(metric.shows_target or metric.pairwise for metric in judged)
    contrast = loaded.findings.primary
    if contrast is None:
        raise InputError(f"{name} has no two arms with test results yet; run it to its end first")
    replies: defaultdict[str, dict[str, list[ItemRow]]] = defaultdict(
        lambda: {contrast.a: [], contrast.b: []}
    )
    for row in loaded.study.items:
        if row.arm in (contrast.a, contrast.b):
            replies[row.doc_hash][row.arm].append(row)
    whole = [arms for _, arms in sorted(replies.items()) if all(arms.values())]
    draw = np.random.default_rng(seed)
    rows: list[tuple[str, str, str, str]] = []
    chosen = draw.permutation(len(whole))[:sample].tolist()
    for place in chosen:
        of_item = [runs[draw.integers(len(runs))] for runs in whole[place].values()]
        shown: dict[str, tuple[str, str, str, str]] = {}
        for which in draw.permutation(2).tolist():
            row = of_item[which]
            reply = answer_part(row.output)
            target = (answer_part(row.target) or row.target) if shows_target else ""
            shown.setdefault(reply_key(reply), (row.item_id, row.text, target, reply))
        rows += shown.values()
    return Sheet(tuple(rows), len(chosen), len(whole))


def write_sheet(sheet: Sheet, output: Path) -> None:
    """Write the sheet as CSV or JSON lines, by the file's ending.

    Raises:
        InputError: another ending, or a file that is there, which may hold people's marks.
    """
    kind = output.suffix.lower()
    if kind not in _KINDS:
        raise InputError(f"--output {output}: end it in {' or '.join(_KINDS)}")
    if output.exists():
        raise InputError(f"{output} is there, and may hold people's marks; name another file")
    if kind == ".jsonl":
        lines = (dict(zip(COLUMNS, (*row, None, _key(row)), strict=True)) for row in sheet.rows)
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    else:
        file = io.StringIO(newline="")
        writer = csv.writer(file)
        rows = ((row[0], *map(_cell, row[1:]), "", _key(row)) for row in sheet.rows)
        writer.writerows([COLUMNS, *rows])
        # Spreadsheets know UTF-8 by its mark.
        text = f"\ufeff{file.getvalue()}"
    with writing(output, "name another file with --output"):
        write_whole(output, text)


def _key(row: tuple[str, str, str, str]) -> str:
    item_id, _, _, reply = row
    return marked_key(item_id, reply)


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


__all__ = ["COLUMNS", "Sheet", "sheet_of", "write_sheet"]
