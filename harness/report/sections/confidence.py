"""How sure arms are that choose among all allowed answers, and what holding back would give."""

from __future__ import annotations

from harness import wording
from harness.findings import ArmConfidence
from harness.report.chart_records import ReliabilityChart, ReliabilityLine
from harness.report.document import Figure, Section
from harness.report.sections.material import Material
from harness.report.tables import ARM, Field, table
from harness.wording import PER_CENT

HEADING = "How sure, and how right"


def confidence_section(material: Material) -> Section:
    """Reliability, its error, abstention; without blocks where no arm chooses."""
    arms = material.findings.confidence
    if not arms:
        return Section("confidence", HEADING, ())
    figure = Figure(
        key="reliability",
        title="Confidence of a reply against how often it is right",
        see=_sentence(arms),
        chart=ReliabilityChart(
            tuple(
                ReliabilityLine(
                    arm.arm, tuple((100 * one.confidence, 100 * one.accuracy) for one in arm.bins)
                )
                for arm in arms
            )
        ),
    )
    shares = [abstention.abstained for abstention in arms[0].abstentions]
    fields: tuple[Field[ArmConfidence], ...] = (
        ARM,
        Field("Calibration error", lambda arm: PER_CENT.gap(arm.calibration_error), brief=False),
        Field("Gap", lambda arm: PER_CENT.gap(arm.gap)),
        Field("Interval", lambda arm: PER_CENT.interval(arm.interval)),
        *(_kept(place, share) for place, share in enumerate(shares)),
    )
    notes = (
        "Confidence: likelihood of the answer chosen as a share of that of all allowed ones. "
        "Calibration error (ECE): mean gap of confidence and accuracy over parts of equally many "
        "replies, which chance alone makes larger than 0; the gap beside it, with its interval, is "
        "a root mean square without that. Right without the least sure: if so many items went to a "
        "person instead.",
    )
    return Section("confidence", HEADING, (figure, table(HEADING, fields, arms, notes=notes)))


def _kept(place: int, share: float) -> Field[ArmConfidence]:
    return Field(
        f"Right without the least sure {share:.0%}",
        lambda arm: PER_CENT.score(arm.abstentions[place].accuracy),
        brief=place == 0,
    )


def _sentence(arms: tuple[ArmConfidence, ...]) -> str:
    told = []
    for arm in arms:
        apart = sum(part.items * (part.confidence - part.accuracy) for part in arm.bins) / arm.items
        way = "surer than right" if apart > 0 else "less sure than right"
        told.append(f"{wording.cell(arm.arm)} is {way} by {PER_CENT.gap(abs(apart))} on average")
    return "; ".join(told) + "."


__all__ = ["confidence_section"]
