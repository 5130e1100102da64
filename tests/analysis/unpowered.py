"""Analyses that do not say what it would take to settle a contrast.

To find the number of items, and the least difference that so many find, is most of an analysis of
a small study. Tests that make hundreds of them and look at outcomes alone leave it out.
"""

from __future__ import annotations

import pytest

from harness.analysis.statistics import paired


@pytest.fixture
def unpowered(monkeypatch: pytest.MonkeyPatch) -> None:
    """No analysis of this test looks for a number of items or a detectable difference."""
    for name in ("items_needed", "proportions_items_needed"):
        monkeypatch.setattr(paired, name, lambda *of: None)
    for name in ("minimum_detectable", "proportions_minimum_detectable"):
        monkeypatch.setattr(paired, name, lambda *of: 0.0)
