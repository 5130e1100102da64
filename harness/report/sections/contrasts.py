"""All paired differences: the forest plot, and the secondary ones in numbers."""

from __future__ import annotations

from collections.abc import Sequence

from harness import wording
from harness.findings import Contrast
from harness.report.chart_records import ForestChart, ForestRow
from harness.report.document import Block, Column, Figure, Prose, Section, Table
from harness.report.naming import turned
from harness.report.scales import scale_of
from harness.report.sections.material import Material
from harness.report.sections.outcome import not_compared
from harness.report.tables import MOST_ROWS, Field, shortened, table


def forest_section(material: Material) -> Section:
    """All differences at a glance, then the secondary ones in numbers."""
    contrasts = [c for c in (material.findings.primary, *_beside_primary(material)) if c]
    scale = scale_of(contrasts[0].metric if contrasts else "")
    rows = tuple(
        row
        for contrast in contrasts
        if contrast.metric == contrasts[0].metric
        and (
            row := forest_row(
                contrast, f"{wording.short(contrast.a)} − {wording.short(contrast.b)}"
            )
        )
    )
    heading = "All differences between arms"
    if not rows:
        return Section("contrasts", heading, ())
    metric = contrasts[0].metric
    name = material.named(metric)
    positive = ", positive is better" if turned(metric, material.experiment.task) else ""
    margin = contrasts[0].margin
    figure = Figure(
        key="forest",
        title="Paired differences between arms",
        see=_forest_sentence(contrasts),
        chart=ForestChart(
            axis=scale.axis(
                f"Difference in {name}{positive}",
                difference=True,
            ),
            margin=scale.margin(margin),
            rows=rows,
        ),
    )
    blocks = (figure, *_secondary(material), *_unflagged(material))
    return Section("contrasts", heading, blocks)


def forest_row(contrast: Contrast, label: str, arm: str = "") -> ForestRow | None:
    """A contrast as it is drawn, in the colour of ``arm`` or else its first one; None without
    numbers."""
    scale = scale_of(contrast.metric)
    numbers = (contrast.difference, contrast.interval.low, contrast.interval.high)
    if not all(wording.is_number(value) for value in numbers):
        return None
    difference, low, high = (value * scale.factor for value in numbers)
    return ForestRow(
        label=label,
        arm=arm or contrast.a,
        difference=difference,
        low=low,
        high=high,
        margin=contrast.margin * scale.factor,
        primary=contrast.primary,
        text=scale.difference(contrast.difference),
    )


def _beside_primary(material: Material) -> tuple[Contrast, ...]:
    """The secondary contrasts, and those with arms without a language model."""
    return (*material.findings.secondary, *material.findings.references)


def _secondary(material: Material) -> Sequence[Block]:
    """Every secondary contrast; of many, the settled ones, and all in the appendix."""
    contrasts = _beside_primary(material)
    if not contrasts:
        return [Prose("There is no secondary contrast.")]
    metrics = list(dict.fromkeys(item.metric for item in contrasts))
    several = len(metrics) > 1
    primary = material.findings.primary
    uneven = len({item.items for item in (*contrasts, *([primary] if primary else []))}) > 1
    rows = tuple(
        (
            _pair(item),
            *((material.named(item.metric),) if several else ()),
            scale_of(item.metric).difference(item.difference),
            scale_of(item.metric).difference_interval(item.interval),
            wording.p_value(item.p_adjusted),
            short_reading(item),
            *((wording.count(item.items),) if uneven else ()),
        )
        for item in contrasts
    )
    every = Table(
        "Secondary contrasts" + ("" if several else f" in {material.named(metrics[0])}"),
        (
            Column("Contrast"),
            *((Column("Metric"),) if several else ()),
            Column("Difference", numeric=True),
            Column("Interval", numeric=True),
            Column("p, Holm-adjusted", numeric=True),
            Column("Reading"),
            *((Column("Items", numeric=True, brief=False),) if uneven else ()),
        ),
        rows,
        _notes(material, contrasts),
    )
    if len(rows) <= MOST_ROWS:
        return [every]
    places = [n for n, item in enumerate(contrasts) if item.outcome != "inconclusive"]
    settled = tuple(contrasts[n] for n in places)
    return shortened(every, places, "Those that are settled.", _notes(material, settled))


def _notes(material: Material, contrasts: tuple[Contrast, ...]) -> tuple[str, ...]:
    return (
        f"Positive is better for the first-named arm. {_corrected(material)}",
        *_decoding(contrasts),
        *_equivalence(contrasts),
        *_not_compared(contrasts),
    )


def _corrected(material: Material) -> str:
    if material.prompts_only:
        family = "p-values are adjusted (Holm) over one family: these and the primary contrast."
        if material.findings.references:
            family += " Those with an arm without a language model are a family of their own."
        return family
    return "p-values are adjusted for their number (Holm)."


def short_reading(contrast: Contrast) -> str:
    """What a contrast says, in two or three words."""
    a, b = wording.cell(contrast.a), wording.cell(contrast.b)
    return {
        "better": f"{a} better",
        "worse": f"{b} better",
        "equivalent": "equivalent",
        "inconclusive": "undecided",
    }.get(contrast.outcome, contrast.outcome)


def _decoding(contrasts: tuple[Contrast, ...]) -> list[str]:
    """Contrasts between two ways of decoding."""
    return [wording.cell(row.decoding, 300) for row in contrasts if row.decoding]


def _equivalence(contrasts: tuple[Contrast, ...]) -> list[str]:
    """The intervals on which a finding of equivalence rests."""
    sentences = []
    for row in contrasts:
        scale = scale_of(row.metric)
        equal = row.equivalence_interval
        if row.outcome == "equivalent" and equal and scale.difference_interval(equal, ""):
            sentences.append(
                f"{_pair(row)}, equivalent: the {wording.level(equal)} interval "
                f"{scale.difference_interval(equal)} lies within ±{scale.margin(row.margin)}."
            )
    return sentences


def _not_compared(contrasts: tuple[Contrast, ...]) -> list[str]:
    """Test items outside the comparisons, those alike told together."""
    alike: dict[str, list[str]] = {}
    for row in contrasts:
        if reason := not_compared(row, ""):
            alike.setdefault(reason, []).append(_pair(row))
    return [
        f"Items not compared: {reason} ({'; '.join(pairs)})." for reason, pairs in alike.items()
    ]


def _pair(contrast: Contrast) -> str:
    return f"{wording.cell(contrast.a)} against {wording.cell(contrast.b)}"


def _unflagged(material: Material) -> list[Block]:
    """Secondary contrasts again, without items that training data hold too."""
    rows = [contrast for contrast in _beside_primary(material) if contrast.flagged]
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
    """What the table below does not say; the primary one is the chapter's answer."""
    secondary = [contrast for contrast in contrasts if not contrast.primary]
    if not secondary:
        return "The primary contrast alone."
    settled = sum(contrast.outcome != "inconclusive" for contrast in secondary)
    return (
        f"Of {wording.plural(len(secondary), 'secondary contrast')}, {settled:,} "
        f"{'is' if settled == 1 else 'are'} settled."
    )
