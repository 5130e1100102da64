"""Metrics that people bring: a file for each kind, and what kinds share."""

from __future__ import annotations

from typing import Any

from harness.measures.evaluate_module import Compute, EvaluateMetric
from harness.measures.judge import JudgeMetric
from harness.measures.measure import Measure, Scorer, UnscoredError
from harness.measures.python_function import PythonMetric
from harness.measures.similarity import SimilarityMetric

AnyMeasure = PythonMetric | EvaluateMetric | SimilarityMetric | JudgeMetric
# The key that each kind has to itself, which its short form begins with.
_KEYS = ("python", "evaluate", "similarity", "judge")


def as_mapping(entry: Any) -> Any:
    """An entry of ``task.metrics`` in its long form: ``python:F.py:f`` is ``{python: F.py:f}``."""
    for key in _KEYS:
        if isinstance(entry, str) and entry.startswith(f"{key}:"):
            return {key: entry.removeprefix(f"{key}:").strip()}
    return entry


__all__ = [
    "AnyMeasure",
    "Compute",
    "EvaluateMetric",
    "JudgeMetric",
    "Measure",
    "PythonMetric",
    "Scorer",
    "SimilarityMetric",
    "UnscoredError",
    "as_mapping",
]
