"""Metrics that people bring: a file for each kind, and what kinds share."""

from __future__ import annotations

from typing import Any

from harness.measures.measure import Measure, Scorer, UnscoredError
from harness.measures.python_function import PythonMetric

AnyMeasure = PythonMetric
KINDS: tuple[type[Measure], ...] = (PythonMetric,)


def as_mapping(entry: Any) -> Any:
    """An entry of ``task.metrics`` in its long form: ``python:F.py:f`` is ``{python: F.py:f}``."""
    for kind in ("python",):
        if isinstance(entry, str) and entry.startswith(f"{kind}:"):
            return {kind: entry.removeprefix(f"{kind}:").strip()}
    return entry


__all__ = [
    "KINDS",
    "AnyMeasure",
    "Measure",
    "PythonMetric",
    "Scorer",
    "UnscoredError",
    "as_mapping",
]
