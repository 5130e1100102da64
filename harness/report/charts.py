"""Charts as inline SVG.

Text stays text, so that it can be read aloud, searched and follows the reader's font. Colours
are written as CSS variables with a fallback, so that one drawing serves light and dark pages;
every arm has a colour and a marker of its own, the same in all charts.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.report import wording
from harness.report.document import (
    Chart,
    Figure,
    ForestChart,
    LossChart,
    SplitChart,
    TradeOffChart,
)

# Okabe and Ito's palette, told apart in all common forms of colour blindness.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#b5539c", "#3f8fc4", "#b07d00", "#8a6d3b", "#5a5a8f")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "h")
INK = "#123456"  # stands for the page's text colour
BAND = "#654321"  # stands for the colour of margins
WIDTH = 5.2
POINTS = 150
RC = {
    "svg.fonttype": "none",
    "svg.hashsalt": "harness",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
}


@dataclass(frozen=True, slots=True)
class Style:
    """An arm's colour and marker in every chart."""

    colour: str
    marker: str


def arm_styles(arms: Sequence[str]) -> dict[str, Style]:
    """A style for each arm by its place; after eight, colours repeat with other markers."""
    return {
        arm: Style(PALETTE[i % len(PALETTE)], MARKERS[(i + i // len(PALETTE)) % len(MARKERS)])
        for i, arm in enumerate(arms)
    }


def draw(figure: Figure, arms: Sequence[str]) -> str:
    """The figure as an SVG element, deterministic, with its sentence as the accessible name."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    styles = arm_styles(arms)
    with mpl.rc_context(RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        canvas = Canvas(figsize=(WIDTH, _height(figure.chart)), layout="constrained")
        axes = canvas.add_subplot()
        _paint(axes, figure.chart, styles)
        written = io.StringIO()
        blank = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        canvas.savefig(written, format="svg", transparent=True, metadata=blank)
    return _inline(written.getvalue(), figure)


def _height(chart: Chart) -> float:
    match chart:
        case ForestChart():
            return 0.8 + 0.4 * len(chart.rows)
        case SplitChart():
            return 1.2 + 0.42 * len(chart.groups)
        case TradeOffChart():
            return 3.6
        case LossChart():
            return 3.2


def _paint(axes: Any, chart: Chart, styles: dict[str, Style]) -> None:
    match chart:
        case ForestChart():
            _forest(axes, chart, styles)
        case TradeOffChart():
            _trade_off(axes, chart, styles)
        case LossChart():
            _losses(axes, chart, styles)
        case SplitChart():
            _splits(axes, chart, styles)


def _style(styles: dict[str, Style], arm: str) -> Style:
    return styles.get(arm, Style(INK, "o"))


def _forest(axes: Any, chart: ForestChart, styles: dict[str, Style]) -> None:
    margin = next((row.margin for row in chart.rows if row.primary), chart.rows[0].margin)
    axes.axvspan(-margin, margin, color=BAND, alpha=0.18, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.8)
    for place, row in enumerate(chart.rows):
        style = _style(styles, row.arm)
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
    front = sorted((p.gain, p.change) for p in chart.points if p.on_front)
    if len(front) > 1:
        xs, ys = zip(*front, strict=True)
        axes.plot(xs, ys, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    for arm in dict.fromkeys(point.arm for point in chart.points):
        style = _style(styles, arm)
        own = [point for point in chart.points if point.arm == arm]
        for point in own:
            axes.plot(
                point.gain,
                point.change,
                style.marker,
                color=style.colour,
                markersize=8 if point.on_front else 5.5,
                alpha=1 if point.on_front else 0.65,
            )
        axes.plot([], [], style.marker, color=style.colour, label=wording.short(arm))
    _legend(axes)
    axes.margins(0.08)
    shaded = "" if chart.margin is None else f"\nshaded: a loss within {chart.margin_text}"
    dashed = "; dashed: the front" if len(front) > 1 else ""
    axes.set_xlabel(f"{chart.x_axis}{shaded}{dashed}")
    axes.set_ylabel(chart.y_axis)


def _losses(axes: Any, chart: LossChart, styles: dict[str, Style]) -> None:
    named: set[str] = set()
    for line in chart.lines:
        style = _style(styles, line.arm)
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
        style = _style(styles, group.arm)
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


def _legend(axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.figure.legend(
            handles, labels, loc="outside upper left", ncols=min(len(labels), 4), frameon=False
        )


def _inline(svg: str, figure: Figure) -> str:
    """Strip what only a file needs, keep ids apart between charts, and let CSS colour it."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, flags=re.DOTALL)
    wanted = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    svg = re.sub(
        r' id="([^"]+)"',
        lambda found: f' id="{figure.key}-{found[1]}"' if found[1] in wanted else "",
        svg,
    )
    svg = re.sub(r'((?:href="|url\()#)([^")]+)', rf"\1{figure.key}-\2", svg)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', _opening(figure), svg, count=1)
    svg = svg.replace("xlink:href=", "href=").replace(INK, "currentColor")
    svg = svg.replace(BAND, "var(--band, #808080)")
    for number, colour in enumerate(PALETTE):
        svg = svg.replace(colour, f"var(--arm-{number}, {colour})")
    return svg.strip()


def _opening(figure: Figure) -> str:
    label = html.escape(f"{figure.title}. {figure.see}", quote=True).replace("\\", "\\\\")
    return (
        rf'<svg viewBox="\1" role="img" aria-label="{label}" preserveAspectRatio="xMidYMid meet">'
    )
