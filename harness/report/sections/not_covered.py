"""What the intervals of the report do not cover."""

from __future__ import annotations

from harness import wording
from harness.report.document import Block, Bullets, Prose, Section
from harness.report.sections.material import Material

HEADING = "What the intervals do not cover"


def not_covered_section(material: Material) -> Section:
    """A line a source of chance; in the appendix those that are covered, or of no size."""
    rows = material.findings.not_covered
    if not rows:
        return Section("not-covered", HEADING, ())
    told: dict[bool, list[str]] = {False: [], True: []}
    for row in rows:
        size = wording.cell(row.size, 600).removeprefix(f"{wording.UNKNOWN}: ")
        told[row.known].append(f"{wording.cell(row.source)}: {size}")
    text = (
        "They cover other test items and other repeats of the same setting, but not these, whose "
        "size is not known unless it is given."
    )
    blocks: list[Block] = [Prose(text), Bullets("", tuple(told[False]))]
    if told[True]:
        blocks.append(Bullets("Covered, or without a size", tuple(told[True]), folded=True))
    return Section("not-covered", HEADING, tuple(blocks))
