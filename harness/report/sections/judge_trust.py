"""Judges held against people: agreement, bias by arm, and what the marks of people change."""

from __future__ import annotations

from harness import wording
from harness.findings import ArmBias, CorrectedContrast, JudgeTrust
from harness.report.document import Block, Prose
from harness.report.sections.material import Material
from harness.report.tables import ARM, Field, table
from harness.wording import PLAIN


def trust_blocks(material: Material) -> list[Block]:
    """A table a question; nothing where no metric is a judge's."""
    judges = material.findings.trust
    if not judges:
        return []
    blocks: list[Block] = [_agreement(judges)]
    for judge in judges:
        if judge.biases:
            blocks.append(_biases(judge))
        if judge.contrasts:
            blocks.append(_contrasts(judge))
    return blocks


def _agreement(judges: tuple[JudgeTrust, ...]) -> Block:
    if not any(judge.marked for judge in judges):
        names = wording.listed([wording.cell(judge.metric) for judge in judges])
        return Prose(f"No person marked a reply, so nothing is known of how {names} agrees.")
    fields: tuple[Field[JudgeTrust], ...] = (
        Field("Judge", lambda judge: wording.cell(judge.metric), numeric=False),
        Field("People's marks", lambda judge: wording.count(judge.marked)),
        Field("Weighted kappa", lambda judge: PLAIN.score(judge.kappa)),
        Field("Interval", lambda judge: PLAIN.interval(judge.kappa_interval)),
        Field("Rank correlation", lambda judge: PLAIN.score(judge.correlation)),
        Field(
            "Its interval",
            lambda judge: PLAIN.interval(judge.correlation_interval),
            brief=False,
        ),
        Field("Marks left out", lambda judge: wording.count(judge.unmatched), brief=False),
    )
    return table(
        "Agreement of judge and people on the same replies",
        fields,
        judges,
        notes=(
            "Kappa, with quadratic weights: 1 is agreement, 0 what chance would give. Marks that "
            "belong to no reply of a final run to the test are left out.",
        ),
    )


def _biases(judge: JudgeTrust) -> Block:
    fields: tuple[Field[ArmBias], ...] = (
        ARM,
        Field("Replies marked", lambda row: wording.count(row.replies)),
        Field("Judge minus people", lambda row: PLAIN.difference(row.bias)),
        Field("Interval", lambda row: PLAIN.difference_interval(row.interval)),
    )
    return table(
        f"Whom {wording.cell(judge.metric)} favours, in marks",
        fields,
        judge.biases,
        notes=("Above 0 the judge is kinder than people. A difference between arms misleads.",),
    )


def _contrasts(judge: JudgeTrust) -> Block:
    fields: tuple[Field[CorrectedContrast], ...] = (
        Field("Contrast", _pair, numeric=False),
        Field("Items marked", lambda row: wording.count(row.marked)),
        Field("The judge alone", lambda row: PLAIN.difference(row.judged)),
        Field(
            "Its interval",
            lambda row: PLAIN.difference_interval(row.judged_interval),
            brief=False,
        ),
        Field("Corrected", lambda row: PLAIN.difference(row.corrected)),
        Field("Interval", lambda row: PLAIN.difference_interval(row.interval)),
        Field("Weight of the judge", lambda row: PLAIN.score(row.weight), brief=False),
        Field("Items to mark", lambda row: wording.count(row.marks_needed), brief=False),
    )
    return table(
        f"Differences by {wording.cell(judge.metric)}, and as people would have them",
        fields,
        judge.contrasts,
        notes=(
            "The corrected interval decides. It joins the judge's marks of all items with people's "
            "of some, so that what the judge favours drops out (prediction-powered inference); a "
            "judge that says nothing of people's marks has weight 0. Items to mark: for 80 % power "
            "if the corrected difference, or else the margin, is true.",
        ),
    )


def _pair(row: CorrectedContrast) -> str:
    return f"{wording.cell(row.a)} − {wording.cell(row.b)}"


__all__ = ["trust_blocks"]
