"""The decision and the contrast it rests on."""

from __future__ import annotations

import re

from harness.findings import ArmSummary, Contrast, Interval
from harness.report import wording
from harness.report.document import Facts, Prose, Section, VerdictView
from harness.report.material import Material
from harness.report.scales import PER_CENT, Scale, scale_of

LABELS = {
    "fine_tune": "Fine-tune",
    "prompt": "Prompt, do not fine-tune",
    "equivalent": "Either works: take the cheaper",
    "forgets_too_much": "Fine-tuning works, but forgets too much",
    "inconclusive": "Not decided yet",
}
FORGETTING = {"kept": "kept", "forgot": "lost", "inconclusive": "undecided"}


def verdict_view(material: Material) -> VerdictView:
    """The verdict with the few numbers that carry it."""
    verdict = material.findings.verdict
    label = LABELS.get(verdict.outcome, wording.cell(verdict.outcome))
    headline, stop, detail = _split(_sentence(verdict.sentence))
    return VerdictView(
        outcome=verdict.outcome,
        label=label,
        headline=headline + stop,
        detail=detail,
        reasons=tuple(_sentence(text) for text in verdict.reasons if text not in verdict.sentence),
        caveats=tuple(_sentence(text) for text in verdict.caveats),
        figures=_key_figures(material),
    )


def _sentence(text: str) -> str:
    """A sentence from the analysis; no line ends between a number and its sign."""
    return re.sub(r"(?<=\d) %", "\u00a0%", wording.cell(text, limit=900))


def _split(sentence: str) -> tuple[str, str, str]:
    """First sentence, its full stop, and the rest."""
    headline, stop, detail = sentence.partition(". ")
    return headline, stop.strip(), detail


def _key_figures(material: Material) -> tuple[tuple[str, str], ...]:
    contrast = material.findings.primary
    name = material.metric_name
    sides = _sides(material)
    figures = [
        (f"{title} ({wording.cell(row.arm)})", material.scale.score(row.test))
        for title, row in sides
    ]
    if contrast is not None:
        figures.append((f"Difference in {name}", material.scale.difference(contrast.difference)))
    for found in material.findings.forgetting:
        if found.arm in {row.arm for _, row in sides}:
            state = FORGETTING.get(found.outcome, found.outcome)
            term = f"Change in general ability of {wording.cell(found.arm)} ({state})"
            figures.append((term, PER_CENT.difference(found.mean_change)))
    if material.findings.verdict.items_needed is not None:
        needed = wording.count(material.findings.verdict.items_needed)
        figures.append(("Test items that would settle it", f"about {needed}"))
    return tuple(figures)


def _sides(material: Material) -> list[tuple[str, ArmSummary]]:
    """The two arms that were compared, each under what it stands for."""
    contrast = material.findings.primary
    rows = {row.arm: row for row in material.findings.arms}
    if contrast is not None and material.kind_of(contrast.b) not in {"prompt", ""}:
        arms = (contrast.a, contrast.b)
        return [("Fine-tuned arm", rows[arm]) for arm in arms if arm in rows]
    found = []
    for kind, key, row in (
        ("fine-tuned arm", "fine_tuned", material.best(prompt=False)),
        ("prompt arm", "against", material.best(prompt=True)),
    ):
        if row is not None:
            named = row.arm == material.declared("contrast", key)
            found.append((wording.capitalised(kind) if named else f"Best {kind}", row))
    return found


def primary_section(material: Material) -> Section:
    """The contrast that was declared before the run."""
    contrast = material.findings.primary
    if contrast is None:
        text = (
            "The primary contrast was not measured: it needs a fine-tuned arm and a prompt arm "
            "that were both scored on the test set."
        )
        return Section("primary", "The question that was asked", (Prose(text),))
    a, b = wording.cell(contrast.a), wording.cell(contrast.b)
    scale = scale_of(contrast.metric)
    facts = [
        ("Compared", f"{_named(material, contrast.a)} against {_named(material, contrast.b)}"),
        ("Measure", f"{wording.metric(contrast.metric)} on the {wording.cell(contrast.split)} set"),
        ("Scores", f"{a} {scale.score(contrast.mean_a)}, {b} {scale.score(contrast.mean_b)}"),
        ("Difference", _difference_words(scale, contrast.difference, contrast.interval)),
        ("Margin", f"differences within ±{scale.gap(contrast.margin)} count as none"),
        ("Reading", reading(contrast)),
        ("p-value", f"{wording.p_value(contrast.p_value)} ({wording.cell(contrast.test)})"),
        ("Based on", _basis(contrast)),
        ("Not compared", not_compared(contrast, "none: both arms answered every item")),
        ("Without items that share text with training", _without_flagged(material, contrast)),
        (
            "Smallest difference this test can find",
            f"{scale.gap(contrast.minimum_detectable)} (with 80 % power)",
        ),
    ]
    equal = contrast.equivalence_interval
    if contrast.outcome == "equivalent" and equal and scale.difference_interval(equal, ""):
        bounds = scale.difference_interval(equal)
        text = f"{bounds} ({wording.level(equal)}), all within ±{scale.gap(contrast.margin)}"
        facts.insert(6, ("Interval for being equal", text))
    if contrast.outcome == "inconclusive":
        needed = wording.count(contrast.items_needed, "more items alone would not settle it")
        facts.append(("Items needed to settle it", needed))
    sides = (
        "the best fine-tuned arm against the best prompt arm"
        if material.kind_of(contrast.b) in {"prompt", ""}
        else "one fine-tuned arm against another"
    )
    intro = (
        f"Declared before anything ran: {sides}, "
        "compared item by item on data that no arm had seen. Positive is better for "
        f"{a}."
    )
    return Section("primary", "The question that was asked", (Prose(intro), Facts(tuple(facts))))


def not_compared(found: Contrast, none: str) -> str:
    """Test items outside a comparison, and why; ``none`` where all are in it."""
    parts = []
    if found.left_out:
        parts.append(f"{wording.count(found.left_out)} that one arm lacks")
    if found.unscored:
        parts.append(f"{wording.count(found.unscored)} that could not be scored")
    return wording.listed(parts) if parts else none


def _without_flagged(material: Material, found: Contrast) -> str:
    if not found.flagged:
        known = material.audit is not None and "flagged_items" in material.audit
        return "no item compared was flagged" if known else wording.NOT_MEASURED
    number = f"{wording.plural(found.flagged, 'item')} flagged"
    left = found.without_flagged
    if left is None:
        return f"{number}; too few are left to compare without them"
    again = _difference_words(scale_of(found.metric), left.difference, left.interval)
    words = {"better": "better", "worse": "worse", "equivalent": "equivalent"}
    outcome = (
        "the same outcome"
        if left.outcome == found.outcome
        else f"another outcome: {words.get(left.outcome, 'undecided')}"
    )
    return f"{number}; on the other {wording.count(left.items)} {again}, {outcome}"


def _named(material: Material, arm: str) -> str:
    kind = material.kind_of(arm)
    return f"{wording.cell(arm)} ({wording.kind(kind)})" if kind else wording.cell(arm)


def _difference_words(scale: Scale, difference: float, interval: Interval) -> str:
    bounds = scale.difference_interval(interval, missing="")
    shown = scale.difference(difference)
    return f"{shown} ({wording.level(interval)} interval {bounds})" if bounds else shown


def reading(found: Contrast) -> str:
    """What a contrast says, in words."""
    a, b = wording.cell(found.a), wording.cell(found.b)
    return {
        "better": f"{a} is better than {b}",
        "worse": f"{a} is worse than {b}",
        "equivalent": f"{a} and {b} are equivalent: the interval lies within the margin",
        "inconclusive": f"undecided: the data cannot tell {a} and {b} apart, nor call them equal",
    }.get(found.outcome, found.outcome)


def _basis(found: Contrast) -> str:
    seeds = (
        wording.plural(found.seeds_a, "seed")
        if found.seeds_a == found.seeds_b
        else f"{found.seeds_a} and {found.seeds_b} seeds"
    )
    items = wording.plural(found.items, "item")
    groups = "" if found.clusters == found.items else f" in {found.clusters:,} groups"
    return f"{items}{groups}, {seeds}"
