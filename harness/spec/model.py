"""Which model, and where it computes."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from harness.records.frozen_spec import FrozenSpec

# What every chat template is handed anyway, or renders with.
_HANDED = frozenset(
    {"messages", "tools", "documents", "conversation", "chat_template", "tokenize",
     "add_generation_prompt", "continue_final_message", "padding", "truncation", "max_length",
     "return_tensors", "return_dict", "still_clock", "strftime_now"}
)  # fmt: skip


def known_template_args(args: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a chat template, as they are.

    Raises:
        ValueError: a name is none that a template can read, or one that it is handed anyway.
    """
    for name in args:
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError(f"{name!r} is no name that a chat template can read")
        if name in _HANDED or name.endswith("_token"):
            raise ValueError(f"{name!r} is handed to every chat template anyway; leave it out")
    return args


TemplateArgs = Annotated[
    dict[str, bool | int | float | str | None], AfterValidator(known_template_args)
]


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
    chat_template_args: TemplateArgs = Field(
        default_factory=dict,
        description="What the model's chat template is told beside the messages, such as "
        "{enable_thinking: false}: the same in training and in scoring.",
    )


def from_reference(model: Any) -> Any:
    """A model given as a bare reference, as the mapping that it is short for."""
    return {"reference": model} if isinstance(model, str) else model


def computing_as_the_study(model: ModelSpec | None, who: str) -> ModelSpec | None:
    """A model that is asked beside the study's, which says nothing of device and number format.

    Args:
        who: what it is, as a sentence begins.

    Raises:
        ValueError: it says something of them.
    """
    for name in ("dtype", "device"):
        if model is not None and getattr(model, name) != "auto":
            raise ValueError(
                f"{name}: {who} computes where and in the number format that the study does; "
                f"leave it out here, and set model.{name} of the experiment"
            )
    return model
