"""Text that training shares with the data meant for judging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.report import wording
from harness.report.document import Block, Column, Prose, Table
from harness.report.material import Material

KINDS = {
    "exact": "same text",
    "near": "nearly the same",
    "near_duplicate": "nearly the same",
    "ngram": "long passage in common",
}
PAIRS = 50


def leakage_blocks(material: Material) -> list[Block]:
    """Counts by split and kind, general tasks, and the pairs to look at."""
    audit = material.audit
    if audit is None:
        return [Prose("Text shared between training and test data: not measured.")]
    blocks: list[Block] = []
    by_split = _numbers(audit.get("flagged_items")) or _numbers(audit.get("by_split"))
    if by_split:
        blocks.append(_counts("Items that share text with training", "Data", by_split))
    chosen = _numbers(_selection(audit.get("selection")))
    if chosen:
        caption = "Test items that share text with validation data, which chose the settings"
        blocks.append(_counts(caption, "Data", chosen))
    blocks += _general(audit)
    pairs = audit.get("strongest", audit.get("pairs"))
    if isinstance(pairs, Sequence) and not isinstance(pairs, str):
        shown = [pair for pair in pairs if isinstance(pair, Mapping)][:PAIRS]
        if shown:
            blocks.append(_pairs(shown))
    return blocks


def _general(audit: Mapping[str, Any]) -> list[Block]:
    if not audit.get("general") and not audit.get("general_not_audited"):
        return [Prose("Text shared between training and the general suite: not measured.")]
    audited = _numbers(audit.get("general"))
    found = {task: kinds for task, kinds in audited.items() if any(kinds.values())}
    blocks: list[Block] = []
    if found:
        blocks.append(_counts("General items that share text with training", "Task", found))
    elif audited:
        blocks.append(Prose("No general item that was compared shares text with training."))
    skipped = audit.get("general_not_audited")
    if isinstance(skipped, Sequence) and not isinstance(skipped, str) and skipped:
        names = wording.listed([wording.cell(str(name), 60) for name in skipped])
        blocks.append(
            Prose(f"Not compared with training, as their items are not at hand: {names}.")
        )
    return blocks


def _selection(found: object) -> object:
    """Counts of one pair of splits, given by kind or by split and kind."""
    if isinstance(found, Mapping) and not any(isinstance(v, Mapping) for v in found.values()):
        return {"test": found}
    return found


def _numbers(found: object) -> dict[str, dict[str, int]]:
    """Row -> kind -> number, whether numbers or the ids themselves are given."""
    if not isinstance(found, Mapping):
        return {}
    return {
        str(row): {str(kind): _number(value) for kind, value in kinds.items()}
        for row, kinds in found.items()
        if isinstance(kinds, Mapping)
    }


def _number(value: object) -> int:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return len(value)
    return int(value) if isinstance(value, int | float) else 0


def _counts(caption: str, first: str, found: Mapping[str, Mapping[str, int]]) -> Table:
    kinds = list(dict.fromkeys(kind for row in found.values() for kind in row))
    return Table(
        caption,
        (Column(first), *(Column(_kind(kind), numeric=True) for kind in kinds)),
        tuple(
            (wording.cell(name, 60), *(wording.count(row.get(kind)) for kind in kinds))
            for name, row in found.items()
        ),
    )


def _kind(name: str) -> str:
    return KINDS.get(name, wording.cell(name.replace("_", " "), 40))


def _pairs(pairs: list[Mapping[str, Any]]) -> Table:
    return Table(
        "Pairs that share most text",
        (
            Column("Example"),
            Column("of"),
            Column("Judged item"),
            Column("of"),
            Column("Kind"),
            Column("Similarity", numeric=True),
            Column("Longest passage (words)", numeric=True),
        ),
        tuple(
            (
                _text(pair, "seen_id"),
                _text(pair, "seen_in"),
                _text(pair, "other_id"),
                _text(pair, "split"),
                _kind(str(pair.get("kind", ""))),
                _measure(pair.get("similarity")),
                _measure(pair.get("longest_run")),
            )
            for pair in pairs
        ),
        folded=True,
    )


def _text(pair: Mapping[str, Any], key: str) -> str:
    value = pair.get(key)
    return wording.NOT_MEASURED if value is None else wording.cell(str(value), 80)


def _measure(value: object) -> str:
    return wording.number(float(value)) if isinstance(value, int | float) else wording.NOT_MEASURED
