"""The trace in the store of test items that are asked again after the study."""

from __future__ import annotations

from typing import Literal

from harness.export.final_run import FinalRun
from harness.store import STORE_FILE, StoreWriter


def log_look(run: FinalRun, phase: Literal["export", "verify"], purpose: str) -> None:
    """Note in the store that the test items are asked again, before they are.

    It is the same run's: nothing is selected by it, so that the study's report counts it among the
    readings of the test data and not as a second look of the arm.

    Args:
        phase: the command that asks.
        purpose: what for, as a reader of the store sees it.

    Raises:
        StoreError: the store stays busy.
    """
    detail = {
        "trial_id": run.trial.trial_id,
        "arm": run.trial.arm,
        "seed": run.trial.seed,
        "task": "domain",
        "phase": phase,
        "purpose": purpose,
    }
    writer = StoreWriter(run.analysed.results / STORE_FILE)
    writer.record_event(run.analysed.study.experiment.experiment_id, "test_access", detail)


__all__ = ["log_look"]
