"""What a training took that another program did, as far as the user says."""

from __future__ import annotations

from dataclasses import replace

from harness.findings import CostSummary
from harness.spec.starts import TrainingElsewhere


def with_declared_training(
    unit: CostSummary, before: TrainingElsewhere, machine_per_hour: float
) -> CostSummary:
    """The cost of weights with what their training took elsewhere.

    Where nothing is said the money upfront is not known.

    Args:
        machine_per_hour: price of an hour of this machine, which the other's is where none is said.
    """
    cost, upfront = before.cost, unit.upfront
    if cost is None or upfront is None:
        return replace(unit, upfront=None)
    if before.whole:
        unit = replace(unit, train_seconds=cost.hours * 3600)
    if cost.machine_per_hour is None:
        return replace(unit, upfront=upfront + cost.hours * machine_per_hour)
    return replace(unit, paid_elsewhere=unit.paid_elsewhere + cost.hours * cost.machine_per_hour)


__all__ = ["with_declared_training"]
