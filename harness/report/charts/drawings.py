"""What each chart shows, painted on given axes."""

from __future__ import annotations

from typing import Any

from harness import wording
from harness.report.chart_records import (
    Chart,
    CurveChart,
    ForestChart,
    HistoryChart,
    LossChart,
    ReliabilityChart,
    ScaleChart,
    SettingsChart,
    SizePoint,
    SpendingChart,
    SplitChart,
    TradeOffChart,
    TradePoint,
)
from harness.report.charts.palette import BAND, INK, Style, style_of
from harness.report.charts.search_drawings import history, settings

POINTS = 150


def paint(axes: Any, chart: Chart, styles: dict[str, Style]) -> None:
    """Draw a chart of any kind."""
    match chart:
        case ForestChart():
            _forest(axes, chart, styles)
        case TradeOffChart():
            _trade_off(axes, chart, styles)
        case LossChart():
            _losses(axes, chart, styles)
        case SplitChart():
            _splits(axes, chart, styles)
        case CurveChart():
            _curves(axes, chart, styles)
        case ReliabilityChart():
            _reliability(axes, chart, styles)
        case ScaleChart():
            _scale(axes, chart, styles)
        case SpendingChart():
            _spending(axes, chart, styles)
        case HistoryChart():
            history(axes, chart, styles)
        case SettingsChart():
            settings(axes, chart, styles)


def _forest(axes: Any, chart: ForestChart, styles: dict[str, Style]) -> None:
    margin = next((row.margin for row in chart.rows if row.primary), chart.rows[0].margin)
    axes.axvspan(-margin, margin, color=BAND, alpha=0.18, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.8)
    for place, row in enumerate(chart.rows):
        style = style_of(styles, row.arm)
        weight = 2.6 if row.primary else 1.4
        axes.plot((row.low, row.high), (place, place), color=style.colour, linewidth=weight)
        size = 8 if row.primary else 5.5
        axes.plot(row.difference, place, style.marker, color=style.colour, markersize=size)
        primary = " (primary)" if row.primary else ""
        axes.text(
            0,
            place - 0.3,
            f"{row.label}{primary}: {row.text}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontweight="bold" if row.primary else "normal",
        )
    axes.set_yticks([])
    axes.set_ylim(len(chart.rows) - 0.6, -0.7)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"{chart.axis}\nright: first-named arm better; shaded: within ±{chart.margin}")


def _trade_off(axes: Any, chart: TradeOffChart, styles: dict[str, Style]) -> None:
    axes.axvline(0, color=INK, linewidth=0.5, alpha=0.5)
    axes.axhline(0, color=INK, linewidth=0.5, alpha=0.5)
    if chart.margin is not None:
        axes.axhspan(-chart.margin, 0, color=BAND, alpha=0.18, linewidth=0)
    searched = any(not point.final for point in chart.points)
    front = sorted((p.gain, p.change) for p in chart.points if p.on_front)
    if len(front) > 1:
        xs, ys = zip(*front, strict=True)
        axes.plot(xs, ys, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    for arm in dict.fromkeys(point.arm for point in chart.points):
        style = style_of(styles, arm)
        own = [point for point in chart.points if point.arm == arm]
        ends = sorted((p.gain, p.change) for p in own if p.on_arm_front)
        if searched and len(ends) > 1:
            xs, ys = zip(*ends, strict=True)
            axes.plot(xs, ys, color=style.colour, linewidth=0.7, alpha=0.8, zorder=1)
        _candidates(axes, own, style)
        axes.plot([], [], style.marker, color=style.colour, label=wording.short(arm))
    _legend(axes)
    axes.margins(0.08)
    keys = [f"shaded: a loss within {chart.margin_text}"] if chart.margin is not None else []
    keys += ["dashed: the front"] if len(front) > 1 else []
    key = "; ".join(keys)
    if searched:
        key += "\nhollow: trials of the search; filled: final runs; thin lines: front of each arm"
    axes.set_xlabel(f"{chart.x_axis}\n{key.strip()}".strip())
    axes.set_ylabel(chart.y_axis)


def _candidates(axes: Any, points: list[TradePoint], style: Style) -> None:
    """Points that look alike are drawn at once: a search has hundreds of them."""
    alike: dict[tuple[bool, bool], list[TradePoint]] = {}
    for point in points:
        alike.setdefault((point.on_front, point.final), []).append(point)
    for (on_front, final), group in sorted(alike.items()):
        size = 8 if on_front else 5.5
        axes.plot(
            [point.gain for point in group],
            [point.change for point in group],
            style.marker,
            color=style.colour,
            markerfacecolor=style.colour if final else "none",
            markersize=size if final else size - 1.5,
            alpha=1 if on_front else 0.65,
        )


def _losses(axes: Any, chart: LossChart, styles: dict[str, Style]) -> None:
    named: set[str] = set()
    for line in chart.lines:
        style = style_of(styles, line.arm)
        label = None if line.arm in named else wording.short(line.arm)
        named.add(line.arm)
        xs, ys = zip(*_thinned(line.train), strict=True)
        axes.plot(xs, ys, color=style.colour, linewidth=1.2, alpha=0.75, label=label)
        if line.validation:
            xs, ys = zip(*line.validation, strict=True)
            axes.plot(
                xs,
                ys,
                style.marker,
                color=style.colour,
                markersize=5.5,
                linestyle=(0, (2, 2)),
                linewidth=1,
            )
    _legend(axes)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("Step (lines: training; markers: validation)")
    axes.set_ylabel("Loss (nats per answer token)")


def _thinned(points: tuple[tuple[int, float], ...]) -> list[tuple[float, float]]:
    """Means of neighbouring steps, so that long runs stay small files and readable lines."""
    size = -(-len(points) // POINTS)
    chunks = [points[start : start + size] for start in range(0, len(points), size)]
    return [
        (sum(x for x, _ in chunk) / len(chunk), sum(y for _, y in chunk) / len(chunk))
        for chunk in chunks
    ]


def _splits(axes: Any, chart: SplitChart, styles: dict[str, Style]) -> None:
    kinds = (("train", "|", 11), ("validation", "x", 7), ("test", "o", 8))
    for place, group in enumerate(chart.groups):
        style = style_of(styles, group.arm)
        values = {"train": group.train, "validation": group.validation, "test": group.test}
        known = [value for value in values.values() if value is not None]
        if known:
            axes.plot(
                (min(known), max(known)), (place, place), color=INK, alpha=0.35, linewidth=0.8
            )
        if group.test_low is not None and group.test_high is not None:
            ends = (group.test_low, group.test_high)
            axes.plot(ends, (place, place), color=style.colour, linewidth=4, alpha=0.35)
        for name, marker, size in kinds:
            if values[name] is not None:
                axes.plot(
                    values[name],
                    place,
                    marker,
                    color=style.colour,
                    markersize=size,
                    markeredgewidth=2,
                )
    for name, marker, size in kinds:
        axes.plot([], [], marker, color=INK, markersize=size - 2, markeredgewidth=2, label=name)
    axes.plot([], [], color=INK, linewidth=4, alpha=0.35, label="interval of test")
    _legend(axes)
    axes.set_yticks(range(len(chart.groups)), [wording.short(group.arm) for group in chart.groups])
    axes.set_ylim(len(chart.groups) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(chart.axis)


def _curves(axes: Any, chart: CurveChart, styles: dict[str, Style]) -> None:
    axes.set_xscale("log")
    for place, line in enumerate(chart.lines):
        style = style_of(styles, line.arm)
        # Arms share sizes: a little apart, so that no bar hides another.
        aside = 1.02 ** (place - (len(chart.lines) - 1) / 2)
        _held_out(axes, line.points, style, aside, wording.short(line.arm))
        trained = [(p.items * aside, p.train) for p in line.points if p.train is not None]
        if trained:
            xs, ys = zip(*trained, strict=True)
            axes.plot(
                xs,
                ys,
                style.marker,
                color=style.colour,
                markerfacecolor="none",
                markersize=5,
                linestyle=(0, (2, 2)),
                linewidth=1,
            )
    _legend(axes)
    sizes = sorted({point.items for line in chart.lines for point in line.points})
    shown = [size for at, size in enumerate(sizes) if not at or size > 1.12 * sizes[at - 1]]
    axes.set_xticks(shown, [f"{size:,}" for size in shown])
    axes.minorticks_off()
    axes.set_xlabel(
        "Training examples (logarithmic)\nfilled, solid: on validation, with interval\n"
        "hollow, dashed: on a sample of its training examples"
    )
    axes.set_ylabel(chart.axis)


def _held_out(
    axes: Any, points: tuple[SizePoint, ...], style: Style, aside: float, label: str
) -> None:
    known = [(p.items * aside, p.held_out) for p in points if p.held_out is not None]
    xs, ys = zip(*known, strict=True) if known else ((), ())
    axes.plot(
        xs, ys, style.marker, color=style.colour, markersize=6, linestyle="-", linewidth=1.4,
        label=label,
    )  # fmt: skip
    for point in points:
        if point.low is not None and point.high is not None:
            at = point.items * aside
            axes.plot((at, at), (point.low, point.high), color=style.colour, linewidth=1.2)


def _reliability(axes: Any, chart: ReliabilityChart, styles: dict[str, Style]) -> None:
    axes.plot((0, 100), (0, 100), color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    for line in chart.lines:
        style = style_of(styles, line.arm)
        xs, ys = zip(*line.points, strict=True)
        axes.plot(
            xs, ys, style.marker, color=style.colour, markersize=5.5, linestyle="-", linewidth=1.2,
            label=wording.short(line.arm),
        )  # fmt: skip
    _legend(axes)
    axes.set_xlim(0, 102)
    axes.set_ylim(0, 102)
    axes.set_xlabel("Confidence (%)\nbelow the dashed line: surer than right")
    axes.set_ylabel("Exactly right (%)")


def _scale(axes: Any, chart: ScaleChart, styles: dict[str, Style]) -> None:
    if chart.band is not None:
        axes.axvspan(*chart.band, color=BAND, alpha=0.18, linewidth=0)
    if chart.line is not None:
        axes.axvline(chart.line, color=INK, linewidth=0.8)
    for place, row in enumerate(chart.rows):
        style = style_of(styles, row.arm)
        if row.low is not None and row.high is not None:
            weight = 3 if row.strong else 1.6
            axes.plot((row.low, row.high), (place, place), color=style.colour, linewidth=weight)
        size = 8 if row.strong else 6
        axes.plot(row.value, place, style.marker, color=style.colour, markersize=size)
        axes.text(
            0,
            place - 0.2,
            row.label,
            transform=axes.get_yaxis_transform(),
            va="bottom",
            linespacing=1.1,
            fontweight="bold" if row.strong else "normal",
        )
    axes.set_yticks([])
    axes.set_ylim(len(chart.rows) - 0.6, -0.8)
    axes.margins(x=0.06)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(chart.axis)


def _spending(axes: Any, chart: SpendingChart, styles: dict[str, Style]) -> None:
    named: set[str] = set()
    for line in chart.lines:
        style = style_of(styles, line.arm)
        label = None if line.arm in named else wording.short(line.arm)
        named.add(line.arm)
        xs, ys = zip(*line.points, strict=True)
        axes.step(xs, ys, where="post", color=style.colour, linewidth=1.4, label=label)
        axes.plot(xs, ys, style.marker, color=style.colour, markersize=4.5)
    _legend(axes)
    axes.set_xlim(left=0)
    axes.set_xlabel("Tokens spent on writing")
    axes.set_ylabel(chart.axis)


def _legend(axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.figure.legend(
            handles, labels, loc="outside upper left", ncols=min(len(labels), 4), frameon=False
        )


__all__ = ["paint"]
