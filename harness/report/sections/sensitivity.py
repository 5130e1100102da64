"""How far the verdict's assumptions may move, and its evidence be cut, before it changes."""

from __future__ import annotations

from collections.abc import Callable

from harness import wording
from harness.findings import OUTCOME_LABELS, Flip, Perturbation
from harness.report.document import Block, Prose, Section, Table, Unmeasured
from harness.report.sections.material import Material
from harness.report.tables import Field, table
from harness.wording import PER_CENT, Scale

ASSUMPTIONS = {
    "contrast.margin": "margin of the comparison",
    "contrast.level": "confidence level",
    "general.margin": "accepted loss of general ability",
    "cost.machine_per_hour": "price of the machine for an hour",
    "cost.requests_per_month": "requests a month",
    "cost.months": "months over which upfront money counts",
    "constraints.latency_ms": "limit on latency",
    "constraints.memory_mib": "limit on training memory",
    "constraints.artifact_mib": "limit on the size of what is deployed",
}


def sensitivity_section(material: Material) -> Section:
    """Where each assumption turns the verdict, and what leaving evidence out does to it."""
    heading = "What the verdict hangs on"
    sensitivity = material.findings.sensitivity
    if sensitivity is None or not (sensitivity.flips or sensitivity.perturbations):
        sides = (
            "two arms"
            if material.prompts_only
            else "a fine-tuned arm and the arm it is compared with"
        )
        missing = Unmeasured(
            "How firmly the verdict stands", f"It is, once {sides} were scored on the test set."
        )
        return Section("sensitivity", heading, (missing,))
    blocks: list[Block] = []
    turning = [flip for flip in sensitivity.flips if wording.is_number(flip.at)]
    if turning:
        blocks.append(_flips(material, turning))
    firm = [flip for flip in sensitivity.flips if not wording.is_number(flip.at)]
    if firm:
        blocks.append(Prose(_firm(material, firm, alone=not turning), folded=bool(turning)))
    if sensitivity.perturbations:
        blocks += [
            # The chapter's answer has the count.
            Prose(_steadiness(sensitivity.perturbations), folded=True),
            _perturbations(sensitivity.perturbations),
        ]
    return Section("sensitivity", heading, tuple(blocks))


def _flips(material: Material, flips: list[Flip]) -> Table:
    fields: tuple[Field[Flip], ...] = (
        Field("Assumption", _assumption, numeric=False),
        Field("Declared", lambda row: _declared(material, row)),
        Field("Changes at", lambda row: f"{_arrow(row)} {_written(material, row, row.at)}"),
        Field("Verdict then", lambda row: _verdict(row.outcome, row.winner), numeric=False),
    )
    return table("Assumptions that would change the verdict", fields, flips)


def _assumption(row: Flip) -> str:
    return ASSUMPTIONS.get(row.assumption, wording.cell(row.assumption, 80))


def _arrow(row: Flip) -> str:
    return "down to" if row.direction == "down" else "up to"


def _declared(material: Material, row: Flip) -> str:
    return "not declared" if row.value is None else _written(material, row, row.value)


def _written(material: Material, row: Flip, value: float | None) -> str:
    writers: dict[str, Callable[[float | None], str]] = {
        "contrast.margin": lambda margin: _margin(material.scale, margin),
        "contrast.level": PER_CENT.score,
        "general.margin": lambda margin: _margin(PER_CENT, margin),
        "cost.machine_per_hour": lambda amount: wording.money(amount, material.currency),
        "cost.requests_per_month": wording.count,
        "constraints.latency_ms": lambda ms: f"{wording.number(ms)} ms",
        "constraints.memory_mib": wording.mebibytes,
        "constraints.artifact_mib": wording.mebibytes,
    }
    return writers.get(row.assumption, wording.number)(value)


def _margin(scale: Scale, margin: float | None) -> str:
    """A margin in full: the ends of the range tried may be far smaller than any score shows."""
    if not wording.is_number(margin):
        return wording.NOT_MEASURED
    return f"{wording.number(margin * scale.factor)}{scale.difference_unit}"


def _verdict(outcome: str | None, winner: str) -> str:
    label = OUTCOME_LABELS.get(outcome or "", wording.cell(outcome or "")) or wording.NOT_MEASURED
    if outcome == "forgets_too_much" and not winner:
        return f"{label}, and no prompt arm is allowed"
    return f"{label} ({wording.cell(winner)})" if winner else label


def _firm(material: Material, flips: list[Flip], alone: bool) -> str:
    ranges: dict[str, list[str]] = {}
    for row in flips:
        end = f"{_arrow(row)} {_written(material, row, row.searched)}"
        ranges.setdefault(_assumption(row), []).append(end)
    parts = [f"{name} ({' or '.join(ends)})" for name, ends in ranges.items()]
    opening = "None of these changes" if alone else "These do not change"
    return f"{opening} the verdict within the range tried: {'; '.join(parts)}."


def _steadiness(perturbations: tuple[Perturbation, ...]) -> str:
    changed = sum(row.changed for row in perturbations)
    parts = wording.plural(len(perturbations), "part")
    if not changed:
        return f"The evidence was cut in {parts}, one at a time: the verdict stays each time."
    return (
        f"The evidence was cut in {parts}, one at a time: the verdict changes in {changed:,} of "
        f"{len(perturbations):,}, so it leans on what was left out there."
    )


def _perturbations(perturbations: tuple[Perturbation, ...]) -> Table:
    fields: tuple[Field[Perturbation], ...] = (
        Field("Left out or exchanged", lambda row: wording.cell(row.left_out), numeric=False),
        Field("Verdict then", lambda row: _verdict(row.outcome, row.winner), numeric=False),
        Field("Changed", lambda row: "yes" if row.changed else "no", numeric=False),
    )
    changed = tuple(index for index, row in enumerate(perturbations) if row.changed)
    folded = not changed
    return table(
        "The verdict with a part of the evidence left out",
        fields,
        perturbations,
        strong=changed,
        folded=folded,
    )
