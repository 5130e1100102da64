"""The arms: ways to do the task. Defaults and default search spaces live here, once.

The best LoRA learning rate is about ten times the best rate of full fine-tuning (Schulman et
al., "LoRA Without Regret", 2025), so each kind has its own range.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from harness.answers.reasoning import Reasoning
from harness.spec.arm_base import PROMPT_KEYS, ArmBase, WaysTried
from harness.spec.brought_arm import BroughtArm
from harness.spec.command_arm import CommandArm
from harness.spec.endpoint import EndpointSpec
from harness.spec.instruction import InstructionFrom
from harness.spec.model import ModelSpec, from_reference
from harness.spec.settings import (
    Checks,
    Features,
    Keep,
    Method,
    Quantisation,
    Schedule,
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


class PromptArm(ArmBase):
    """An untouched model, prompted: the experiment's, another local one, or one on a server."""

    kind: Literal["prompt"]
    model: ModelSpec | None = Field(
        None, description="Local model in place of the experiment's: a reference, or its parts."
    )
    endpoint: EndpointSpec | None = Field(
        None, description="Model behind an OpenAI-compatible server, in place of a local one."
    )
    reasoning: Reasoning | Choice[Reasoning] = Field(
        "none",
        description="Whether the model is asked to think in words before it answers: not, in a "
        "sentence or two (brief), or step by step (free). The answer is what follows the task's "
        "answer.extract or, without one, `Final answer:`; a reply without it has none.",
    )
    reasoning_tokens: PositiveInt = Field(
        256, description="Tokens that reasoning may have, beside those of the answer."
    )
    bootstrapped: Count = Field(
        0,
        description="Training rows, the first ones, that the model is asked to reason about before "
        "the search: where its answer is right, its own words are the worked example of a prompt "
        "that reasons. 0: worked examples show answers alone. Its tokens count against the budget.",
    )

    @property
    def bootstraps(self) -> tuple[Reasoning, ...]:
        """The ways in which worked examples may reason in the model's own words; none if never."""
        every: tuple[Reasoning, ...] = self.values_of("reasoning") if self.bootstrapped else ()
        return tuple(how for how in every if how != "none")

    @property
    def asks_another_model(self) -> bool:
        """Whether the model that is asked is not the experiment's own."""
        return self.model is not None or self.endpoint is not None

    @field_validator("model", mode="before", json_schema_input_type=str | ModelSpec | None)
    @classmethod
    def _short_model(cls, model: Any) -> Any:
        return from_reference(model)

    @model_validator(mode="after")
    def _reasons_freely(self) -> Self:
        reasons = set(self.values_of("reasoning")) != {"none"}
        if reasons and set(self.values_of("answering")) != {"generate"}:
            raise ValueError(
                "reasoning: what is thought before an answer is written freely, and likelihoods "
                "and constrained decoding know no thought: use answering: generate, or an arm of "
                "its own for each"
            )
        return self

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


class ClassifierArm(ArmBase):
    """The reference without a language model: TF-IDF of words and characters, and a classifier.

    For answers that are classes: labels, sets of labels, and JSON of closed fields, each field with
    a classifier of its own. Of the keys of prompts it reads `template` alone.
    """

    kind: Literal["classifier"]
    method: Method | Choice[Method] = Field(
        Choice[Method](choices=("svm", "logistic", "nearest")),
        description="Linear support vector machine, logistic regression, or nearest neighbours by "
        "cosine.",
    )
    features: Features | Choice[Features] = Field(
        Choice[Features](choices=("both", "words", "characters")),
        description="What is counted: words and pairs of words, 2 to 5 characters within words, "
        "or both.",
    )
    c: PositiveFloat | FloatRange | Choice[float] = Field(
        FloatRange(low=0.1, high=100.0, log=True, default=1.0),
        description="Inverse strength of the regularisation of the linear classifiers.",
    )
    neighbours: PositiveInt | IntRange | Choice[int] = Field(
        IntRange(low=1, high=15, default=5),
        description="Training rows that decide, of method nearest.",
    )
    balanced: bool | Choice[bool] = Field(
        Choice[bool](choices=(False, True)),
        description="Let rare classes weigh as much as frequent ones, in the linear classifiers.",
    )

    @field_validator(*PROMPT_KEYS)
    @classmethod
    def _not_prompted(cls, value: Any, info: ValidationInfo) -> Any:
        if value != ArmBase.model_fields[str(info.field_name)].default:
            raise ValueError("a classifier is not prompted; leave it out")
        return value


class _TrainedArm(WaysTried):
    """What every fine-tuning arm of the program's own has.

    Its epochs are not searched where one training passes through all of them.
    """

    instruction: str | Choice[str] | InstructionFrom | None = Field(  # type: ignore[assignment]
        None,
        description="Instruction in place of the task's, or `{from: ARM}`, that which the search "
        "of a prompt arm selects.",
    )
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
        description="Weights that a training leaves: those of its best check, the earliest of "
        "equals, or those of the last step.",
    )
    checks: Checks = Field(
        "loss",
        description="What makes a check the best: loss, the lowest validation loss; or score, the "
        "best primary metric of replies to the rows of that loss, of equals the lowest loss. Each "
        "check then takes as long as scoring these rows.",
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

    @model_validator(mode="after")
    def _one_process_scores(self) -> Self:
        if self.checks == "score" and self.processes > 1:
            raise ValueError(
                f"checks: score is for one process, and processes is {self.processes}: give "
                "checks: loss, or processes: 1"
            )
        return self

    def search_space(self) -> dict[str, Space]:
        """Hyperparameters that are ranges or choices, by name, but for those not searched."""
        space = super().search_space()
        if self.passes_through_epochs():
            space.pop("epochs", None)
        return space

    def under(self, instruction: str | None) -> Self:
        """The arm under an instruction that another's search selected; None: the task's."""
        return self.model_copy(update={"instruction": instruction})

    def passes_through_epochs(self) -> bool:
        """Whether a training is, at the end of each epoch, the training of so many epochs.

        Its rate must not depend on how many are to come. As epochs end with a check, the best of
        them is kept.
        """
        return self.schedule == "constant" and self.warmup == 0 and self.keep == "best"

    def _not_searched(self) -> dict[str, Any]:
        epochs = {"epochs": greatest(self.epochs)} if self.passes_through_epochs() else {}
        return super()._not_searched() | epochs

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
    start: str | None = Field(
        None,
        description="Adapter to go on from: an arm of kind trained that has one folder, or a "
        "folder. Rank, scale and targets are its own then.",
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

    @model_validator(mode="after")
    def _one_process_goes_on(self) -> Self:
        if self.start is not None and self.processes > 1:
            raise ValueError(
                f"start: training in {self.processes} processes begins anew; give processes: 1"
            )
        return self


class QloraArm(LoraArm):
    """LoRA on a base quantised to NF4 by bitsandbytes (Dettmers et al. 2023)."""

    kind: Literal["qlora"]  # type: ignore[assignment]
    quantisation: Quantisation | Choice[Quantisation] = Field(
        "nf4", description="4-bit type of the base: normal float or plain float."
    )
    double_quantisation: bool | Choice[bool] = Field(
        True, description="Quantise the quantisation constants too."
    )


Arm = Annotated[
    PromptArm | FullArm | LoraArm | QloraArm | BroughtArm | CommandArm | ClassifierArm,
    Field(discriminator="kind"),
]
TrainedArm = FullArm | LoraArm | QloraArm
QuantisedArm = QloraArm
