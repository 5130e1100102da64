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
from typing import TYPE_CHECKING

from harness.report.chart_records import (
    Chart,
    CurveChart,
    ForestChart,
    HistoryChart,
    LossChart,
    ReliabilityChart,
    ScaleChart,
    SettingsChart,
    SpendingChart,
    SplitChart,
    TradeOffChart,
)
from harness.report.charts.drawings import paint
from harness.report.charts.palette import BAND, INK, PALETTE, arm_styles
from harness.report.document import Figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

WIDTH = 5.2
# Of a scale that stands beside another chart.
NARROW = 2.6
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


def draw(figure: Figure, arms: Sequence[str]) -> str:
    """The figure as an SVG element, deterministic, with its sentence as the accessible name."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Drawing

    styles = arm_styles(arms)
    with mpl.rc_context(RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        drawing = Drawing(_size(figure.chart), facecolor="none", layout="constrained")
        paint(drawing.add_subplot(facecolor="none"), figure.chart, styles)
        return _inline(written(drawing), figure)


def written(drawing: Drawing) -> str:
    """A drawing of matplotlib as an SVG document, the same whenever it is made."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    document = io.StringIO()
    blank = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    # ``savefig`` would draw it twice, the first time for the layout alone.
    FigureCanvasSVG(drawing).print_svg(document, metadata=blank)
    return document.getvalue()


def _size(chart: Chart) -> tuple[float, float]:  # noqa: PLR0911 -- one return a kind
    """Width and height, inches."""
    match chart:
        case ForestChart():
            return WIDTH, 0.8 + 0.4 * len(chart.rows)
        case SplitChart():
            return WIDTH, 1.2 + 0.42 * len(chart.groups)
        case ScaleChart():
            row = 0.34 + 0.13 * any("\n" in row.label for row in chart.rows)
            return (NARROW if chart.narrow else WIDTH * 0.8), 0.62 + row * len(chart.rows)
        case TradeOffChart():
            return WIDTH, 3.6
        case LossChart() | HistoryChart() | SettingsChart():
            return WIDTH, 3.2
        case CurveChart() | SpendingChart():
            return WIDTH, 3.4
        case ReliabilityChart():
            return WIDTH, 3.6


def _inline(svg: str, figure: Figure) -> str:
    """Strip what only a file needs, keep ids apart between charts, and let CSS colour it."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    svg = re.sub(
        r' id="([^"]+)"',
        lambda match: f' id="{figure.key}-{match[1]}"' if match[1] in used else "",
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
