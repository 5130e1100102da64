"""The final runs, and where the weights are that they trained."""

from __future__ import annotations

from pathlib import PurePosixPath

from harness import wording
from harness.records import TrialSummary
from harness.report.document import Block
from harness.report.sections.material import Material
from harness.report.tables import Field, table


def finalists(material: Material) -> list[Block]:
    """A row for each arm and seed."""
    trials = [trial for trial in material.study.trials if trial.phase == "finalist"]
    if not trials:
        return []
    experiment = material.study.experiment
    fields: tuple[Field[TrialSummary], ...] = (
        Field("Arm", lambda trial: wording.cell(trial.arm), numeric=False),
        Field("Seed", lambda trial: str(trial.seed)),
        Field("Trial id", lambda trial: wording.cell(trial.trial_id), numeric=False),
        Field("Ended as", lambda trial: trial.status, numeric=False, brief=False),
        Field("Trained weights", _weights, numeric=False),
        Field("Size", _size),
    )
    note = (
        f"Paths are within the folder {wording.cell(experiment.folder)} of the results. The "
        "store's table of artifacts has the checksum of every file."
    )
    return [table("Final runs and their weights", fields, trials, notes=(note,), folded=True)]


def _weights(trial: TrialSummary) -> str:
    folders = {str(PurePosixPath(file.path).parent) for file in trial.artifacts}
    shown = ", ".join(f"trials/{trial.trial_id}/{folder}" for folder in sorted(folders))
    return wording.cell(shown) or wording.NOT_APPLICABLE


def _size(trial: TrialSummary) -> str:
    total = sum(file.bytes for file in trial.artifacts)
    return wording.file_size(total) if trial.artifacts else wording.NOT_APPLICABLE


__all__ = ["finalists"]
