"""A setting: every hyperparameter of an arm with one value, as the type of the arm's kind.

Names are those of the experiment file, in the order of the arms (:mod:`harness.spec.arms`), which
describe them. As JSON, settings are part of a trial's specification and of its identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from harness.answers.reasoning import NOT_ASKED, AskedReasoning, Reasoning
from harness.records import JsonValue, to_plain

Selection = Literal["fixed", "random", "balanced", "nearest", "bm25"]
Order = Literal["selected", "reversed", "shuffled"]
Answering = Literal["generate", "constrained", "choice"]
Schedule = Literal["constant", "linear", "cosine"]
Quantisation = Literal["nf4", "fp4"]
Keep = Literal["best", "last"]
Checks = Literal["loss", "score"]
BaseForm = Literal["plain", "nf4"]
# As an arm declares them whose weights another program leaves.
AdapterBase = Annotated[
    BaseForm,
    Field(
        description="Form in which the base of an adapter is loaded: plain, in the experiment's "
        "number format, or nf4, as QLoRA has it."
    ),
]
SameBase = Annotated[
    bool,
    Field(
        description="The base that the adapter names is the experiment's model under another name."
    ),
]
Method = Literal["logistic", "svm", "nearest"]
Features = Literal["words", "characters", "both"]
Rows = Literal["prompt_completion", "messages", "text"]
Parameter = bool | int | float | str
# What the names of a command's own parameters begin with, among those of a setting.
PARAMETER = "parameters."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    __pydantic_config__ = ConfigDict(extra="forbid")

    shots: int
    """Worked examples before each item."""
    selection: Selection
    """How they are chosen."""
    order: Order
    """In which order they stand."""
    answering: Answering | tuple[Answering, ...]
    """How the answer is obtained; of a search trial of a fine-tuned arm, the ways it tries."""
    instruction: str | None
    """In place of the task's; None: the task's."""
    template: str | None
    """Of items and shots, in place of the task's; None: the task's."""
    chat: bool
    """Ask through the model's chat template, where it has one."""

    @property
    def ways(self) -> tuple[Answering, ...]:
        """The ways of answering that it leaves open; none where it has one."""
        return () if isinstance(self.answering, str) else self.answering

    @property
    def first_way(self) -> Answering:
        """The way of answering; the first of those that it leaves open."""
        return self.answering if isinstance(self.answering, str) else self.answering[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSettings(_Settings):
    """How an untouched model is asked."""

    kind: Literal["prompt"]
    """Of the arm."""
    reasoning: Reasoning = "none"
    """How it is asked to think in words before it answers."""
    reasoning_tokens: int = 256
    """Tokens that this may have, beside those of the answer."""
    bootstrapped: int = 0
    """Training rows of which worked examples with the model's own reasoning are made; 0: none."""

    @property
    def shows_reasoning(self) -> bool:
        """Whether its worked examples are to have a reasoning of the model's own."""
        return bool(self.shots and self.bootstrapped) and self.reasoning != "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierSettings(_Settings):
    """How a classifier without a language model is trained; of prompts it has the template."""

    kind: Literal["classifier"]
    """Of the arm."""
    method: Method
    """The classifier."""
    features: Features
    """What of a text is counted."""
    c: float
    """Inverse strength of the regularisation; of no meaning to nearest neighbours."""
    neighbours: int
    """Training rows that decide; of no meaning to the linear classifiers."""
    balanced: bool
    """Rare classes weigh as much as frequent ones; of no meaning to nearest neighbours."""

    @property
    def draws(self) -> bool:
        """Whether its training hangs on the seed."""
        return self.method == "svm"


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtSettings(_Settings):
    """How a model is asked whose weights were fine-tuned before, by another program."""

    kind: Literal["trained"]
    """Of the arm."""
    base: BaseForm
    """In which form the base of an adapter is loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettings(_Settings):
    """How a model is asked that a training command of the user's fine-tuned, and how it is run."""

    kind: Literal["command"]
    """Of the arm."""
    # Compared, and no part of the hash: settings are counted and told apart like any others.
    parameters: dict[str, Parameter] = field(default_factory=dict, hash=False)
    """Its own hyperparameters, by name."""
    rows: Rows
    """How rows are written for it."""
    base: BaseForm
    """In which form the base of an adapter is loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _TrainedSettings(_Settings):
    epochs: int
    """Passes over the training split."""
    batch_size: int
    """Examples an optimiser step."""
    micro_batch_size: int
    """Examples a forward pass, at most."""
    gradient_checkpointing: Literal["auto"] | bool
    """Compute activations again in the backward pass; auto: where they do not fit."""
    schedule: Schedule
    """Course of the learning rate after warm-up."""
    warmup: float
    """Share of the steps over which the rate rises from 0."""
    weight_decay: float
    """Decoupled (AdamW)."""
    replay: float
    """Share of general text among the training examples, 0 to below 1."""
    kl_weight: float
    """Weight in the loss of the divergence from the base on general text; 0: none."""
    max_grad_norm: float
    """Gradient norm above which it is cut."""
    processes: int
    """Processes that train side by side, one GPU each."""
    max_length: int
    """Tokens of prompt and answer; longer examples are left out."""
    keep: Keep
    """Which of the weights of a training are kept."""
    checks: Checks
    """What of the validation rows says which check is the best: their loss, or the score of
    replies to them."""
    kind: str
    """Of the arm."""
    learning_rate: float
    """At its peak."""

    @property
    def uses_general_text(self) -> bool:
        """Whether general text is replayed, or the model held to its base on it."""
        return bool(self.replay or self.kl_weight)

    @property
    def scores_checks(self) -> bool:
        """Whether the score of replies says which weights are kept."""
        return self.checks == "score" and self.keep == "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class FullSettings(_TrainedSettings):
    """How all weights are trained."""

    kind: Literal["full"]
    """Of the arm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _AdapterSettings(_TrainedSettings):
    rank: int
    """Of the adapters."""
    alpha_over_rank: float
    """Scale of the adapters: alpha divided by rank."""
    dropout: float
    """Of the adapters, 0 to 1."""
    targets: str | tuple[str, ...]
    """Layers that get an adapter: ``all-linear``, a name or names."""
    rslora: bool
    """Scale by alpha over the root of the rank."""
    dora: bool
    """Train magnitude and direction apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSettings(_AdapterSettings):
    """How adapters are trained on a frozen base."""

    kind: Literal["lora"]
    """Of the arm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QloraSettings(_AdapterSettings):
    """How adapters are trained on a base in 4 bits."""

    kind: Literal["qlora"]
    """Of the arm."""
    quantisation: Quantisation
    """4-bit type of the base."""
    double_quantisation: bool
    """Quantise the quantisation constants too."""


AdapterSettings = LoraSettings | QloraSettings
QuantisedSettings = QloraSettings
OutsideSettings = BroughtSettings | CommandSettings
TrainedSettings = FullSettings | LoraSettings | QloraSettings
Settings = (
    PromptSettings
    | ClassifierSettings
    | BroughtSettings
    | CommandSettings
    | FullSettings
    | LoraSettings
    | QloraSettings
)


_READER = TypeAdapter[Settings](Annotated[Settings, Field(discriminator="kind")])


def settings_from(params: Mapping[str, Any]) -> Settings:
    """Read a setting from plain data, such as the ``params`` of a trial; ``kind`` says which.

    Raises:
        pydantic.ValidationError: a value is missing, or is none of the kind's.
    """
    plain = dict(params)
    own = {name: plain.pop(name) for name in params if name.startswith(PARAMETER)}
    if own:
        plain["parameters"] = {name.removeprefix(PARAMETER): v for name, v in own.items()}
    return _READER.validate_python(plain)


def params_of(settings: Settings) -> dict[str, JsonValue]:
    """A setting as plain data, each hyperparameter by its name; :func:`settings_from` reads it."""
    plain = to_plain(settings)
    own = plain.pop("parameters", {})
    return plain | {PARAMETER + name: value for name, value in own.items()}


def quantisation_of(settings: Settings) -> tuple[Quantisation, bool] | None:
    """4-bit type of the base, and whether its constants are quantised; None where it has all bits.

    That of weights trained elsewhere is the usual one of their trainers.
    """
    match settings:
        case QloraSettings():
            return settings.quantisation, settings.double_quantisation
        case BroughtSettings(base="nf4") | CommandSettings(base="nf4"):
            return "nf4", True
    return None


def reasoning_of(settings: Settings) -> AskedReasoning:
    """How a model is asked to think before it answers.

    One that is fine-tuned answers as its training examples do.
    """
    if not isinstance(settings, PromptSettings) or settings.reasoning == "none":
        return NOT_ASKED
    return AskedReasoning(settings.reasoning, settings.reasoning_tokens)
