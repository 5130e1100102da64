"""An instruction that another arm's search selects, as an arm declares it."""

from __future__ import annotations

from pydantic import Field

from harness.records.frozen_spec import FrozenSpec


class InstructionFrom(FrozenSpec):
    """The instruction that the search of another arm selects."""

    arm: str = Field(
        alias="from",
        description="Prompt arm of the same model, which is searched before: the arm is trained "
        "and scored under the instruction that this search selects on validation.",
    )
