"""How the instruction of a final run came to be, where a model wrote it."""

from __future__ import annotations

from typing import Any

from harness.export.final_run import FinalRun
from harness.records import to_plain


def history_of(run: FinalRun) -> dict[str, Any] | None:
    """What was tried and why this is kept, as plain data; None where the instruction was given."""
    experiment, study = run.analysed.experiment, run.analysed.study
    arm, text = run.trial.arm, run.trial.params.get("instruction")
    if experiment.arms[arm].optimiser is None:
        return None
    repeat = experiment.repeat_of(arm, run.trial.seed)
    for trial in study.trials:
        if (trial.arm, trial.phase, trial.search_repeat) != (arm, "writing", repeat):
            continue
        if trial.writing is None:
            return {"kept": "the task's own", "why": trial.failure_message}
        return {
            "kept": "the task's own" if text is None else "what was written",
            "why": "it did best on validation rows, of which the writing saw none",
            **to_plain(trial.writing),
        }
    return None


__all__ = ["history_of"]
