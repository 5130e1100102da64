"""Rows of a file, a program or the terminal, answered by a finalist."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data import Rows, asked_columns, read_questions, read_rows, rows_in_memory
from harness.deployment.finalist import Finalist, Progress
from harness.errors import DataError, InputError, Problem, writing
from harness.export.final_run import FinalRun
from harness.records import Example, JsonValue, write_whole

ANSWER, REPLY = "answer", "reply"
WRITABLE = (".csv", ".jsonl")
# Rows after which answers are written beside the file that they are for.
KEPT_EVERY = 256
ELSEWHERE = "name another file with --out"


@dataclass(frozen=True, slots=True)
class Prediction:
    """A row with what was answered to it."""

    row: Mapping[str, JsonValue]
    """The row as it was given."""
    answer: str | None
    """What the reply answers, read as it is when scored; None where no answer could be read."""
    reply: str
    """The whole reply."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Rows that can be asked, with the items that they make."""

    rows: tuple[Mapping[str, JsonValue], ...]
    """The rows as they were given."""
    items: tuple[Example, ...]
    """The item of each row."""


def questions_in(run: FinalRun, source: Path) -> Questions:
    """The rows of a file, as the study's own data are read; they need no answer.

    Raises:
        DataError: it cannot be read, lacks a column, or has rows that cannot be asked.
    """
    experiment = run.analysed.experiment
    return _questions(run, read_rows(str(source), experiment.data.encoding))


def questions_of(run: FinalRun, rows: Sequence[Mapping[str, JsonValue] | str]) -> Questions:
    """Rows of a program or the terminal: columns and values, or texts where the arm reads one.

    Raises:
        InputError: there is no row, or a text where the arm reads several columns.
        DataError: a row lacks a column or cannot be asked.
    """
    if not rows:
        raise InputError("no row is given; give at least one")
    return _questions(run, rows_in_memory([_row(run, row) for row in rows]))


def _row(run: FinalRun, row: Mapping[str, JsonValue] | str) -> Mapping[str, JsonValue]:
    if not isinstance(row, str):
        return row
    experiment = run.analysed.experiment
    columns = asked_columns(experiment, run.template)
    if experiment.data.conversations is not None:
        return {experiment.data.conversations.column: [{"role": "user", "content": row}]}
    if len(columns) > 1:
        raise InputError(
            f"{run.trial.arm} reads the columns {', '.join(columns)}, so that a text alone is no "
            "row; give an object with all of them, such as "
            + json.dumps(dict.fromkeys(columns, "..."), ensure_ascii=False)
        )
    return {columns[0]: row}


def _questions(run: FinalRun, table: Rows) -> Questions:
    items = read_questions(table, run.analysed.experiment, run.template)
    return Questions(tuple(row.values for row in table.rows), items)


def predictions(
    finalist: Finalist, questions: Questions, progress: Progress = lambda done, total: None
) -> list[Prediction]:
    """The rows answered, in their order."""
    replies = finalist.replies(questions.items, progress)
    return [
        Prediction(row, finalist.answer(reply), reply)
        for row, reply in zip(questions.rows, replies, strict=True)
    ]


def predictions_kept(
    path: Path,
    finalist: Finalist,
    questions: Questions,
    progress: Progress = lambda done, total: None,
) -> list[Prediction]:
    """The rows answered, in their order, and written to a file, which then is whole.

    What is answered is kept beside it as it comes, so that no late failure loses it.

    Raises:
        InputError: a row cannot be asked, or the file cannot be written.
        NoRoomError: the disk is full.
    """
    finalist.check(questions.items)
    found: list[Prediction] = []
    partial, total = partial_of(path), len(questions.items)
    for start in range(0, total, KEPT_EVERY):
        chosen = slice(start, start + KEPT_EVERY)
        part = Questions(questions.rows[chosen], questions.items[chosen])
        answered = predictions(finalist, part, _after(start, total, progress))
        found += answered
        # The first part takes the place of what an earlier call left.
        how = "a" if start else "w"
        with writing(partial, ELSEWHERE), partial.open(how, encoding="utf-8") as file:
            file.write(_lines(map(as_row, answered)))
    write_predictions(path, found)
    partial.unlink(missing_ok=True)
    return found


def _after(before: int, total: int, progress: Progress) -> Progress:
    """What is told of a part, told of the whole."""
    return lambda done, of: progress(before + done, total)


def partial_of(path: Path) -> Path:
    """Where answers are kept until all are there."""
    return path.with_name(f"{path.name}.partial.jsonl")


def check_rows(path: Path, rows: Sequence[Mapping[str, JsonValue]]) -> None:
    """See that rows can be written to a file as they are, before any is asked.

    Raises:
        DataError: one holds what no text file can, but JSON lines.
    """
    if path.suffix.lower() == ".jsonl":
        return
    problems = [
        Problem(
            f"row {number}: {name}",
            "half a character (a lone surrogate) cannot be written to a CSV file; mend it, or name "
            "a file that ends in .jsonl with --out",
        )
        for number, row in enumerate(rows, 1)
        for name, value in row.items()
        if not _is_text(f"{name}{_cell(value)}")
    ]
    if problems:
        raise DataError(problems)


def check_output(path: Path, *, force: bool) -> None:
    """See that predictions can be written to a file, before anything is asked.

    Raises:
        InputError: they cannot; says why.
    """
    if path.suffix.lower() not in WRITABLE:
        raise InputError(f"{path}: predictions are written as {' or '.join(WRITABLE)}")
    check_writable(path, force=force)
    partial = partial_of(path)
    if partial.exists() and not force:
        raise InputError(
            f"{partial} holds what an earlier call answered before it was stopped; move it, or "
            "--force starts anew without it"
        )


def check_writable(path: Path, *, force: bool) -> None:
    """See that a file can be written, before anything is asked for what it will hold.

    Raises:
        InputError: it is there already, or the system refuses.
        NoRoomError: the disk is full.
    """
    if path.is_dir() or (path.exists() and not force):
        remedy = "give the name of a file" if path.is_dir() else "--force writes over it"
        raise InputError(f"{path} exists already; {remedy}")
    with writing(path, ELSEWHERE):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def write_predictions(path: Path, found: Sequence[Prediction]) -> None:
    """Write each row with its answer and reply, as CSV or as JSON lines by the file's ending.

    Raises:
        UnwritableError: the system refuses.
        NoRoomError: the disk is full.
    """
    rows = [as_row(one) for one in found]
    text = _lines(rows) if path.suffix.lower() == ".jsonl" else _csv(rows)
    with writing(path, ELSEWHERE):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)


def as_row(one: Prediction) -> dict[str, Any]:
    """The row with two more columns, under names that it has not yet."""
    row = dict(one.row)
    for name, value in ((ANSWER, one.answer), (REPLY, one.reply)):
        free = name
        while free in row:
            free = f"predicted_{free}"
        row[free] = value
    return row


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as JSON lines; one with half a character in it is written in ASCII alone."""
    texts = (json.dumps(row, ensure_ascii=False) for row in rows)
    return "".join(
        f"{text if _is_text(text) else json.dumps(json.loads(text))}\n" for text in texts
    )


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


__all__ = [
    "Prediction",
    "Questions",
    "as_row",
    "check_output",
    "check_rows",
    "check_writable",
    "partial_of",
    "predictions",
    "predictions_kept",
    "questions_in",
    "questions_of",
    "write_predictions",
]
