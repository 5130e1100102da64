"""What the intervals of the report do not cover."""

from __future__ import annotations

from harness import wording
from harness.report.document import Column, Prose, Section, Table
from harness.report.sections.material import Material

HEADING = "What the intervals do not cover"


def not_covered_section(material: Material) -> Section:
    """One row a source of chance, with its size where it is known."""
    rows = tuple(
        (wording.cell(row.source), wording.cell(row.size, 600))
        for row in material.findings.not_covered
    )
    if not rows:
        return Section("not-covered", HEADING, ())
    text = "The intervals cover other test items and other repeats of the same setting."
    columns = (Column("Source"), Column("Size"))
    return Section("not-covered", HEADING, (Prose(text), Table("Not covered", columns, rows)))
