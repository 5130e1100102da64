"""How the instruction of a final run came to be, where a model wrote it."""

from __future__ import annotations

from typing import Any

from harness.export.final_run import FinalRun
from harness.records import Confirmation, Writing, to_plain


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
        held = next(
            (
                row.confirmation
                for row in run.analysed.findings.searches
                if (row.arm, row.repeat) == (arm, repeat)
            ),
            None,
        )
        return {
            "kept": "the task's own" if text is None else "what was written",
            "why": _why(text, trial.writing, held),
            "on_validation": None if held is None else to_plain(held),
            **to_plain(trial.writing),
        }
    return None


def _why(text: object, writing: Writing, held: Confirmation | None) -> str:
    if text is not None:
        return (
            "on validation rows, of which the writing saw none, it did better than the task's own "
            "by more than chance, and best of what was searched"
        )
    if writing.text is None:
        return f"nothing better was written: {writing.ended}"
    if held is None:
        return "what was written could not be held against the task's own on validation rows"
    if held.kept:
        return "what was written did better, but another setting with the task's own did best"
    return (
        "on validation rows, of which the writing saw none, what was written did no better than "
        "the task's own by more than chance"
    )


__all__ = ["history_of"]
