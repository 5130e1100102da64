"""Which model, and where it computes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from harness.records.frozen_spec import FrozenSpec


class ModelSpec(FrozenSpec):
    """The causal language model that every local arm starts from."""

    reference: str = Field(
        min_length=1,
        description="Packaged alias, local folder, GGUF file, or hub id, in that order.",
    )
    revision: str = Field("", description="Commit or tag, for a hub id.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Compute type; auto takes bfloat16 where the processor computes in it."
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:0, mps.")
    trust_remote_code: bool = Field(
        False, description="Run code that comes with the model. Only for sources you trust."
    )


def from_reference(model: Any) -> Any:
    """A model given as a bare reference, as the mapping that it is short for."""
    return {"reference": model} if isinstance(model, str) else model
