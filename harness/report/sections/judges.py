"""The judges: who marks replies, by what, and whether replies can move them."""

from __future__ import annotations

from harness import wording
from harness.findings import JudgeUse
from harness.report.document import Block, Facts, Prose, Section
from harness.report.sections.judge_trust import trust_blocks
from harness.report.sections.material import Material
from harness.report.tables import Field, table

HEADING = "The judges"
INTRO = (
    "Marks are a model's, not people's. A judge sees the item, the reply and, unless it is told "
    "otherwise, the right answer; never whose reply it is. The same reply is marked once."
)
MOVED = (
    "Moved by a plea: how far a sentence in the reply that asks for the best mark moved the mark, "
    "on a few test items of every final run; 0 is best."
)


def judges_section(material: Material) -> Section:
    """On the judges; without blocks where a study has none."""
    uses = material.findings.judges
    if not uses:
        return Section("judges", HEADING, ())
    fields: tuple[Field[JudgeUse], ...] = (
        Field("Metric", lambda use: wording.cell(use.metric), numeric=False),
        Field("Judged by", lambda use: wording.cell(use.by), numeric=False),
        Field("Scale", lambda use: f"{use.worst:g} to {use.best:g}"),
        Field("Moved by a plea", lambda use: wording.number(use.moved)),
        Field("Items that people marked", lambda use: wording.count(use.human_items)),
    )
    blocks: list[Block] = [
        Prose(INTRO),
        table("Judges", fields, uses, notes=(MOVED,)),
        Facts(
            tuple((f"Rubric of {wording.cell(use.judge)}", wording.cell(use.rubric, 600))
                  for use in uses)
        ),
    ]  # fmt: skip
    blocks += trust_blocks(material)
    cost = material.findings.judge_cost
    if cost is not None:
        blocks.append(
            Prose(
                f"Judging took {wording.seconds(cost.seconds)}, {wording.count(cost.tokens)} "
                f"tokens and {wording.money(cost.money, material.currency)}. That is the cost of "
                "measuring, and no arm's cost holds it."
            )
        )
    return Section("judges", HEADING, tuple(blocks))


__all__ = ["judges_section"]
