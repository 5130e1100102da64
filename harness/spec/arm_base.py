"""What every arm has, and what can be asked of it: its search space, and a setting's values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from harness.records.frozen_spec import FrozenSpec
from harness.spec.instruction import OptimisedInstruction, OptimiserSpec
from harness.spec.kinds import kind_info
from harness.spec.settings import (
    Answering,
    Order,
    Selection,
    Settings,
    settings_from,
)
from harness.spec.spaces import (
    Choice,
    Count,
    FloatRange,
    IntRange,
    Space,
)
from harness.spec.task import template_fields

# Fields of an arm that say how it is studied, not what it is.
STUDY_FIELDS = frozenset({"seeds", "curve"})
# What a training elsewhere was, or is run by: its weights, and what the command and its files hold,
# are what a trial's result depends on.
ORIGIN_FIELDS = frozenset(
    {
        "path",
        "same_base",
        "trained_on",
        "cost",
        "start",
        "command",
        "files",
        "environment",
        "minutes",
    }
)
# With the model that is asked: no hyperparameters.
NO_HYPERPARAMETERS = STUDY_FIELDS | ORIGIN_FIELDS | {"model", "endpoint"}

# Those that only who asks a language model has a use for.
PROMPT_KEYS = ("shots", "selection", "order", "answering", "instruction", "chat")
# How a prompted model is asked to think in words before it answers.
REASONING_KEYS = ("reasoning", "reasoning_tokens", "bootstrapped")


class ArmBase(FrozenSpec):
    """What every arm has: how the prompt is built and how the answer is obtained."""

    shots: Count | IntRange | Choice[int] = Field(
        0, description="Worked examples from the training split, put before each item."
    )
    selection: Selection | Choice[Selection] = Field(
        "random",
        description="How shots are chosen: the first ones, drawn once, drawn once balanced over "
        "answers, or nearest to the item by TF-IDF (nearest) or by BM25 (bm25).",
    )
    order: Order | Choice[Order] = Field(
        "selected",
        description="Order of the shots: as selected (the nearest last), reversed, or shuffled by "
        "the trial's seed.",
    )
    answering: Answering | Choice[Answering] = Field(
        "generate",
        description="Greedy generation; greedy generation that can only write what the answer's "
        "schema or labels allow; or the most likely of the finite valid answers. Of choices, a "
        "fine-tuned arm scores each trial's weights in every one and keeps the best.",
    )
    instruction: str | Choice[str] | OptimisedInstruction | None = Field(
        None,
        description="Instruction in place of the task's; or one that an optimiser writes, which "
        "is tried beside the task's (arms of kind prompt).",
    )
    template: str | Choice[str] | None = Field(
        None, description="Template of items and shots in place of the task's."
    )
    chat: bool | Choice[bool] = Field(
        True,
        description="Ask through the model's chat template, where it has one; else as plain text.",
    )
    seeds: tuple[Count, ...] | None = Field(
        None,
        min_length=1,
        description="Seeds of this arm's final runs, in place of the experiment's.",
    )

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if seeds is not None and len(set(seeds)) != len(seeds):
            raise ValueError(f"seeds {list(seeds)} hold a value twice")
        return seeds

    @field_validator("template")
    @classmethod
    def _plain_fields(cls, template: str | Choice[str] | None) -> str | Choice[str] | None:
        for text in template.choices if isinstance(template, Choice) else [template]:
            if text is not None and not template_fields(text):
                raise ValueError("the template names no column; write one as {column}")
        return template

    @model_validator(mode="after")
    def _written_for_prompts(self) -> Self:
        kind: str = getattr(self, "kind", "")
        if self.optimiser is not None and kind_info(kind).fine_tuned:
            raise ValueError(
                "instruction: an optimiser writes for arms of kind prompt; write the instruction "
                "here, or leave it out"
            )
        return self

    @property
    def optimiser(self) -> OptimiserSpec | None:
        """How its instruction is written; None where it is given."""
        written = self.instruction
        return written.optimise if isinstance(written, OptimisedInstruction) else None

    def with_written(self, texts: Sequence[str]) -> Self:
        """The arm once its instruction is written: the task's is searched beside what there is.

        Args:
            texts: what was written; nothing where that came to nothing.
        """
        if self.optimiser is None:
            return self
        tried: tuple[str | None, ...] = (None, *dict.fromkeys(texts))
        own = Choice[str | None](choices=tried) if texts else None
        return self.model_copy(update={"instruction": own})

    def values_of(self, name: str) -> tuple[Any, ...]:
        """The values that a hyperparameter without a range may take, as far as they are known."""
        value = getattr(self, name)
        if isinstance(value, OptimisedInstruction):
            return (None,)
        return value.choices if isinstance(value, Choice) else (value,)

    def search_space(self) -> dict[str, Space]:
        """Hyperparameters that are ranges or choices, by name.

        An instruction that is yet to be written is a choice of the task's alone.
        """
        space: dict[str, Space] = {}
        for name, value in self:
            if isinstance(value, OptimisedInstruction):
                space[name] = Choice[str | None](choices=(None,))
            elif isinstance(value, FloatRange | IntRange | Choice):
                space[name] = value
        return space

    @model_validator(mode="after")
    def _every_value_allowed(self) -> Self:
        """Each end of a range and each choice must be a value the hyperparameter may have."""
        # Of those too that the arm does not search.
        space = ArmBase.search_space(self)
        first = self._first_of(space)
        for name, value in space.items():
            ends = value.choices if isinstance(value, Choice) else (value.low, value.high)
            for end in ends:
                if why := self._refused(first, name, end):
                    raise ValueError(f"{name}: {end!r} is not allowed: {why}")
        return self

    def allows(self, name: str, value: object) -> bool:
        """Whether a hyperparameter may have the value, the others being as in trial 0."""
        return not self._refused(self._first_of(ArmBase.search_space(self)), name, value)

    def _first_of(self, space: Mapping[str, Space]) -> dict[str, Any]:
        """The arm's keys as in trial 0 of a search of that space."""
        starts = {field: searched.start for field, searched in space.items()}
        return {field: starts.get(field, value) for field, value in self}

    def _refused(self, first: Mapping[str, Any], name: str, value: object) -> str:
        try:
            type(self).model_validate({**first, name: value})
        except ValidationError as error:
            # What is wrong with another key is told when that key's own values are tried; a rule
            # over several keys has no place.
            own = [one["msg"] for one in error.errors() if not one["loc"] or one["loc"][0] == name]
            return own[0].removeprefix("Value error, ") if own else ""
        return ""

    def settings(self) -> int | None:
        """Number of distinct settings; 1 with nothing to search, None for an infinite space.

        An instruction that is yet to be written counts as two: the task's, and what is written.
        """
        sizes = [1 if self.optimiser is None else 2]
        for space in self.search_space().values():
            if isinstance(space, FloatRange):
                return None
            sizes.append(
                space.high - space.low + 1 if isinstance(space, IntRange) else len(space.choices)
            )
        return math.prod(sizes)

    def defaults(self) -> dict[str, Any]:
        """The setting of trial 0, for the searched hyperparameters."""
        return {name: space.start for name, space in self.search_space().items()}

    def resolve(self, params: dict[str, Any]) -> Settings:
        """Every hyperparameter with one value: ``params`` for those searched, the rest as given.

        Raises:
            KeyError: ``params`` misses a searched hyperparameter.
        """
        searched = self.search_space()
        values = {
            name: params[name] if name in searched else getattr(self, name)
            for name in type(self).model_fields
            if name not in NO_HYPERPARAMETERS or name in ORIGIN_FIELDS
        }
        whole = type(self).model_validate(values)
        plain = whole.model_dump(mode="json", exclude=set(NO_HYPERPARAMETERS))
        return settings_from(plain | self._not_searched())

    def _not_searched(self) -> dict[str, Any]:
        """Values of hyperparameters that are not searched, whatever space they have."""
        return {}


class WaysTried(ArmBase):
    """An arm whose ways of answering are not searched.

    Each trial scores its trained weights in all of them, and keeps the best.
    """

    def search_space(self) -> dict[str, Space]:
        """Hyperparameters that are ranges or choices, by name, but for those not searched."""
        space = super().search_space()
        space.pop("answering", None)
        return space

    def ways(self) -> tuple[Answering, ...]:
        """The ways of answering, the default first: of equals the first is kept."""
        if not isinstance(self.answering, Choice):
            return (self.answering,)
        first = self.answering.start
        return (first, *(way for way in self.answering.choices if way != first))

    def _not_searched(self) -> dict[str, Any]:
        ways = self.ways()
        return {"answering": ways if len(ways) > 1 else ways[0]}
