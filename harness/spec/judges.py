"""Judges: models that mark replies under a rubric."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from harness.records.frozen_spec import FrozenSpec
from harness.spec.endpoint import EndpointSpec
from harness.spec.model import ModelSpec, computing_as_the_study, from_reference
from harness.spec.spaces import PositiveInt

# Each is asked for by its likelihood.
MOST_MARKS = 101
_USUAL = (1, 5)
# Worse and better than another reply.
_PAIRS = (0, 1)


class JudgeSpec(FrozenSpec):
    """A model that marks replies; the metric `judge:NAME` is its mark.

    It is shown the item, the reply and, unless told otherwise, the right answer; never whose reply
    it is.
    """

    model: ModelSpec | None = Field(
        None, description="Local model: a reference, or its parts. It gives the expected mark."
    )
    endpoint: EndpointSpec | None = Field(
        None, description="Model behind an OpenAI-compatible server, in place of a local one."
    )
    rubric: str = Field(min_length=1, description="What makes a reply good, in a sentence or more.")
    scale: tuple[int, int] = Field(
        _USUAL, description="The worst and the best mark; whole marks between them may be given."
    )
    pairwise: str | None = Field(
        None,
        min_length=1,
        description="Compare with another reply in place of a scale: `target`, the right answer, "
        "or the column that holds it. Each pair is judged in both orders; 1 is better, 0 worse, "
        "0.5 a tie.",
    )
    shows_target: bool = Field(True, description="Whether the judge sees the right answer.")
    max_new_tokens: PositiveInt = Field(
        64, description="Longest reply of a judge on a server, whose thoughts count."
    )
    calibration: str | None = Field(
        None,
        description="CSV or JSON lines with people's marks of this study's own replies, columns "
        "`id`, `reply` and `score`; `harness judge` writes one to fill in. Adding it recomputes "
        "nothing.",
    )

    @field_validator("model", mode="before", json_schema_input_type=str | ModelSpec | None)
    @classmethod
    def _short_model(cls, model: Any) -> Any:
        return from_reference(model)

    @field_validator("model")
    @classmethod
    def _computes_as_the_study(cls, model: ModelSpec | None) -> ModelSpec | None:
        return computing_as_the_study(model, "a judge")

    @field_validator("rubric")
    @classmethod
    def _says_something(cls, rubric: str) -> str:
        if not rubric.strip():
            raise ValueError("say what makes a reply good")
        return rubric

    @field_validator("scale")
    @classmethod
    def _has_marks(cls, scale: tuple[int, int]) -> tuple[int, int]:
        low, high = scale
        if not low < high:
            raise ValueError(f"the worst mark, {low}, must be less than the best, {high}")
        if high - low >= MOST_MARKS:
            raise ValueError(f"{high - low + 1} marks are too many; use at most {MOST_MARKS}")
        return scale

    @model_validator(mode="after")
    def _scale_or_pairs(self) -> Self:
        if self.pairwise is not None and self.scale != _USUAL:
            raise ValueError("pairwise: a comparison has no scale; remove one of them")
        return self

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if (self.model is None) == (self.endpoint is None):
            raise ValueError("give `model` or `endpoint`, one of them")
        return self

    @property
    def by(self) -> str:
        """Its model, as a reader is told."""
        if self.endpoint is not None:
            return self.endpoint.model
        reference = self.model.reference if self.model else ""
        return Path(reference).name or reference

    @property
    def server(self) -> str:
        """Who answers at its server; empty where it is local."""
        return self.endpoint.asked_as if self.endpoint else ""

    @property
    def ends(self) -> tuple[int, int]:
        """The worst and the best value."""
        return self.scale if self.pairwise is None else _PAIRS

    def declared(self) -> dict[str, Any]:
        """What its metric says of it."""
        return {
            "by": self.by,
            "rubric": self.rubric,
            "shows_target": self.shows_target,
            "range": tuple(float(mark) for mark in self.ends),
            "pairwise": self.pairwise,
            **(
                {"weights": self.server, "max_new_tokens": self.max_new_tokens}
                if self.endpoint
                else {}
            ),
        }


__all__ = ["JudgeSpec"]
