"""All paired differences: the forest plot, and the secondary ones in numbers."""

from __future__ import annotations

from harness.findings import Contrast
from harness.report import wording
from harness.report.document import Column, Figure, ForestChart, ForestRow, Prose, Section, Table
from harness.report.material import Material
from harness.report.outcome import reading
from harness.report.scales import scale_of


def forest_section(material: Material) -> Section:
    """All differences at a glance, then the secondary ones in numbers."""
    contrasts = [c for c in (material.findings.primary, *material.findings.secondary) if c]
    scale = scale_of(contrasts[0].metric if contrasts else "")
    rows = tuple(
        ForestRow(
            label=f"{wording.short(found.a)} − {wording.short(found.b)}",
            arm=found.a,
            difference=found.difference * scale.factor,
            low=found.interval.low * scale.factor,
            high=found.interval.high * scale.factor,
            margin=found.margin * scale.factor,
            primary=found.primary,
            text=scale.difference(found.difference),
        )
        for found in contrasts
        if found.metric == contrasts[0].metric
        and all(
            wording.is_number(value)
            for value in (found.difference, found.interval.low, found.interval.high)
        )
    )
    heading = "All differences between arms"
    if not rows:
        return Section("contrasts", heading, (Prose("No difference was measured."),))
    name = wording.metric(contrasts[0].metric)
    margin = contrasts[0].margin
    figure = Figure(
        key="forest",
        title="Paired differences between arms",
        see=_forest_sentence(contrasts),
        chart=ForestChart(
            axis=scale.axis(f"Difference in {name}", difference=True),
            margin=scale.gap(margin),
            rows=rows,
        ),
    )
    return Section("contrasts", heading, (figure, _secondary(material)))


def _secondary(material: Material) -> Table | Prose:
    found = material.findings.secondary
    if not found:
        return Prose("There is no secondary contrast.")
    rows = tuple(
        (
            f"{wording.cell(item.a)} against {wording.cell(item.b)}",
            wording.metric(item.metric),
            scale_of(item.metric).difference(item.difference),
            scale_of(item.metric).difference_interval(item.interval),
            wording.p_value(item.p_value),
            wording.p_value(item.p_adjusted),
            _short_reading(item),
            wording.count(item.items),
        )
        for item in found
    )
    return Table(
        "Secondary contrasts",
        (
            Column("Contrast"),
            Column("Metric"),
            Column("Difference", numeric=True),
            Column("Interval", numeric=True),
            Column("p", numeric=True, brief=False),
            Column("p, Holm-adjusted", numeric=True),
            Column("Reading"),
            Column("Items", numeric=True, brief=False),
        ),
        rows,
        (
            "Positive is better for the first-named arm. p-values are adjusted (Holm) because "
            "several comparisons were made; they support the primary contrast, not replace it.",
        ),
    )


def _short_reading(found: Contrast) -> str:
    a, b = wording.cell(found.a), wording.cell(found.b)
    return {
        "better": f"{a} better",
        "worse": f"{b} better",
        "equivalent": "equivalent",
        "inconclusive": "undecided",
    }.get(found.outcome, found.outcome)


def _forest_sentence(contrasts: list[Contrast]) -> str:
    sentences = []
    secondary = [found for found in contrasts if not found.primary]
    for found in contrasts:
        if found.primary:
            sentences.append(
                f"Primary: {reading(found)} ({scale_of(found.metric).difference(found.difference)})"
            )
    if secondary:
        settled = sum(found.outcome != "inconclusive" for found in secondary)
        sentences.append(
            f"of {wording.plural(len(secondary), 'secondary contrast')}, {settled:,} "
            f"{'is' if settled == 1 else 'are'} settled"
        )
    text = "; ".join(sentences)
    return f"{wording.capitalised(text)}."
