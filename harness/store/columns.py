"""The items of a trial as columns: how they are hashed, written to Parquet, and loaded."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain, pairwise, repeat, starmap
from typing import Any

import pyarrow as pa
from pydantic_core import to_json

from harness.errors import StoreError
from harness.records import (
    ItemOutput,
    ItemScore,
    Reply,
    ScoreRecord,
    TrialRecord,
    from_json,
)

OUTPUT_SCHEMA = pa.schema(
    [
        ("score_key", pa.string()),
        ("position", pa.int32()),
        ("doc_hash", pa.string()),
        ("item_id", pa.string()),
        ("cluster", pa.string()),
        ("target", pa.string()),
        ("output", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("text", pa.string()),
        ("filtered", pa.string()),
    ]
)
ITEM_SCORE_SCHEMA = pa.schema(
    [
        ("score_key", pa.string()),
        ("doc_hash", pa.string()),
        ("filter", pa.string()),
        ("filter_rank", pa.int32()),
        ("metric", pa.string()),
        ("value", pa.float64()),
    ]
)
REPLY_SCHEMA = pa.schema(
    [
        ("asked", pa.string()),
        ("request", pa.string()),
        ("response", pa.string()),
        ("remark", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Columns:
    """A trial's record, taken apart."""

    head: TrialRecord
    """The record without the items of its scores."""
    outputs: pa.Table
    """Table of OUTPUT_SCHEMA, one row per item of each fresh score, in the record's order."""
    item_scores: pa.Table
    """Table of ITEM_SCORE_SCHEMA; NaN stays NaN and None is null."""
    replies: pa.Table
    """Table of REPLY_SCHEMA, one row per request that was answered."""


def take_apart(record: TrialRecord) -> Columns:
    """Split the record into its head and three tables; :func:`put_together` is the inverse."""
    head = replace(
        record,
        scores=tuple(replace(score, outputs=(), item_scores=()) for score in record.scores),
        replies=(),
    )
    return Columns(
        head,
        _output_table(record.scores),
        _item_score_table(record.scores),
        _reply_table(record.replies),
    )


def put_together(columns: Columns) -> TrialRecord:
    """Build the record from its head and tables.

    Raises:
        StoreError: the tables hold items of a score that the head does not have.
    """
    outputs = _by_key(columns.outputs, ("position",))
    item_scores = _by_key(columns.item_scores, ("filter_rank",))
    scores = tuple(
        replace(
            score,
            outputs=tuple(starmap(ItemOutput, outputs.pop(score.key, ()))),
            item_scores=tuple(starmap(ItemScore, item_scores.pop(score.key, ()))),
        )
        for score in columns.head.scores
    )
    if stray := outputs.keys() | item_scores.keys():
        raise StoreError(f"the items of scores {sorted(stray)} have no score in the record")
    return replace(columns.head, scores=scores, replies=_replies_in(columns.replies))


def head_to_json(head: TrialRecord) -> str:
    """The head as JSON text. NaN and infinities, such as a diverged loss, are written as such."""
    return to_json(head, indent=1, inf_nan_mode="constants").decode()


def head_from_json(text: str | bytes) -> TrialRecord:
    """Read the head back.

    Raises:
        pydantic.ValidationError: it is not one.
    """
    return from_json(TrialRecord, text)


def record_hash(columns: Columns) -> str:
    """SHA-256 of the record's content, hex: equal before and after a round trip through disk."""
    # a round trip first, so that 1 and 1.0 in a float field are one value
    head = head_from_json(head_to_json(columns.head))
    digest = hashlib.sha256(_canonical(head))
    for table in (columns.outputs, columns.item_scores, columns.replies):
        for name in table.column_names:
            digest.update(_canonical([name, table.column(name).to_pylist()]))
    return digest.hexdigest()


def check_record(record: TrialRecord) -> None:
    """Refuse a record that would make a table ambiguous.

    Raises:
        StoreError: a score key twice; an item, or an item's (filter, metric), twice; a value of
            an item that has no output; a metric without a direction; a pruned trial with scores,
            or one that does not say where it was stopped.
    """
    if record.status == "pruned" and (record.scores or record.stopped is None):
        raise StoreError(
            f"trial {record.spec.trial_id}: a pruned record says where it was stopped and has no "
            "scores, since they would be of some items only"
        )
    keys = [score.key for score in record.scores]
    _refuse_repeats(keys, f"trial {record.spec.trial_id}: score key")
    for score in record.scores:
        place = f"trial {record.spec.trial_id}, task {score.task}"
        hashes = [item.doc_hash for item in score.outputs]
        _refuse_repeats(hashes, f"{place}: item (doc_hash)")
        _refuse_repeats(
            ((item.doc_hash, item.filter, item.metric) for item in score.item_scores),
            f"{place}: item score (doc_hash, filter, metric)",
        )
        if stray := {item.doc_hash for item in score.item_scores} - set(hashes):
            raise StoreError(
                f"{place}: {len(stray)} scored items have no output, such as {min(stray)!r}; "
                "every scored item needs its reply and cluster"
            )
        metrics = {item.metric for item in score.item_scores} | score.aggregates.keys()
        if undirected := metrics - score.higher_is_better.keys():
            raise StoreError(
                f"{place}: higher_is_better does not say the direction of {sorted(undirected)}"
            )


def _refuse_repeats(values: Iterable[object], what: str) -> None:
    values = list(values)
    if len(set(values)) == len(values):
        return
    worst, times = Counter(values).most_common(1)[0]
    raise StoreError(f"{what} {worst!r} occurs {times} times; it must be unique")


def _canonical(value: object) -> bytes:
    return json.dumps(
        value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_fields_of
    ).encode()


def _fields_of(record: Any) -> dict[str, Any]:
    """What JSON has of a dataclass within a record; to copy all of it first takes far longer."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _repeated_keys(scores: Sequence[ScoreRecord], counts: Sequence[int]) -> list[str]:
    pairs = zip(scores, counts, strict=True)
    return list(chain.from_iterable(repeat(score.key, count) for score, count in pairs))


def _output_table(scores: Sequence[ScoreRecord]) -> pa.Table:
    rows = [item for score in scores for item in score.outputs]
    counts = [len(score.outputs) for score in scores]
    columns: list[list[Any]] = [
        _repeated_keys(scores, counts),
        list(chain.from_iterable(range(count) for count in counts)),
        [item.doc_hash for item in rows],
        [item.item_id for item in rows],
        [item.cluster for item in rows],
        [item.target for item in rows],
        [item.output for item in rows],
        [item.prompt_tokens for item in rows],
        [item.completion_tokens for item in rows],
        [item.text for item in rows],
        [item.filtered for item in rows],
    ]
    return _table(columns, OUTPUT_SCHEMA)


def _item_score_table(scores: Sequence[ScoreRecord]) -> pa.Table:
    rows = [item for score in scores for item in score.item_scores]
    columns: list[list[Any]] = [
        _repeated_keys(scores, [len(score.item_scores) for score in scores]),
        [item.doc_hash for item in rows],
        [item.filter for item in rows],
        list(chain.from_iterable(map(_filter_ranks, scores))),
        [item.metric for item in rows],
        [None if item.value is None else float(item.value) for item in rows],
    ]
    return _table(columns, ITEM_SCORE_SCHEMA)


def _reply_table(replies: Sequence[Reply]) -> pa.Table:
    """Replies as a table of REPLY_SCHEMA."""
    columns = [[getattr(reply, name) for reply in replies] for name in REPLY_SCHEMA.names]
    return _table(columns, REPLY_SCHEMA)


def _replies_in(table: pa.Table) -> tuple[Reply, ...]:
    """The replies of a table of REPLY_SCHEMA."""
    return tuple(
        starmap(Reply, zip(*(column.to_pylist() for column in table.columns), strict=True))
    )


def _filter_ranks(score: ScoreRecord) -> list[int]:
    """How many other filters came before each item score's own, in the score's order."""
    ranks: dict[str, int] = {}
    return [ranks.setdefault(item.filter, len(ranks)) for item in score.item_scores]


def _table(columns: Sequence[list[Any]], schema: pa.Schema) -> pa.Table:
    arrays = [
        pa.array(values, type=field.type, from_pandas=False)
        for values, field in zip(columns, schema, strict=True)
    ]
    return pa.table(arrays, schema=schema)


def _by_key(table: pa.Table, left_out: tuple[str, ...]) -> dict[str, Iterator[tuple[Any, ...]]]:
    """Key -> rows without the key. Rows of one key stand together, as they were written."""
    keys = table.column("score_key").to_pylist()
    starts = [row for row, key in enumerate(keys) if row == 0 or key != keys[row - 1]]
    rest = table.drop_columns(["score_key", *left_out])
    return {
        keys[start]: zip(
            *(column.to_pylist() for column in rest.slice(start, end - start).columns),
            strict=True,
        )
        for start, end in pairwise([*starts, len(keys)])
    }
