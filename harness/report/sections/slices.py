"""The primary contrast on parts of the test items: for whom, and for whom not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness import wording
from harness.findings import Slice, Slicing, ValiditySlice
from harness.report.chart_records import ForestChart
from harness.report.document import Block, Figure, Section, Table
from harness.report.naming import metric_name
from harness.report.sections.contrasts import forest_row, short_reading
from harness.report.sections.material import Material
from harness.report.tables import MOST_ROWS, Field, shortened, table

HEADING = "Parts of the test"


def slices_section(material: Material) -> Section:
    """The parts at a glance and in numbers; without blocks where nothing was compared on parts."""
    slicing = material.findings.slicing
    if slicing is None:
        return Section("slices", HEADING, ())
    blocks: list[Block] = []
    if slicing.slices:
        blocks += [_figure(material, slicing), *_tables(material, slicing)]
    if slicing.validity:
        blocks.append(_validity(material, slicing))
    return Section("slices", HEADING, tuple(blocks))


def _figure(material: Material, slicing: Slicing) -> Figure:
    scale = material.scale
    a, b = wording.cell(slicing.a), wording.cell(slicing.b)
    contrasts = [(replace(part.contrast, primary=False), _name(part)) for part in slicing.slices]
    axis = scale.axis(f"Difference in {material.metric_name}, {a} − {b}", difference=True)
    return Figure(
        key="slices",
        title=f"{a} against {b}, part by part",
        see=f"Positive is better for {a}. Parts overlap.",
        chart=ForestChart(
            axis=axis,
            margin=scale.margin(slicing.slices[0].contrast.margin),
            rows=tuple(row for one in contrasts if (row := forest_row(*one)) is not None),
        ),
    )


def _tables(material: Material, slicing: Slicing) -> list[Table]:
    """Every part; of many, those that show something, and all in the appendix."""
    every = _table(material, slicing)
    if len(slicing.slices) <= MOST_ROWS:
        return [every]
    outcomes = [part.contrast.outcome for part in slicing.slices]
    settled = [n for n, outcome in enumerate(outcomes) if outcome in ("better", "worse")]
    return shortened(every, settled, "Parts on which one of the two is better.")


def _table(material: Material, slicing: Slicing) -> Table:
    scale = material.scale
    fields: tuple[Field[Slice], ...] = (
        Field("Part", _name, numeric=False),
        Field("Items", lambda part: wording.count(part.contrast.items)),
        Field(wording.cell(slicing.a), lambda part: scale.score(part.contrast.mean_a)),
        Field(wording.cell(slicing.b), lambda part: scale.score(part.contrast.mean_b)),
        *Field[Slice].change(
            "Difference",
            scale,
            lambda part: part.contrast.difference,
            lambda part: part.contrast.interval,
        ),
        Field(
            "p, Holm-adjusted", lambda part: wording.p_value(part.contrast.p_adjusted), brief=False
        ),
        Field("Reading", _reading, numeric=False),
    )
    return table(
        f"{wording.capitalised(metric_name(material.metric))} on parts of the test",
        fields,
        slicing.slices,
        notes=_notes(material, slicing),
        strong=_lost(material, slicing),
    )


def _notes(material: Material, slicing: Slicing) -> tuple[str, ...]:
    notes = [
        "p-values are adjusted over all parts (Holm), intervals are not. A part that shows nothing "
        "may have too few items."
    ]
    if slicing.too_small:
        values = wording.plural(slicing.too_small, "value")
        notes.append(f"{values} with fewer than 10 items: not compared.")
    if any(judge.primary and judge.contrasts for judge in material.findings.trust):
        notes.append("Parts rest on the judge alone: people's marks correct the whole only.")
    return tuple(notes)


def _lost(material: Material, slicing: Slicing) -> tuple[int, ...]:
    """Rows on which the winner loses."""
    lost = {slicing.a: "worse", slicing.b: "better"}.get(material.findings.verdict.winner)
    return tuple(row for row, part in enumerate(slicing.slices) if part.contrast.outcome == lost)


def _validity(material: Material, slicing: Slicing) -> Table:
    scale = material.scale
    a, b = wording.cell(slicing.a), wording.cell(slicing.b)
    fields: tuple[Field[ValiditySlice], ...] = (
        Field("Valid replies of", lambda part: _whose(part, a, b), numeric=False),
        Field("Items", lambda part: wording.count(part.items)),
        Field(a, lambda part: scale.score(part.mean_a)),
        Field(b, lambda part: scale.score(part.mean_b)),
    )
    note = (
        "Nothing is tested here, as the replies decide the row. Of both: how the two compare where "
        "form is no matter."
    )
    return table("By whether the task allows the reply", fields, slicing.validity, notes=(note,))


def _whose(part: ValiditySlice, a: str, b: str) -> str:
    named: Sequence[str] = [name for name, valid in ((a, part.valid_a), (b, part.valid_b)) if valid]
    return "neither" if not named else "both" if len(named) > 1 else f"{named[0]} alone"


def _reading(part: Slice) -> str:
    return short_reading(part.contrast)


def _name(part: Slice) -> str:
    return f"{wording.cell(part.by, 40)}: {wording.cell(part.value, 60) or '(empty)'}"


__all__ = ["slices_section"]
