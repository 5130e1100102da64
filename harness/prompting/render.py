"""Render an item as the text and tokens that a model sees, in training and in scoring alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.records import Example
from harness.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class TokenisedExample:
    """A training example: ``prompt`` then ``answer`` token ids; the loss is on the answer."""

    id: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    @property
    def length(self) -> int:
        """Tokens in all."""
        return len(self.prompt) + len(self.answer)


class PromptRenderer:
    """The one place where a prompt is made.

    With a chat template the instruction is the system message, each shot a user and an assistant
    message, and the item the last user message. Templates that refuse a system message get the
    instruction at the head of the first user message. Without a chat template the same parts are
    written as plain text.

    Parameters:
        tokenizer: of transformers.
        task: the task section of the experiment.
        instruction: replaces the task's, if given.
        shots: the shots for an item, in order.
    """

    def __init__(
        self,
        tokenizer: Any,
        task: TaskSpec,
        shots: Callable[[Example], Sequence[Example]] = lambda item: (),
        instruction: str | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._task = task
        self._shots = shots
        self._instruction = instruction if instruction is not None else task.instruction
        self._system = self._accepts_system()
        self.end = self._end_of_answer()

    def item_text(self, item: Example) -> str:
        """The item through the task's template."""
        return render_template(self._task, item)

    def messages(self, item: Example) -> list[dict[str, str]]:
        """Chat messages up to and including the item."""
        turns: list[dict[str, str]] = []
        for shot in self._shots(item):
            turns.append({"role": "user", "content": self.item_text(shot)})
            turns.append({"role": "assistant", "content": shot.answer})
        turns.append({"role": "user", "content": self.item_text(item)})
        if self._system:
            return [{"role": "system", "content": self._instruction}, *turns]
        turns[0] = {**turns[0], "content": f"{self._instruction}\n\n{turns[0]['content']}"}
        return turns

    def prompt(self, item: Example) -> str:
        """The prompt as text, ready for the answer to follow."""
        messages = self.messages(item)
        if self._tokenizer.chat_template is None:
            return _plain_text(messages)
        return str(
            self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        )

    def encode_prompt(self, item: Example) -> tuple[int, ...]:
        """Token ids of the prompt."""
        return self._encode(self.prompt(item))

    def encode(self, item: Example) -> TokenisedExample:
        """The item with its answer and the end-of-answer token, for training."""
        prompt, reply = self.prompt(item), item.answer + self.end
        asked, whole = self._encode(prompt), self._encode(prompt + reply)
        if whole[: len(asked)] == asked:
            return TokenisedExample(item.id, asked, whole[len(asked) :])
        # The text's tokens straddle the border, but a reply can only follow the prompt's own.
        answer = self._tokenizer(reply, add_special_tokens=False)["input_ids"]
        return TokenisedExample(item.id, asked, tuple(answer))

    def _encode(self, text: str) -> tuple[int, ...]:
        # As lm-eval does: a beginning-of-text token is added unless the template wrote one.
        begin = self._tokenizer.bos_token
        written = bool(begin) and text.startswith(begin)
        return tuple(self._tokenizer(text, add_special_tokens=not written)["input_ids"])

    def _accepts_system(self) -> bool:
        import jinja2

        if self._tokenizer.chat_template is None:
            return True
        probe = [{"role": "system", "content": "\x01"}, {"role": "user", "content": "x"}]
        try:
            text = self._tokenizer.apply_chat_template(probe, tokenize=False)
        except jinja2.exceptions.TemplateError:
            return False
        return "\x01" in text

    def _end_of_answer(self) -> str:
        eos = str(self._tokenizer.eos_token or "")
        if self._tokenizer.chat_template is None:
            return eos
        turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "\x01"}]
        text = str(self._tokenizer.apply_chat_template(turns, tokenize=False))
        after = text.rpartition("\x01")[2].strip()
        return after.split(eos)[0] + eos if eos and eos in after else after or eos


def render_template(task: TaskSpec, item: Example) -> str:
    """The item's text: the task's template with the item's columns in it.

    The substitution is literal, so braces inside the data are left alone.
    """
    return task.template.format_map(item.inputs)


def _plain_text(messages: Sequence[dict[str, str]]) -> str:
    names = {"user": "Input", "assistant": "Answer"}
    parts = [
        message["content"]
        if message["role"] == "system"
        else f"{names[message['role']]}: {message['content']}"
        for message in messages
    ]
    return "\n\n".join([*parts, "Answer:"])
