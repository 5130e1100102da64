"""What training by a command of the user's takes, which no small trial can show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.forecast.estimate import Estimate
from harness.forecast.workload import Workload
from harness.records import TrialSummary
from harness.spec import CommandArm, Experiment
from harness.spec.kinds import kind_info


def runs_a_command(load: Workload) -> bool:
    """Whether the trial runs the command: its weights are not at hand."""
    spec = load.spec
    return kind_info(spec.kind).commanded and not spec.trained_path and load.asks


def training_seconds(
    experiment: Experiment, arm: str, ended: Iterable[TrialSummary]
) -> Estimate | None:
    """Seconds of one training: as its trials took, else as the user says; None where nobody does.

    Args:
        ended: the experiment's trials in the store.
    """
    spec = experiment.arms.get(arm)
    if not isinstance(spec, CommandArm):
        return None
    seen = [trial.cost.train_seconds for trial in _whole(arm, ended) if trial.cost]
    if seen:
        return Estimate.among(seen)
    return None if spec.minutes is None else Estimate.exactly(60 * spec.minutes)


def peak_of_command(arm: str, ended: Iterable[TrialSummary]) -> Estimate | None:
    """Peak memory (MiB) of its trials; None where none has run."""
    costs = [trial.cost for trial in _whole(arm, ended) if trial.cost]
    peaks = [cost.peak_device_mib or cost.peak_memory_mib for cost in costs]
    return Estimate.exactly(max(peaks)) if peaks else None


def _whole(arm: str, ended: Iterable[TrialSummary]) -> Sequence[TrialSummary]:
    """Trials of the arm that its command trained to the end."""
    return [
        trial
        for trial in ended
        if trial.arm == arm
        and trial.status == "complete"
        and trial.phase != "latency"
        and trial.cost is not None
        and trial.cost.train_seconds > 0
    ]


__all__ = ["peak_of_command", "runs_a_command", "training_seconds"]
