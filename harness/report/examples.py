"""Test items on which the best fine-tuned and the best prompt arm differ most."""

from __future__ import annotations

import math
from collections.abc import Iterable

from harness.records import ItemRow
from harness.report import wording
from harness.report.document import Block, Example, Examples, Prose, Section
from harness.report.material import Material

EACH_WAY = 4


def examples_section(material: Material) -> Section:
    """Up to four items in each direction: target and both replies."""
    heading = "Examples"
    tuned, prompt = material.best(prompt=False), material.best(prompt=True)
    if tuned is None or prompt is None:
        return Section("examples", heading, (Prose("No pair of arms to show examples of."),))
    theirs = _replies(material.study.items, prompt.arm)
    pairs = [
        (row, theirs[row.doc_hash], _gain(row, theirs[row.doc_hash]))
        for row in _replies(material.study.items, tuned.arm).values()
        if row.doc_hash in theirs
    ]
    pairs.sort(key=lambda pair: (-pair[2], pair[0].doc_hash))
    if not pairs:
        return Section("examples", heading, (Prose("No replies were kept to show."),))
    better = [pair for pair in pairs if pair[2] > 0]
    worse = [pair for pair in reversed(pairs) if pair[2] < 0]
    a, b = wording.cell(tuned.arm), wording.cell(prompt.arm)
    intro = (
        f"Items of the test set on which {a} and {b} differ most, one seed each: {a} did better "
        f"on {len(better):,} of {len(pairs):,} items, {b} on {len(worse):,}. They illustrate; "
        "the numbers above decide."
    )
    blocks: list[Block] = [Prose(intro)]
    for title, found in ((f"{a} did better", better), (f"{b} did better", worse)):
        if found:
            blocks.append(
                Examples(
                    title,
                    tuple(_example(material, row, other) for row, other, _ in found[:EACH_WAY]),
                )
            )
    return Section("examples", heading, tuple(blocks))


def _replies(items: Iterable[ItemRow], arm: str) -> dict[str, ItemRow]:
    """Item -> the arm's reply on its first seed; unscored items left out."""
    rows = [row for row in items if row.arm == arm]
    first = min((row.seed for row in rows), default=0)
    return {
        row.doc_hash: row
        for row in rows
        if row.seed == first and row.value is not None and math.isfinite(row.value)
    }


def _gain(row: ItemRow, other: ItemRow) -> float:
    return (row.value or 0.0) - (other.value or 0.0)


def _example(material: Material, row: ItemRow, other: ItemRow) -> Example:
    return Example(
        item=wording.cell(row.item_id or row.doc_hash, 80),
        text=wording.clean(row.text),
        target=wording.clean(row.target),
        replies=tuple(
            (
                f"{wording.cell(found.arm)} (score {material.scale.score(found.value)})",
                wording.clean(found.output) or "(empty reply)",
            )
            for found in (row, other)
        ),
    )
