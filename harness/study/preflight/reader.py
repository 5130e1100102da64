"""A model as a reader of prompts, and what is said of a prompt that is too long for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.records import JsonValue


@dataclass(frozen=True, slots=True)
class Reader:
    """One model: what reads a prompt, and how much of it."""

    name: str
    """What the model is called in messages."""
    tokenizer: Any
    """The model's tokenizer."""
    context: int | None
    """Tokens that the model can read; None where there is no limit."""
    template_args: Mapping[str, JsonValue] = field(default_factory=dict)
    """What the model's chat template is told beside the messages."""
    _lengths: dict[str, int] = field(default_factory=dict, repr=False, compare=False)
    """Text -> its tokens, once counted."""
    asked: dict[tuple[Any, ...], int] = field(default_factory=dict, repr=False, compare=False)
    """How a conversation is asked, and which -> tokens of its prompt, once counted."""

    def tokens(self, text: str) -> int:
        """Tokens of a text by itself; each text is cut into them once."""
        if text not in self._lengths:
            self._lengths[text] = len(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return self._lengths[text]


@dataclass(frozen=True, slots=True)
class Overlong:
    """A prompt that is too long."""

    arm: str
    """Name of the arm."""
    shots: int
    """Number of worked examples in the prompt."""
    tokens: int
    """Tokens of the prompt."""
    alone: int
    """Tokens of the prompt without worked examples."""
    room: int
    """Tokens that its answer may have."""
    needed: int
    """Tokens that its answer needs at least."""
    reader: Reader
    """The model that cannot read it."""

    def sentence(self) -> str:
        """What is wrong, and what to do."""
        shown = f" with {self.shots} worked examples ({self.alone:,} without)" if self.shots else ""
        context = self.reader.context or 0
        if self.tokens + self.needed <= context:
            remedy = f"set task.max_new_tokens to {self.needed:,} or few more"
        elif self.shots and self.alone + self.room <= context:
            remedy = "take fewer shots"
        else:
            remedy = "shorten it"
        return (
            f"its prompt has {self.tokens:,} tokens in arm {self.arm}{shown} and its answer may "
            f"have {self.room:,}; {self.reader.name} reads {self.reader.context:,} in all: "
            f"{remedy}, or take a model that reads more"
        )
