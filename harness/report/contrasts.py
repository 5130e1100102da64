"""All paired differences: the forest plot, and the secondary ones in numbers."""

from __future__ import annotations

from harness.findings import Contrast
from harness.report import wording
from harness.report.document import (
    Block,
    Column,
    Figure,
    ForestChart,
    ForestRow,
    Prose,
    Section,
    Table,
)
from harness.report.material import Material
from harness.report.outcome import not_compared, reading
from harness.report.scales import scale_of
from harness.report.tables import Field, table


def forest_section(material: Material) -> Section:
    """All differences at a glance, then the secondary ones in numbers."""
    contrasts = [c for c in (material.findings.primary, *material.findings.secondary) if c]
    scale = scale_of(contrasts[0].metric if contrasts else "")
    rows = tuple(
        row
        for found in contrasts
        if found.metric == contrasts[0].metric
        and (row := forest_row(found, f"{wording.short(found.a)} − {wording.short(found.b)}"))
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
    blocks = (figure, _secondary(material), *_unflagged(material))
    return Section("contrasts", heading, blocks)


def forest_row(found: Contrast, label: str, arm: str = "") -> ForestRow | None:
    """A contrast as it is drawn, in the colour of ``arm`` or else its first one; None without
    numbers."""
    scale = scale_of(found.metric)
    numbers = (found.difference, found.interval.low, found.interval.high)
    if not all(wording.is_number(value) for value in numbers):
        return None
    difference, low, high = (value * scale.factor for value in numbers)
    return ForestRow(
        label=label,
        arm=arm or found.a,
        difference=difference,
        low=low,
        high=high,
        margin=found.margin * scale.factor,
        primary=found.primary,
        text=scale.difference(found.difference),
    )


def _secondary(material: Material) -> Table | Prose:
    found = material.findings.secondary
    if not found:
        return Prose("There is no secondary contrast.")
    rows = tuple(
        (
            _pair(item),
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
            *_equivalence(found),
            *_not_compared(found),
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


def _equivalence(found: tuple[Contrast, ...]) -> list[str]:
    """The intervals on which a finding of equivalence rests."""
    sentences = []
    for row in found:
        scale = scale_of(row.metric)
        equal = row.equivalence_interval
        if row.outcome == "equivalent" and equal and scale.difference_interval(equal, ""):
            sentences.append(
                f"{_pair(row)}, equivalent: the {wording.level(equal)} interval "
                f"{scale.difference_interval(equal)} lies within ±{scale.gap(row.margin)}."
            )
    return sentences


def _not_compared(found: tuple[Contrast, ...]) -> list[str]:
    """Test items outside the comparisons, those alike told together."""
    alike: dict[str, list[str]] = {}
    for row in found:
        if reason := not_compared(row, ""):
            alike.setdefault(reason, []).append(_pair(row))
    return [
        f"Items not compared: {reason} ({'; '.join(pairs)})." for reason, pairs in alike.items()
    ]


def _pair(found: Contrast) -> str:
    return f"{wording.cell(found.a)} against {wording.cell(found.b)}"


def _unflagged(material: Material) -> list[Block]:
    """Secondary contrasts again, without items that training data hold too."""
    rows = [found for found in material.findings.secondary if found.flagged]
    if not rows:
        return []
    fields: tuple[Field[Contrast], ...] = (
        Field("Contrast", _pair, numeric=False),
        Field("Items flagged", lambda row: wording.count(row.flagged)),
        Field("Difference with them", lambda row: scale_of(row.metric).difference(row.difference)),
        Field("Without them", _difference_without),
        Field("Interval", _interval_without),
        Field("Outcome", _outcome_without, numeric=False),
    )
    caption = "Secondary contrasts without items that share text with training"
    return [table(caption, fields, rows, folded=True)]


def _difference_without(row: Contrast) -> str:
    left = row.without_flagged
    return scale_of(row.metric).difference(left.difference if left else None)


def _interval_without(row: Contrast) -> str:
    left = row.without_flagged
    return scale_of(row.metric).difference_interval(left.interval if left else None)


def _outcome_without(row: Contrast) -> str:
    if row.without_flagged is None:
        return "too few items are left"
    return "the same" if row.without_flagged.outcome == row.outcome else "another"


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
