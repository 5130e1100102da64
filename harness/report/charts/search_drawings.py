"""How a search went, painted on given axes: its course, and the settings of each trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from harness.report.chart_records import HistoryChart, SettingsAxis, SettingsChart
from harness.report.charts.palette import INK, Style, style_of

SMALL = 7
# A tick to the right of its axis, as matplotlib's markers have it.
TICK = 1


def history(axes: Any, chart: HistoryChart, styles: dict[str, Style]) -> None:
    """Each trial by its place in the search, and the best score so far."""
    from matplotlib.ticker import MaxNLocator

    colour = style_of(styles, chart.arm).colour
    handles = []
    if chart.kept:
        handles += axes.plot(*_columns(chart.kept), "o", color=colour, label="a trial")
    if chart.best:
        line = {"color": INK, "linewidth": 0.9, "drawstyle": "steps-post"}
        handles += axes.plot(*_columns(chart.best), **line, label="best so far")
    if chart.lost:
        hollow = {"color": colour, "markerfacecolor": "none", "markeredgewidth": 1.2}
        label = "lost more than the margin"
        handles += axes.plot(*_columns(chart.lost), "o", **hollow, label=label)
    axes.plot(*chart.selected, "o", markersize=12, markerfacecolor="none", color=INK)
    beside = {"textcoords": "offset points", "xytext": (7, -13), "ha": "left"}
    axes.annotate("selected", chart.selected, **beside)
    axes.margins(0.08, 0.2)
    axes.figure.legend(handles=handles, loc="outside upper left", ncols=3, frameon=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("Trial, in the order of asking (stopped and failed ones left out)")
    axes.set_ylabel(chart.axis)


def settings(axes: Any, chart: SettingsChart, styles: dict[str, Style]) -> None:
    """A line a trial through its score and its settings, the stronger the better its score."""
    from matplotlib.collections import LineCollection

    low, high = _ends(chart.scores)
    heights = [[low + _share(axis, value) * (high - low) for value in axis.values]
               for axis in chart.settings]  # fmt: skip
    own = [number == chart.selected for number in range(len(chart.scores))]
    lines = LineCollection(
        [list(enumerate(points)) for points in zip(chart.scores, *heights, strict=True)],
        colors=style_of(styles, chart.arm).colour,
        linewidths=[3.0 if one else 1.4 for one in own],
        linestyles=["dotted" if lost else "solid" for lost in chart.lost],
        alpha=[1.0 if one else 0.25 + 0.6 * s for s, one in zip(chart.strength, own, strict=True)],
        clip_on=False,
    )
    axes.add_collection(lines, autolim=False)
    axes.set_xlim(0, max(len(chart.settings), 1))
    axes.set_ylim(low, high)
    axes.spines["bottom"].set_visible(False)
    axes.set_ylabel(chart.axis)
    names = [chart.axis, *(axis.label for axis in chart.settings)]
    # What the score is called stands beside its axis.
    axes.set_xticks(range(len(names)), ["", *(name.replace("_", "\n") for name in names[1:])])
    axes.tick_params(axis="x", length=0, pad=6)
    axes.tick_params(axis="y", labelsize=SMALL)
    for at, axis in enumerate(chart.settings, 1):
        axes.axvline(at, color=INK, linewidth=0.6, clip_on=False)
        ticks = _ticks(axis)
        places = [low + _share(axis, value) * (high - low) for value, _ in ticks]
        axes.plot([at] * len(ticks), places, linestyle="", marker=TICK, markersize=2,
                  markeredgewidth=0.6, color=INK, clip_on=False)  # fmt: skip
        for place, (_, text) in zip(places, ticks, strict=True):
            axes.annotate(text, (at, place), xytext=(4, 0), textcoords="offset points",
                          va="center", fontsize=SMALL, annotation_clip=False)  # fmt: skip


def _columns(points: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [place for place, _ in points], [score for _, score in points]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Where an axis of numbers begins and ends; a little apart where they are all one."""
    low, high = min(values), max(values)
    apart = (abs(low) * 0.05 or 0.5) if low == high else 0.0
    return low - apart, high + apart


def _share(axis: SettingsAxis, value: float) -> float:
    """How far up its axis a value stands, 0 to 1; one that is alone in the middle."""
    low, high = min(axis.values), max(axis.values)
    if low == high:
        return 0.5
    if axis.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _ticks(axis: SettingsAxis) -> list[tuple[float, str]]:
    """Values and what is written at them."""
    from matplotlib.ticker import MaxNLocator

    low, high = min(axis.values), max(axis.values)
    if axis.choices:
        return list(enumerate(axis.choices))
    if low == high:
        return [(low, f"{low:.4g}")]
    if axis.log:
        return [(value, f"{value:.2g}") for value in (low, math.sqrt(low * high), high)]
    places = MaxNLocator(6, integer=axis.whole, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [(float(value), f"{value:.4g}") for value in places if low <= value <= high]


__all__ = ["history", "settings"]
