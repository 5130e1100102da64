"""How an arm looks: its colour and marker, the same in all charts.

Colours here are placeholders where the page decides: :mod:`harness.report.charts.svg` turns them
into CSS variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Okabe and Ito's palette, told apart in all common forms of colour blindness.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#b5539c", "#3f8fc4", "#b07d00", "#8a6d3b", "#5a5a8f")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "h")
INK = "#123456"  # stands for the page's text colour
BAND = "#654321"  # stands for the colour of margins


@dataclass(frozen=True, slots=True)
class Style:
    """An arm's colour and marker in every chart."""

    colour: str
    """Colour as hexadecimal."""
    marker: str
    """Marker of matplotlib."""


def arm_styles(arms: Sequence[str]) -> dict[str, Style]:
    """A style for each arm by its place; after eight, colours repeat with other markers."""
    return {
        arm: Style(PALETTE[i % len(PALETTE)], MARKERS[(i + i // len(PALETTE)) % len(MARKERS)])
        for i, arm in enumerate(arms)
    }


def style_of(styles: dict[str, Style], arm: str) -> Style:
    """The arm's style; the page's text colour for what is no arm, such as the base."""
    return styles.get(arm, Style(INK, "o"))


__all__ = ["BAND", "INK", "PALETTE", "Style", "arm_styles", "style_of"]
