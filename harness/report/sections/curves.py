"""Learning curves: what more training data changes."""

from __future__ import annotations

from harness import wording
from harness.findings import CurvePoint, LearningCurve
from harness.report.chart_records import CurveChart, SizeLine, SizePoint
from harness.report.document import Bullets, Figure, Section, Table, Unmeasured
from harness.report.scales import scale_of
from harness.report.sections.material import Material
from harness.report.tables import Field, table
from harness.wording import Scale

_Point = tuple[LearningCurve, CurvePoint]
HEADING = "Would more data help?"


def curves_section(material: Material) -> Section:
    """Score on the training sample and on validation against the number of examples."""
    curves = material.findings.curves
    if not any(curve.points for curve in curves):
        missing = Unmeasured(
            "Learning curves",
            "`curve: [64, 128]` on a fine-tuned arm trains its selected setting on so many "
            "examples, too.",
        )
        return Section("curves", HEADING, (missing,))
    scale = scale_of(curves[0].metric)
    lines = tuple(_line(curve, scale) for curve in curves if curve.metric == curves[0].metric)
    name = wording.capitalised(material.named(curves[0].metric))
    sentences = Bullets("Arm by arm", tuple(_told(curve) for curve in curves))
    if not any(point.held_out is not None for line in lines for point in line.points):
        return Section("curves", HEADING, (sentences, _table(material)))
    figure = Figure(
        key="curves",
        title="Score against the number of training examples",
        see=_see(curves),
        chart=CurveChart(axis=scale.axis(name), lines=lines),
    )
    return Section("curves", HEADING, (figure, sentences, _table(material)))


def _line(curve: LearningCurve, scale: Scale) -> SizeLine:
    return SizeLine(
        curve.arm,
        tuple(
            SizePoint(
                items=point.train_items,
                train=scale.scaled(point.train),
                held_out=scale.scaled(point.held_out),
                low=scale.scaled(bounds.low if (bounds := point.held_out_interval) else None),
                high=scale.scaled(bounds.high if bounds else None),
            )
            for point in curve.points
        ),
    )


def _helps(curve: LearningCurve) -> bool:
    return curve.last_gain_interval is not None and curve.last_gain_interval.low > 0


def _see(curves: tuple[LearningCurve, ...]) -> str:
    helped = [wording.cell(curve.arm) for curve in curves if _helps(curve)]
    open_arms = [wording.cell(curve.arm) for curve in curves if not _helps(curve)]
    parts = []
    if helped:
        parts.append(f"more data would probably help {wording.listed(helped)}")
    if open_arms:
        parts.append(f"whether more data would help {wording.listed(open_arms)} cannot be told")
    return f"{wording.capitalised('; '.join(parts))}."


def _told(curve: LearningCurve) -> str:
    scale = scale_of(curve.metric)
    arm = wording.cell(curve.arm)
    return f"{arm}: {_last_step(curve, scale)} {_overfitting(curve, scale)}"


def _last_step(curve: LearningCurve, scale: Scale) -> str:
    if not wording.is_number(curve.last_gain) or curve.last_gain_interval is None:
        return "whether more data would help cannot be told, as it has fewer than two sizes."
    size = (
        f"{scale.difference(curve.last_gain)}, interval "
        f"{scale.difference_interval(curve.last_gain_interval)}"
    )
    if len(curve.points) > 1:
        before, last = curve.points[-2:]
        step = f"from {before.train_items:,} to {last.train_items:,} examples"
    else:
        step = "at the last step"
    if _helps(curve):
        return f"more data would probably help; its score still rose {step} ({size})."
    return f"whether more data would help cannot be told; {step}, its score changed by {size}."


def _overfitting(curve: LearningCurve, scale: Scale) -> str:
    interval = curve.gap_change_interval
    if not wording.is_number(curve.gap_change) or interval is None:
        return "Whether more data lessens overfitting cannot be told."
    size = f"({scale.gap(abs(curve.gap_change))}, interval {scale.difference_interval(interval)})"
    if interval.low > 0:
        return f"It overfits less with more data {size}."
    if interval.high < 0:
        return f"It overfits more with more data {size}."
    return f"Whether more data lessens overfitting cannot be told {size}."


def _table(material: Material) -> Table:
    curves = material.findings.curves
    rows = [(curve, point) for curve in curves for point in curve.points]
    scale = scale_of(curves[0].metric)
    fields: tuple[Field[_Point], ...] = (
        Field("Arm", lambda row: wording.cell(row[0].arm), numeric=False),
        Field("Training examples", lambda row: _size(row[1])),
        Field("Training sample", lambda row: scale.score(row[1].train)),
        Field("Validation", lambda row: scale.score(row[1].held_out)),
        Field("Interval", lambda row: scale.interval(row[1].held_out_interval)),
        *Field[_Point].change(
            "Gap: training minus validation",
            scale,
            lambda row: row[1].gap,
            lambda row: row[1].gap_interval,
        ),
        Field("Seeds", _seeds, brief=False),
    )
    return table(
        f"{wording.capitalised(material.named(curves[0].metric))} by number of training examples",
        fields,
        rows,
        notes=("Smaller sets are parts of larger ones; the setting is the one that validation "
               "selected on all examples.",),
        folded=True,
    )  # fmt: skip


def _seeds(row: _Point) -> str:
    return wording.count(row[1].seeds)


def _size(point: CurvePoint) -> str:
    return f"{point.train_items:,} (all)" if point.full else f"{point.train_items:,}"
