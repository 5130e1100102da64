"""The arms: ways to do the task. Defaults and default search spaces live here, once.

The best LoRA learning rate is about ten times the best rate of full fine-tuning (Schulman et
al., "LoRA Without Regret", 2025), so each kind has its own range.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from harness.records.frozen_spec import FrozenSpec
from harness.spec.endpoint import EndpointSpec
from harness.spec.model import ModelSpec, from_reference
from harness.spec.settings import (
    Answering,
    Keep,
    Order,
    Quantisation,
    Schedule,
    Selection,
    Settings,
    settings_from,
)
from harness.spec.spaces import (
    Choice,
    Count,
    FloatRange,
    IntRange,
    PositiveFloat,
    PositiveInt,
    Share,
    ShareBelowOne,
    Space,
    Weight,
    greatest,
)
from harness.spec.task import template_fields

# Fields of an arm that say how it is studied, not what it is.
STUDY_FIELDS = frozenset({"seeds", "curve"})
# With the model that is asked: no hyperparameters.
NO_HYPERPARAMETERS = STUDY_FIELDS | {"model", "endpoint"}


class _Arm(FrozenSpec):
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
    instruction: str | Choice[str] | None = Field(
        None, description="Instruction in place of the task's."
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

    def values_of(self, name: str) -> tuple[Any, ...]:
        """The values that a hyperparameter without a range may take."""
        value = getattr(self, name)
        return value.choices if isinstance(value, Choice) else (value,)

    def search_space(self) -> dict[str, Space]:
        """Hyperparameters that are ranges or choices, by name."""
        return {
            name: value
            for name in type(self).model_fields
            if isinstance(value := getattr(self, name), FloatRange | IntRange | Choice)
        }

    @model_validator(mode="after")
    def _every_value_allowed(self) -> Self:
        """Each end of a range and each choice must be a value the hyperparameter may have."""
        for name, value in _Arm.search_space(self).items():
            ends = value.choices if isinstance(value, Choice) else (value.low, value.high)
            for end in ends:
                if why := self._refused(name, end):
                    raise ValueError(f"{name}: {end!r} is not allowed: {why}")
        return self

    def allows(self, name: str, value: object) -> bool:
        """Whether a hyperparameter may have the value, the others being as in trial 0."""
        return not self._refused(name, value)

    def _refused(self, name: str, value: object) -> str:
        plain = {field: getattr(self, field) for field in type(self).model_fields}
        # Of those too that the arm does not search.
        starts = {field: space.start for field, space in _Arm.search_space(self).items()}
        try:
            type(self).model_validate({**plain, **starts, name: value})
        except ValidationError as error:
            return error.errors()[0]["msg"]
        return ""

    def settings(self) -> int | None:
        """Number of distinct settings; 1 with nothing to search, None for an infinite space."""
        sizes = []
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
            if name not in NO_HYPERPARAMETERS
        }
        whole = type(self).model_validate(values)
        plain = whole.model_dump(mode="json", exclude=set(NO_HYPERPARAMETERS))
        return settings_from(plain | self._not_searched())

    def _not_searched(self) -> dict[str, Any]:
        """Values of hyperparameters that are not searched, whatever space they have."""
        return {}


class PromptArm(_Arm):
    """An untouched model, prompted: the experiment's, another local one, or one on a server."""

    kind: Literal["prompt"]
    model: ModelSpec | None = Field(
        None, description="Local model in place of the experiment's: a reference, or its parts."
    )
    endpoint: EndpointSpec | None = Field(
        None, description="Model behind an OpenAI-compatible server, in place of a local one."
    )

    @property
    def asks_another_model(self) -> bool:
        """Whether the model that is asked is not the experiment's own."""
        return self.model is not None or self.endpoint is not None

    @field_validator("model", mode="before", json_schema_input_type=str | ModelSpec | None)
    @classmethod
    def _short_model(cls, model: Any) -> Any:
        return from_reference(model)

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if self.endpoint is None:
            return self
        if self.model is not None:
            raise ValueError("give `model` or `endpoint`, not both")
        if set(self.values_of("answering")) != {"generate"}:
            raise ValueError(
                "answering: an endpoint only generates freely; likelihoods and constrained "
                "decoding need a local model"
            )
        if self.values_of("chat") != (True,):
            raise ValueError("chat: an endpoint is asked through its chat interface only")
        return self


class _TrainedArm(_Arm):
    """What every fine-tuning arm has.

    Its ways of answering are not searched: each trial scores its trained weights in all of them,
    and keeps the best. Nor are its epochs where one training passes through all of them.
    """

    epochs: PositiveInt | IntRange | Choice[int] = Field(
        2,
        description="Passes over the training split. With schedule constant, warmup 0 and keep "
        "best a range costs one training, of the most: it is not searched.",
    )
    batch_size: PositiveInt | Choice[int] = Field(8, description="Examples per optimiser step.")
    micro_batch_size: PositiveInt = Field(
        8, description="Examples per forward pass at most; fewer where memory is short."
    )
    gradient_checkpointing: Literal["auto"] | bool = Field(
        "auto",
        description="Compute activations again in the backward pass instead of keeping them: less "
        "memory, about a third more time; auto does so where they do not fit.",
    )
    schedule: Schedule | Choice[Schedule] = Field(
        "cosine", description="Course of the learning rate after warm-up."
    )
    warmup: Share | FloatRange | Choice[float] = Field(
        0.1, description="Share of the steps over which the rate rises from 0."
    )
    weight_decay: Weight | FloatRange | Choice[float] = Field(
        0.0, description="Decoupled weight decay (AdamW)."
    )
    replay: ShareBelowOne | FloatRange | Choice[float] = Field(
        0.0,
        description="Share of general text among the training examples, against forgetting; it "
        "comes from general.replay.",
    )
    kl_weight: Weight | FloatRange | Choice[float] = Field(
        0.0,
        description="Weight of the divergence from the base (KL, nats a token) on general text, "
        "added to the loss against forgetting.",
    )
    max_grad_norm: PositiveFloat = Field(1.0, description="Gradient norm above which it is cut.")
    processes: PositiveInt = Field(
        1, description="Processes, one GPU each, that train side by side on shares of each batch."
    )
    max_length: PositiveInt = Field(
        1024, description="Tokens of prompt and answer; longer examples are reported, not cut."
    )
    keep: Keep = Field(
        "best",
        description="Weights that a training leaves: those of the check with the lowest validation "
        "loss, the earliest of equals, or those of the last step.",
    )
    curve: tuple[PositiveInt, ...] = Field(
        (),
        description="Training-set sizes at which the selected setting is trained too, on nested "
        "sets, to show score and overfitting against size.",
    )

    @field_validator("curve")
    @classmethod
    def _growing(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if list(sizes) != sorted(set(sizes)):
            raise ValueError(f"curve: sizes must grow and differ, not {list(sizes)}")
        return sizes

    def search_space(self) -> dict[str, Space]:
        """Hyperparameters that are ranges or choices, by name, but for those not searched."""
        space = super().search_space()
        space.pop("answering", None)
        if self.passes_through_epochs():
            space.pop("epochs", None)
        return space

    def passes_through_epochs(self) -> bool:
        """Whether a training is, at the end of each epoch, the training of so many epochs.

        Its rate must not depend on how many are to come. As epochs end with a check, the best of
        them is kept.
        """
        return self.schedule == "constant" and self.warmup == 0 and self.keep == "best"

    def ways(self) -> tuple[Answering, ...]:
        """The ways of answering, the default first: of equals the first is kept."""
        if not isinstance(self.answering, Choice):
            return (self.answering,)
        first = self.answering.start
        return (first, *(way for way in self.answering.choices if way != first))

    def _not_searched(self) -> dict[str, Any]:
        ways = self.ways()
        epochs = {"epochs": greatest(self.epochs)} if self.passes_through_epochs() else {}
        return {"answering": ways if len(ways) > 1 else ways[0], **epochs}

    def uses_general_text(self) -> bool:
        """Whether any of its settings may replay general text or be held to the base on it."""
        return bool(greatest(self.replay) or greatest(self.kl_weight))


class FullArm(_TrainedArm):
    """All weights are trained; fp32 master weights, computing in the run's dtype."""

    kind: Literal["full"]
    learning_rate: PositiveFloat | FloatRange | Choice[float] = Field(
        FloatRange(low=5e-6, high=2e-4, log=True, default=5e-5), description="Peak rate."
    )


class LoraArm(_TrainedArm):
    """Low-rank adapters on a frozen base (Hu et al. 2021)."""

    kind: Literal["lora"]
    learning_rate: PositiveFloat | FloatRange | Choice[float] = Field(
        FloatRange(low=1e-4, high=3e-3, log=True, default=5e-4), description="Peak rate."
    )
    rank: PositiveInt | IntRange | Choice[int] = Field(16, description="Rank of the adapters.")
    alpha_over_rank: PositiveFloat | FloatRange | Choice[float] = Field(
        2.0, description="Scale of the adapters: alpha divided by rank."
    )
    dropout: Share | FloatRange | Choice[float] = Field(0.0, description="Adapter dropout.")
    targets: str | tuple[str, ...] | Choice[str | tuple[str, ...]] = Field(
        "all-linear",
        description="Layers that get an adapter: all-linear, every one that can have it, or "
        "module names. What is left without one is recorded with each trial.",
    )
    rslora: bool | Choice[bool] = Field(
        False,
        description="Scale by alpha over the root of the rank (Kalajdzievski 2023), which keeps "
        "high ranks stable.",
    )
    dora: bool | Choice[bool] = Field(
        False,
        description="Train magnitude and direction apart (Liu et al. 2024); slower to train.",
    )


class QloraArm(LoraArm):
    """LoRA on a base quantised to NF4 by bitsandbytes (Dettmers et al. 2023)."""

    kind: Literal["qlora"]  # type: ignore[assignment]
    quantisation: Quantisation | Choice[Quantisation] = Field(
        "nf4", description="4-bit type of the base: normal float or plain float."
    )
    double_quantisation: bool | Choice[bool] = Field(
        True, description="Quantise the quantisation constants too."
    )


Arm = Annotated[PromptArm | FullArm | LoraArm | QloraArm, Field(discriminator="kind")]
TrainedArm = FullArm | LoraArm | QloraArm
QuantisedArm = QloraArm
