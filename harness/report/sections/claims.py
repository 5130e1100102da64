"""What guides to fine-tuning promise, checked on this task."""

from __future__ import annotations

from collections import Counter

from harness import wording
from harness.findings import Claim
from harness.report.document import Prose, Section, Unmeasured
from harness.report.sections.material import Material
from harness.report.tables import Field, table

STATUS = {
    "held": "held",
    "not_held": "did not hold",
    "inconclusive": "undecided",
    "not_tested": "not tested",
}


def claims_section(material: Material) -> Section:
    """Each claim with what was measured of it here."""
    heading = "What guides promise, checked here"
    judged = material.findings.claims
    if not judged:
        missing = Unmeasured(
            "What guides promise", "It is judged once the arms were scored on the test set."
        )
        return Section("claims", heading, (missing,))
    fields: tuple[Field[Claim], ...] = (
        Field("Claim", lambda row: wording.cell(row.claim, 300), numeric=False),
        Field("Here", _status, numeric=False),
        Field("Measured", _measured, numeric=False),
        Field("Why", lambda row: wording.cell(row.why, 400), numeric=False, brief=False),
    )
    claims = table(
        "Claims and what this study found",
        fields,
        judged,
        notes=(
            "Each is judged for this model, this task and these settings only. Undecided: the data "
            "fit the claim and its opposite, or too little was tried.",
        ),
    )
    return Section("claims", heading, (Prose(_summary(judged)), claims))


def _status(row: Claim) -> str:
    return STATUS.get(row.status, wording.cell(row.status, 40))


def _measured(row: Claim) -> str:
    text = wording.cell(row.measured, 300)
    if not text:
        return wording.NOT_MEASURED
    bounds = row.interval
    # The analysis names the interval with its unit where it can; twice would be once too often.
    if bounds is None or "interval" in text or not wording.is_number(bounds.low + bounds.high):
        return text
    low, high = wording.number(bounds.low), wording.number(bounds.high)
    return f"{text} ({wording.level(bounds)} interval {low} to {high})"


def _summary(claims: tuple[Claim, ...]) -> str:
    counts: Counter[str] = Counter(row.status for row in claims)
    parts = [f"{counts[key]:,} {word}" for key, word in STATUS.items() if counts[key]]
    return f"Of {wording.plural(len(claims), 'common claim')}: {wording.listed(parts)}."
