"""Render an item as the text and tokens that a model sees, in training and in scoring alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.records import Example
from harness.spec import TaskSpec

# No text of an item holds it, so what a template writes around it can be told apart.
MARK = "\x01"
PLAIN_TURN = {"user": "Input", "assistant": "Answer"}
PLAIN_BREAK = "\n\n"


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
    instruction at the head of the first user message. Without a chat template, or where the arm
    does without it, the same parts are written as plain text.

    Parameters:
        tokenizer: of transformers.
        task: the task section of the experiment.
        instruction: replaces the task's, if given.
        template: replaces the task's for items and shots, if given.
        chat: ask through the tokenizer's chat template, where it has one.
        shots: the shots for an item, in order.

    Attributes:
        lead: text between a prompt and its answer, the same as in shots; a space in plain text.
        end: text that ends an answer: of its turn, or in plain text of the whole text.
        stops: texts at which a reply ends: ``end``, and in plain text where a next item begins,
            since a model that was only shown examples goes on with another one.
    """

    def __init__(
        self,
        tokenizer: Any,
        task: TaskSpec,
        shots: Callable[[Example], Sequence[Example]] = lambda item: (),
        instruction: str | None = None,
        *,
        template: str | None = None,
        chat: bool = True,
    ) -> None:
        self._tokenizer = tokenizer
        self._chat = chat and tokenizer.chat_template is not None
        self._shots = shots
        self._instruction = instruction if instruction is not None else task.instruction
        self._template = template if template is not None else task.template
        self._system = self._accepts_system()
        self.lead = "" if self._chat else " "
        self.end = self._end_of_answer()
        next_item = f"{PLAIN_BREAK}{PLAIN_TURN['user']}:"
        stops = (self.end,) if self._chat else (self.end, next_item)
        self.stops = tuple(stop for stop in stops if stop)

    def item_text(self, item: Example) -> str:
        """The item through the template."""
        return fill(self._template, item)

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
        return self._prompt(self.messages(item))

    def reply(self, answer: str) -> str:
        """An answer as it follows a prompt, up to its end."""
        return self.lead + answer + self.end

    def encode_prompt(self, item: Example) -> tuple[int, ...]:
        """Token ids of the prompt."""
        return self._encode(self.prompt(item))

    def encode(self, item: Example) -> TokenisedExample:
        """The item with its answer and the end-of-answer token, for training."""
        prompt, answer = self._encode_pair(self.prompt(item), self.reply(item.answer))
        return TokenisedExample(item.id, prompt, answer)

    def encode_answer(self, answer: str, end: str | None = None) -> tuple[int, ...]:
        """Token ids of an answer and its end after any prompt, as :meth:`encode` gives them.

        end: in place of the usual one.
        """
        asked = self._prompt([{"role": "user", "content": MARK}])
        # The end of a prompt is always the same, and decides how what follows is cut into tokens.
        tail = asked.rpartition(MARK)[2]
        reply = self.lead + answer + (self.end if end is None else end)
        return self._encode_pair(tail, reply)[1]

    def _prompt(self, messages: Sequence[dict[str, str]]) -> str:
        if not self._chat:
            return _plain_text(messages)
        return str(
            self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        )

    def _encode(self, text: str) -> tuple[int, ...]:
        # As lm-eval does: a beginning-of-text token is added unless the template wrote one.
        begin = self._tokenizer.bos_token
        written = bool(begin) and text.startswith(begin)
        return tuple(self._tokenizer(text, add_special_tokens=not written)["input_ids"])

    def _encode_pair(self, prompt: str, reply: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        asked, whole = self._encode(prompt), self._encode(prompt + reply)
        if whole[: len(asked)] == asked:
            return asked, whole[len(asked) :]
        # The text's tokens straddle the border, but a reply can only follow the prompt's own.
        return asked, tuple(self._tokenizer(reply, add_special_tokens=False)["input_ids"])

    def _accepts_system(self) -> bool:
        import jinja2

        if not self._chat:
            return True
        probe = [{"role": "system", "content": MARK}, {"role": "user", "content": "x"}]
        try:
            text = self._tokenizer.apply_chat_template(probe, tokenize=False)
        except jinja2.exceptions.TemplateError:
            return False
        return MARK in text

    def _end_of_answer(self) -> str:
        eos = str(self._tokenizer.eos_token or "")
        if not self._chat:
            return eos
        turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": MARK}]
        text = str(self._tokenizer.apply_chat_template(turns, tokenize=False))
        after = text.rpartition(MARK)[2].strip()
        return after.split(eos)[0] + eos if eos and eos in after else after or eos


def fill(template: str, item: Example) -> str:
    """The template with the item's columns in it.

    The substitution is literal, so braces inside the data are left alone.
    """
    return template.format_map(item.inputs)


def render_template(task: TaskSpec, item: Example) -> str:
    """The item's text: the task's template with the item's columns in it."""
    return fill(task.template, item)


def _plain_text(messages: Sequence[dict[str, str]]) -> str:
    parts = [
        message["content"]
        if message["role"] == "system"
        else f"{PLAIN_TURN[message['role']]}: {message['content']}"
        for message in messages
    ]
    return PLAIN_BREAK.join([*parts, f"{PLAIN_TURN['assistant']}:"])
