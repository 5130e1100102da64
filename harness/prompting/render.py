"""Render an item as the text and tokens that a model sees, in training and in scoring alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any

from harness.prompting.chat_template import ChatTemplate
from harness.prompting.control_tokens import ControlTokens
from harness.prompting.encoding import TextEncoder
from harness.records import Example
from harness.spec import TaskSpec
from harness.spec.task import template_fields

PLAIN_TURN = {"user": "Input", "assistant": "Answer"}
PLAIN_BREAK = "\n\n"
_MARK = "\x01"


@dataclass(frozen=True, slots=True)
class TokenisedExample:
    """A training example; the loss is on its answer."""

    id: str
    """Id of the example."""
    prompt: tuple[int, ...]
    """Token ids of the prompt."""
    answer: tuple[int, ...]
    """Token ids of the answer, its end included."""

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

    Control tokens of the model in an item or an answer are made plain text: no item can end its
    own turn.

    Args:
        tokenizer: tokenizer of transformers.
        task: the task section of the experiment.
        instruction: instruction in place of the task's, if given.
        template: template in place of the task's for items and shots, if given.
        chat: whether to ask through the tokenizer's chat template, where it has one.
        shots: the shots for an item, in order.
        date: day that a chat template which writes the date is told (YYYY-MM-DD); today if None.

    Attributes:
        lead: text between a prompt and its answer, the same as in shots; a space in plain text.
        end: text that ends an answer: of its turn, or in plain text of the whole text.
        stops: texts at which a reply ends: ``end``, and in plain text where a next item begins,
            since a model that was only shown examples goes on with another one.
        alters: whether the chat template changes some texts, so that no prompt can hold them.
        notes: what the chat template does that a reader of results should know.

    Raises:
        SpecError: the chat template cannot write a question with its answer.
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
        date: str | None = None,
    ) -> None:
        chat = chat and tokenizer.chat_template is not None
        self._chat = ChatTemplate(tokenizer, date) if chat else None
        self._tokenizer = tokenizer
        self._control = ControlTokens(tokenizer)
        self._shots = shots
        self.instruction = task.answer.told(
            instruction if instruction is not None else task.instruction
        )
        self._template = template if template is not None else task.template
        self.notes: tuple[str, ...] = ()
        self.alters = self._chat is not None and self._chat.alters
        if self._chat is not None:
            self.lead, self.end, self.stops = self._chat.lead, self._chat.end, self._chat.ends
            self.notes = self._chat.notes
        else:
            next_item = f"{PLAIN_BREAK}{PLAIN_TURN['user']}:"
            self.lead = " "
            # Without a token that ends a text, an answer ends as it does in the worked examples.
            self.end = str(tokenizer.eos_token or "") or next_item
            self.stops = tuple(dict.fromkeys((self.end, next_item)))

    @cached_property
    def _own_control(self) -> list[str]:
        """Control tokens that the template itself writes."""
        columns = template_fields(self._template)
        return self._control.found(self._template.format_map(dict.fromkeys(columns, _MARK)))

    @cached_property
    def _encode(self) -> TextEncoder:
        return TextEncoder(self._tokenizer)

    def item_text(self, item: Example) -> str:
        """The item through the template, as the prompt holds it."""
        inputs = {name: self._control.as_text(text) for name, text in item.inputs.items()}
        text = self._template.format_map(inputs)
        # The end of one column and the beginning of the next may make one together.
        if self._control.found(text) != self._own_control:
            text = self._control.as_text(text)
        return text

    def answer_text(self, answer: str) -> str:
        """An answer as it is shown and trained on, without what stands around it."""
        return self._control.as_text(answer)

    def shots(self, item: Example) -> Sequence[Example]:
        """The worked examples in the item's prompt, in order."""
        return self._shots(item)

    def messages(self, item: Example) -> list[dict[str, str]]:
        """Chat messages up to and including the item."""
        turns: list[dict[str, str]] = []
        for shot in self._shots(item):
            turns.append({"role": "user", "content": self.item_text(shot)})
            turns.append({"role": "assistant", "content": self.answer_text(shot.answer)})
        turns.append({"role": "user", "content": self.item_text(item)})
        whole = [{"role": "system", "content": self.instruction}, *turns]
        return whole if self._chat is None else self._chat.accepted(whole)

    def prompt(self, item: Example) -> str:
        """The prompt as text, ready for the answer to follow."""
        return self._prompt(self.messages(item))

    def reply(self, answer: str) -> str:
        """An answer as it follows a prompt, up to its end."""
        return self.lead + self.answer_text(answer) + self.end

    def encode_prompt(self, item: Example) -> tuple[int, ...]:
        """Token ids of the prompt."""
        return self._encode(self.prompt(item))

    def opening(self, item: Example) -> int:
        """Tokens of the prompt before the item's own text: instruction, worked examples, frame."""
        asked = self.prompt(item).removesuffix(self._tail)
        before = self._encode(asked[: max(0, asked.rfind(self.item_text(item).strip()))])
        pairs = zip(before, self.encode_prompt(item), strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    def encode(self, item: Example) -> TokenisedExample:
        """The item with its answer and the end-of-answer token, for training."""
        prompt, answer = self._encode_pair(self.prompt(item), self.reply(item.answer))
        return TokenisedExample(item.id, prompt, answer)

    def encode_answer(self, answer: str, end: str | None = None) -> tuple[int, ...]:
        """Token ids of an answer and its end after any prompt, as :meth:`encode` gives them.

        Args:
            end: text that ends the answer; the usual one if None.
        """
        reply = self.lead + self.answer_text(answer) + (self.end if end is None else end)
        return self._encode_pair(self._tail, reply)[1]

    @property
    def gap(self) -> str:
        """What stands between a question and its answer, asked for, shown or trained on."""
        return self._tail + self.lead

    @cached_property
    def _tail(self) -> str:
        """What every prompt ends with, which decides how what follows is cut into tokens."""
        return self._prompt([{"role": "user", "content": _MARK}]).rpartition(_MARK)[2]

    def _prompt(self, messages: Sequence[dict[str, str]]) -> str:
        return _plain_text(messages) if self._chat is None else self._chat.prompt(messages)

    def _encode_pair(self, prompt: str, reply: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        asked, whole = self._encode(prompt), self._encode(prompt + reply)
        if whole[: len(asked)] == asked:
            return asked, whole[len(asked) :]
        # The text's tokens straddle the border, but a reply can only follow the prompt's own.
        return asked, self._encode.bare(reply)


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
