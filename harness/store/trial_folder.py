"""The record that a trial leaves on disk, whole or not at all.

    <trial folder>/
      ...                      whatever the trial left, such as its trained weights
      record/
        trial.json             the record without its items
        item_outputs.parquet   the replies
        item_scores.parquet    the values
        replies.parquet        the replies to single requests, by what was asked
        SHA256SUMS             of the four; `sha256sum -c` understands it

The folder ``record`` is written under another name, synced, and renamed into place, so that a
process killed at any moment leaves either no record or a whole one.
"""

from __future__ import annotations

import shutil
from pathlib import Path, PureWindowsPath

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from harness.errors import StoreError, needing_room
from harness.records import (
    CHECKPOINT,
    COMMAND_STATE,
    WRITING_JOURNAL,
    TrialRecord,
    file_sha256,
    sync,
    write_whole,
)
from harness.store.columns import (
    ITEM_SCORE_SCHEMA,
    OUTPUT_SCHEMA,
    REPLY_SCHEMA,
    Columns,
    head_from_json,
    head_to_json,
    put_together,
    take_apart,
)

RECORD = "record"
HEAD, OUTPUTS, ITEM_SCORES, REPLIES, SUMS = (
    "trial.json",
    "item_outputs.parquet",
    "item_scores.parquet",
    "replies.parquet",
    "SHA256SUMS",
)
QUARANTINE = "quarantine"
REASON = "quarantine-reason.txt"
REMEDY = "quarantine the folder and run the trial again"


def write_record(folder: Path, record: TrialRecord) -> None:
    """Write the record into the trial's folder, in place of an earlier one if there is one.

    Args:
        folder: created if missing; other files in it stay, but for what a training or a
            writing goes on from, which has ended.

    Raises:
        NoRoomError: the disk is full; what was there before is still there.
        OSError: the disk refuses for another reason; the same holds.
    """
    with needing_room(folder):
        _write(folder, take_apart(record))


def _write(folder: Path, columns: Columns) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{RECORD}.unfinished"
    replaced = folder / f"{RECORD}.replaced"
    for leftover in (unfinished, replaced):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished.mkdir()
    (unfinished / HEAD).write_text(head_to_json(columns.head), encoding="utf-8")
    pq.write_table(columns.outputs, unfinished / OUTPUTS, compression="zstd")
    pq.write_table(columns.item_scores, unfinished / ITEM_SCORES, compression="zstd")
    pq.write_table(columns.replies, unfinished / REPLIES, compression="zstd")
    (unfinished / SUMS).write_text(_sums(unfinished), encoding="utf-8")
    for name in (HEAD, OUTPUTS, ITEM_SCORES, REPLIES, SUMS):
        sync(unfinished / name)
    sync(unfinished)
    place = folder / RECORD
    if place.exists():
        place.rename(replaced)
    unfinished.rename(place)
    sync(folder)
    shutil.rmtree(replaced, ignore_errors=True)
    # The trial has come to its end: there is nothing to go on with.
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    if columns.head.status == "complete":
        (folder / WRITING_JOURNAL).unlink(missing_ok=True)


def read_record(folder: Path) -> TrialRecord:
    """The record that :func:`write_record` wrote, equal to it in every field.

    Raises:
        StoreError: there is none, a file of it is missing, torn or altered, or it is of another
            version of the program.
    """
    head = _verified_head(folder)
    place = folder / RECORD
    columns = Columns(
        head,
        _read_table(place / OUTPUTS, OUTPUT_SCHEMA),
        _read_table(place / ITEM_SCORES, ITEM_SCORE_SCHEMA),
        _read_table(place / REPLIES, REPLY_SCHEMA),
    )
    return put_together(columns)


def record_head(folder: Path) -> TrialRecord:
    """The record without items and replies, its files checked against their checksums.

    Raises:
        StoreError: as :func:`read_record`.
    """
    return _verified_head(folder)


def verify_record(folder: Path) -> None:
    """Check the record's files against their checksums, without reading what is in them.

    Raises:
        StoreError: there is none, or a file of it is missing, torn or altered.
    """
    place = folder / RECORD
    if not place.is_dir():
        raise StoreError(f"{folder}: no record; the trial did not end, so it is to be run again")
    if folder.is_symlink() or any(path.is_symlink() for path in (place, *place.iterdir())):
        raise StoreError(f"{folder}: its record is a link to elsewhere; {REMEDY}")
    try:
        listed = (place / SUMS).read_text(encoding="utf-8")
        actual = _sums(place)
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{folder}: the record is not whole ({error}); {REMEDY}") from error
    if listed != actual:
        wrong = sorted(set(actual.splitlines()) - set(listed.splitlines()))
        names = ", ".join(line.split()[-1] for line in wrong) or SUMS
        raise StoreError(f"{folder}: {names} was altered or torn; {REMEDY}")


def has_record(folder: Path) -> bool:
    """Whether a record lies there, be it whole, torn or altered."""
    return (folder / RECORD).exists()


def holds_link(folder: Path) -> bool:
    """Whether the folder, or anything in it, is a link: what is written there would go elsewhere.

    A trial leaves none; links above the folder, such as of all results, are the user's own. Those
    that a training command keeps among what it goes on from lead nobody else astray.
    """
    theirs = folder / COMMAND_STATE
    return folder.is_symlink() or any(
        path.is_symlink() and theirs not in path.parents for path in folder.rglob("*")
    )


def discard_record(folder: Path) -> None:
    """Remove the record of a trial that is about to run again; other files in ``folder`` stay."""
    if has_record(folder):
        replaced = folder / f"{RECORD}.replaced"
        shutil.rmtree(replaced, ignore_errors=True)
        (folder / RECORD).rename(replaced)
        shutil.rmtree(replaced)


def whole_records(trials_folder: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Trial folders with a whole record, and the others with the reason, both by name.

    A trial that is still running has no record yet and is among the others; the folder of
    quarantined trials is left out. No folder at all gives two empty lists.
    """
    whole: list[Path] = []
    others: list[tuple[Path, str]] = []
    if not trials_folder.is_dir():
        return whole, others
    for folder in sorted(trials_folder.iterdir()):
        if not folder.is_dir() or folder.name == QUARANTINE:
            continue
        try:
            _verified_head(folder)
        except StoreError as error:
            others.append((folder, str(error)))
        else:
            whole.append(folder)
    return whole, others


def quarantine(path: Path, reason: str) -> Path:
    """Move a trial's folder aside, into ``quarantine`` beside it, with the reason in a file.

    An earlier quarantined folder of the same name stays.

    Returns:
        Where the folder is now.

    Raises:
        StoreError: there is no such folder.
    """
    if not (path.is_dir() or path.is_symlink()):
        raise StoreError(f"{path}: there is no such trial folder to quarantine")
    target = _free_place(path)
    target.parent.mkdir(exist_ok=True)
    path.rename(target)
    if not target.is_symlink():
        _say_why(target, reason)
    return target


def quarantine_record(folder: Path, reason: str) -> Path:
    """Move the record alone aside: what else the trial left, such as weights, stays in place.

    For a trial that the store holds whole, whose weights may be in use.
    """
    target = _free_place(folder)
    target.mkdir(parents=True)
    (folder / RECORD).rename(target / RECORD)
    _say_why(target, reason)
    return target


def _free_place(folder: Path) -> Path:
    place = folder.parent / QUARANTINE
    target, count = place / folder.name, 1
    while target.exists():
        count += 1
        target = place / f"{folder.name}-{count}"
    return target


def _say_why(target: Path, reason: str) -> None:
    with needing_room(target / REASON):
        write_whole(target / REASON, reason + "\n")


def _verified_head(folder: Path) -> TrialRecord:
    verify_record(folder)
    try:
        head = head_from_json((folder / RECORD / HEAD).read_bytes())
    except ValidationError as error:
        raise StoreError(
            f"{folder}: the record is of another version of this program ({error}); {REMEDY}"
        ) from error
    for artifact in head.artifacts:
        if not _stays_inside(artifact.path):
            raise StoreError(f"{folder}: it names {artifact.path!r} as a file of its own; {REMEDY}")
    return head


def _stays_inside(name: str) -> bool:
    """Whether a name leads to a place below the folder that it is relative to, on any system."""
    parts = PureWindowsPath(name)
    return not (parts.drive or parts.root or ".." in parts.parts or "\0" in name)


def _read_table(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        return pq.read_table(path, schema=schema)
    except pa.ArrowException as error:
        raise StoreError(
            f"{path}: not a table of this version of the program ({error}); {REMEDY}"
        ) from error


def _sums(place: Path) -> str:
    names = (HEAD, OUTPUTS, ITEM_SCORES, REPLIES)
    return "".join(f"{file_sha256(place / name)}  {name}\n" for name in names)
