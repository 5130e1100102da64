"""Instructions that are found, in place of a text or a list: by an optimiser, by another arm."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from harness.records.frozen_spec import FrozenSpec
from harness.spec.endpoint import TERMS, EndpointSpec
from harness.spec.model import ModelSpec, computing_as_the_study, from_reference
from harness.spec.spaces import PositiveInt


class ReflectionSpec(FrozenSpec):
    """The model that writes: it reads training rows, replies and what was wrong with them."""

    model: ModelSpec | None = Field(
        None, description="Local model: a reference, or its parts; it computes as the study does."
    )
    endpoint: EndpointSpec | None = Field(
        None, description="Model behind an OpenAI-compatible server, in place of a local one."
    )
    max_new_tokens: PositiveInt = Field(
        1024, description="Longest reply of it, tokens; thoughts count."
    )

    @field_validator("model", mode="before", json_schema_input_type=str | ModelSpec | None)
    @classmethod
    def _short_model(cls, model: Any) -> Any:
        return from_reference(model)

    @field_validator("model")
    @classmethod
    def _computes_as_the_study(cls, model: ModelSpec | None) -> ModelSpec | None:
        return computing_as_the_study(model, "the model that writes")

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if self.model is not None and self.endpoint is not None:
            raise ValueError("give `model` or `endpoint`, not both")
        return self


class OptimiserSpec(FrozenSpec):
    """How an instruction is written, from training rows alone, within the arm's budget."""

    by: Literal["gepa"] = Field(
        description="GEPA (arXiv 2507.19457): a model reads rows, replies and what was wrong with "
        "them, and proposes a better instruction; what helps on a few rows is compared on others."
    )
    reflection: ReflectionSpec = Field(
        default_factory=ReflectionSpec,
        description="The model that writes; the arm's own where none is named.",
    )
    seeds: PositiveInt = Field(
        1,
        description="How often the whole optimisation is repeated, each time with a search and a "
        "budget of its own; the arm's final seeds are dealt over them, so that its intervals cover "
        "what another optimisation would have written. Counts as search.repeats of this arm.",
    )
    share: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Share of the arm's budget that writing may take at most. Tokens of the writer "
        "and of every proposal, rejected ones too, are counted, and the search gets the rest.",
    )
    minibatch: PositiveInt = Field(
        4, description="Training rows that a proposal is written from and first tried on."
    )
    rows: int = Field(
        24,
        ge=8,
        description="Training rows, apart from those, on which it is seen whether wording matters "
        "at all, and proposals are compared.",
    )


class OptimisedInstruction(FrozenSpec):
    """An instruction that is written, starting from the task's, and tried beside it."""

    optimise: OptimiserSpec = Field(description="How it is written.")


class InstructionFrom(FrozenSpec):
    """The instruction that the search of another arm selects."""

    arm: str = Field(
        alias="from",
        description="Prompt arm of the same model, which is searched before: the arm is trained "
        "and scored under the instruction that this search selects on validation.",
    )


def without_terms(instruction: Any) -> None:
    """Take out of plain data what only extends a writing, or says where its model lies.

    Args:
        instruction: an arm's, as JSON-compatible data, which is changed.
    """
    optimise = instruction.get("optimise") if isinstance(instruction, dict) else None
    if optimise is None:
        return
    for key in ("seeds", "share"):
        optimise.pop(key)
    reflection = optimise["reflection"]
    if reflection["model"] is not None:
        reflection["model"].pop("reference")
    for key in TERMS & set(reflection["endpoint"] or ()):
        reflection["endpoint"].pop(key)
