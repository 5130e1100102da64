"""What judges the results, and changes nothing of them: the contrast, costs and hard limits."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.records.frozen_spec import FrozenSpec
from harness.spec.spaces import Count, PositiveFloat, PositiveInt


class ContrastSpec(FrozenSpec):
    """The primary contrast, declared before the run."""

    margin: Annotated[float, Field(gt=0)] = Field(
        0.02,
        description="Differences of the primary metric within this are no difference. It is in the "
        "metric's own unit, and has to be given where that does not go from 0 to 1.",
    )
    fine_tuned: str | None = Field(
        None, description="Fine-tuned arm; the best on validation if not given."
    )
    against: str | None = Field(
        None,
        description="Arm it is compared with; the best prompt arm on validation if not given. "
        "Another fine-tuned arm compares two ways of fine-tuning.",
    )
    level: Annotated[float, Field(gt=0.5, lt=1)] = Field(0.95, description="Confidence level.")


class CostSpec(FrozenSpec):
    """Assumptions that turn time into money."""

    currency: str = Field("EUR", description="Unit of all money.")
    machine_per_hour: Annotated[float, Field(ge=0)] = Field(
        0.10, description="Price of the machine for one hour, training or serving."
    )
    requests_per_month: Count = Field(100_000, description="Expected volume.")
    months: PositiveInt = Field(12, description="Horizon over which upfront money is spread.")
    sizes_billion: tuple[PositiveFloat, ...] = Field(
        (7.0, 65.0),
        description="Billions of parameters for which the report estimates training memory.",
    )


class Constraints(FrozenSpec):
    """Hard limits: an arm that breaks one cannot win."""

    latency_ms: PositiveFloat | None = Field(
        None, description="95th percentile of one request, milliseconds, on this machine."
    )
    memory_mib: PositiveFloat | None = Field(None, description="Peak memory of training, MiB.")
    artifact_mib: PositiveFloat | None = Field(None, description="Size of what is deployed, MiB.")


__all__ = ["Constraints", "ContrastSpec", "CostSpec"]
