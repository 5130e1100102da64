"""How hard the fine-tuned arms of a drawn study were tried."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.records import StepReport, Study, TrialSummary


@dataclass(frozen=True, slots=True)
class Tried:
    """How hard fine-tuned arms were tried."""

    settings: int = 2
    """Settings that the search of each fine-tuned arm saw through, at most two."""
    steps: int = 0
    """Optimiser steps of each of its trials; 0 where they are not recorded."""


def as_tried(study: Study, tried: Tried) -> Study:
    """The study whose fine-tuned arms were tried so hard and no harder."""
    return replace(
        study,
        trials=tuple(
            _trained(trial, tried.steps) if trial.kind != "prompt" else trial
            for trial in study.trials
            if trial.kind == "prompt" or trial.phase != "search" or trial.number < tried.settings
        ),
    )


def _trained(trial: TrialSummary, steps: int) -> TrialSummary:
    if not steps:
        return trial
    return replace(
        trial, steps=(StepReport(steps, steps, 1.0, 0.1, 0.0, 1.0, steps, float(steps)),)
    )


__all__ = ["Tried", "as_tried"]
