"""What an lm-eval model does with a tokenizer alone: write prompts, and count their tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from harness.models.context import context_length
from harness.prompting.chat_template import ChatTemplate
from harness.prompting.encoding import TextEncoder
from harness.records import JsonValue, ModelWork

# Of models that read without end.
UNLIMITED = 2**20


class PromptReader:
    """The part of an lm-eval model that needs no weights.

    Attributes:
        on_progress: called with (done, total) as scoring goes on.
        cut: prompt -> tokens that it was asked by, its last ones, for prompts that the model
            cannot read whole.
        work: what the model has computed since :meth:`listen`.
    """

    def read_with(
        self,
        config: Any,
        tokenizer: Any,
        date: str | None,
        template_args: Mapping[str, JsonValue] | None,
    ) -> None:
        """Take the model's configuration and tokenizer.

        Args:
            date: day that a chat template which writes the date is told; today if None.
            template_args: what the chat template is told beside the messages.
        """
        self.on_progress: Callable[[int, int], None] = lambda done, total: None
        self.cut: dict[str, int] = {}
        self.work = ModelWork()
        self.longest = context_length(config) or UNLIMITED
        self._encode = TextEncoder(tokenizer)
        self._prompts_of = tokenizer
        self._date, self._template_args = date, template_args

    def listen(self, on_progress: Callable[[int, int], None]) -> None:
        """Begin a score: progress is told to ``on_progress``, work and cut prompts count anew."""
        self.on_progress = on_progress
        self.cut.clear()
        self.work = ModelWork()

    def remark(self, prompt: str) -> int | None:
        """Tokens that a prompt was cut to; None where it was read whole."""
        return self.cut.get(prompt)

    def recall(self, prompt: str, remark: int) -> None:
        """Take note of what an earlier prompt was cut to."""
        self.cut[prompt] = remark

    def count_tokens(self, prompt: str, reply: str) -> tuple[int, int]:
        """Tokens of a prompt as it is asked, and of a reply."""
        asked = self.cut.get(prompt) or len(self._encode(prompt))
        return asked, len(self._encode.bare(reply))

    def prompt_of(self, chat_history: list[dict[str, str]]) -> str:
        """A conversation as text, written as the prompts of the user's task are."""
        return self._template.prompt(self._template.accepted(chat_history))

    @cached_property
    def _template(self) -> ChatTemplate:
        return ChatTemplate(self._prompts_of, self._date, self._template_args)
