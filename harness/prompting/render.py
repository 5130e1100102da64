"""Render an item as the text and tokens that a model sees, in training and in scoring alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from typing import Any

from harness.answers.reasoning import MARK, NOT_ASKED, AskedReasoning
from harness.answers.thoughts import own_marks, with_usual_marks
from harness.errors import SpecError
from harness.prompting.chat_template import ChatTemplate
from harness.prompting.control_tokens import ControlTokens
from harness.prompting.encoding import TextEncoder
from harness.prompting.servers_tokenizer import ServersTokenizer
from harness.prompting.tokenised import TokenisedExample, as_conversations
from harness.prompting.tools_told import ToolsTold
from harness.records import Example, JsonValue, Message, system_of
from harness.spec import TaskSpec
from harness.spec.task import template_fields

PLAIN_TURN = {"user": "Input", "assistant": "Answer", "tool": "Tool"}
PLAIN_BREAK = "\n\n"
_MARK = "\x01"


class PromptRenderer:
    """The one place where a prompt is made.

    With a chat template the instruction is the system message, each shot a user and an assistant
    message, and the item the last user message. An item that is a conversation is its messages,
    up to the answer; a system message of its own follows the instruction, after an empty line.
    Templates that refuse a system message get it at the head of the first user message. Without a
    chat template, or where the arm does without it, the same parts are written as plain text.
    Which tools there are is told, and calls of them are written, as :class:`ToolsTold` says.

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
        template_args: what the chat template is told beside the messages.
        reasoning: how the model is asked to think in words before it answers.

    Attributes:
        lead: text between a prompt and its answer, the same as in shots; a space in plain text.
        end: text that ends an answer: of its turn, or in plain text of the whole text.
        stops: texts at which a reply ends: ``end``, and in plain text where a next item begins,
            since a model that was only shown examples goes on with another one.
        alters: whether the chat template changes some texts, so that no prompt can hold them.
        tools: which tools prompts tell of, and how calls of them are written.
        answer_mark: what stands before an answer, in replies and worked examples, where the model
            is asked to think before it and the task does not say where answers stand; else empty.
        reasoning_room: tokens that thinking may have beside the answer's; 0 without it.
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
        template_args: Mapping[str, JsonValue] | None = None,
        reasoning: AskedReasoning = NOT_ASKED,
    ) -> None:
        if chat and template_args and tokenizer.chat_template is None:
            raise SpecError(
                "chat_template_args: the model has no chat template, so nothing would read them; "
                "leave them out"
            )
        chat = chat and tokenizer.chat_template is not None
        self._chat = ChatTemplate(tokenizer, date, template_args) if chat else None
        self._tokenizer = tokenizer
        self._control = ControlTokens(tokenizer)
        self._shots = shots
        self.instruction = instruction if instruction is not None else task.instruction
        extract = task.answer.extract
        asked = reasoning.words(extract)
        self.instruction = "\n\n".join(filter(None, (self.instruction, asked)))
        self.answer_mark = MARK if asked and extract is None else ""
        self.reasoning_room = reasoning.room
        self._template = template if template is not None else task.template
        self.tools = ToolsTold(
            task,
            self._template,
            self._chat,
            self._control,
            served=isinstance(tokenizer, ServersTokenizer),
        )
        self._chat = self.tools.chat
        after = self.tools.after(self.instruction)
        self.instruction = "\n\n".join(filter(None, (self.instruction, after)))
        added = tokenizer.added_tokens_decoder.values()
        self._thought_marks = own_marks(token.content for token in added)
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
        return " ".join(filter(None, (self.answer_mark, self.tools.written(answer))))

    def shot_text(self, shot: Example) -> str:
        """What a worked example replies: the model's own reasoning, where there is one."""
        if not (self.reasoning_room and shot.worked):
            return self.answer_text(shot.answer)
        thought = shot.worked.removesuffix(shot.answer)
        # Calls at its end stand in the notation in which all others do.
        answer = self.tools.written(shot.answer) if thought != shot.worked else ""
        return self._control.as_text(thought) + answer

    def shots(self, item: Example) -> Sequence[Example]:
        """The worked examples in the item's prompt, in order."""
        return self._shots(item)

    def messages(self, item: Example) -> list[Message]:
        """Chat messages up to and including the item."""
        turns: list[Message] = []
        for shot in self._shots(item):
            turns += self.own_messages(shot)
            if self.tools.as_messages and not (self.reasoning_room and shot.worked):
                turns += self.tools.shown_calls(shot.answer, turns)
            else:
                turns.append({"role": "assistant", "content": self.shot_text(shot)})
        turns += self.own_messages(item)
        told = (self.instruction, self.own_system(item), self.tools.as_text(item))
        system = "\n\n".join(filter(None, told))
        whole = [{"role": "system", "content": system}, *turns] if system else turns
        return whole if self._chat is None else self._chat.accepted(whole)

    def own_system(self, item: Example) -> str:
        """The system message of the item's conversation, as it is shown; empty where it has none.

        Worked examples have the same one: it is shown once.
        """
        return self._control.as_text(system_of(item))

    @property
    def has_chat_template(self) -> bool:
        """Whether prompts go through the model's chat template; else they are plain text."""
        return self._chat is not None

    def own_messages(self, item: Example) -> list[Message]:
        """What the item says, without a system message at its head."""
        if not item.messages:
            return [{"role": "user", "content": self.item_text(item)}]
        rest = item.messages[1:] if system_of(item) else item.messages
        return [self._as_text(message) for message in rest]

    def _as_text(self, message: Message) -> Message:
        shown = {**message, "content": self._control.as_text(message["content"])}
        if "tool_calls" in message:
            calls = json.dumps(message["tool_calls"], ensure_ascii=False)
            shown["tool_calls"] = json.loads(self._control.as_text(calls))
        return shown

    def prompt(self, item: Example) -> str:
        """The prompt as text, ready for the answer to follow.

        Raises:
            SpecError: the chat template cannot write it as it is meant.
        """
        return self._prompt_of(self.messages(item), item)

    def encode_messages(self, messages: Sequence[Message], item: Example) -> tuple[int, ...]:
        """Token ids of a prompt of other messages than the item's, written as the item's are.

        Raises:
            SpecError: the chat template cannot write it as it is meant.
        """
        return self._encode(self._prompt_of(messages, item))

    def _prompt_of(self, messages: Sequence[Message], item: Example) -> str:
        return _written(self.tools.chat_for(item), messages, as_given=bool(item.messages))

    def reply(self, answer: str) -> str:
        """An answer as it follows a prompt, up to its end."""
        return self.lead + self.answer_text(answer) + self.end

    def as_kept(self, reply: str) -> str:
        """A reply as scores keep it, in the notation of whoever reads it.

        Thoughts stand in the usual marks, likewise what stands before the mark of its answer, and
        so do calls of tools in the model's own notation.
        """
        usual = with_usual_marks(reply, self._thought_marks)
        return self.tools.as_kept(usual, self.answer_mark)

    def encode_prompt(self, item: Example) -> tuple[int, ...]:
        """Token ids of the prompt."""
        return self._encode(self.prompt(item))

    def opening(self, item: Example) -> int:
        """Tokens of the prompt before the item's own text: instruction, worked examples, frame.

        Of a conversation it is what the last one before the answer says.
        """
        asked = self.prompt(item).removesuffix(self._tail)
        before = self._encode(asked[: max(0, asked.rfind(self._last_text(item).strip()))])
        pairs = zip(before, self.encode_prompt(item), strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    def _last_text(self, item: Example) -> str:
        return str(self.own_messages(item)[-1]["content"])

    def encode(self, item: Example) -> TokenisedExample:
        """The item with its answer and the end-of-answer token, for training."""
        prompt, answer = self._encode_pair(self.prompt(item), self.reply(item.answer))
        return TokenisedExample(item.id, prompt, answer)

    def sequences(
        self, items: Sequence[Example], longest: int | None = None
    ) -> list[TokenisedExample]:
        """All items for training, those of a conversation in as few sequences as hold them.

        Args:
            longest: tokens of an item's prompt and answer at most, others are left out; None for
                any number.
        """
        encoded = [(item, self.encode(item)) for item in items]
        kept = [(i, e) for i, e in encoded if longest is None or e.length <= longest]
        return as_conversations([e for _, e in kept], [i for i, _ in kept])

    def encode_answer(self, answer: str, end: str | None = None) -> tuple[int, ...]:
        """Token ids of an answer and its end after any prompt, as :meth:`encode` gives them.

        Args:
            end: text that ends the answer; the usual one if None.
        """
        reply = self.lead + self.answer_text(answer) + (self.end if end is None else end)
        return self._encode_pair(self._tail, reply)[1]

    @property
    def takes_system(self) -> bool:
        """Whether a system message is shown as one, not at the head of the first user message."""
        return self._chat is None or self._chat.takes_system

    @property
    def wants_turns(self) -> bool:
        """Whether what a user says in several messages in a row is put into one."""
        return self._chat is not None and self._chat.wants_turns

    @property
    def gap(self) -> str:
        """What stands between a question and its answer, asked for, shown or trained on."""
        return self._tail + self.lead

    @cached_property
    def _tail(self) -> str:
        """What every prompt ends with, which decides how what follows is cut into tokens."""
        question = [{"role": "user", "content": _MARK}]
        return _written(self._chat, question).rpartition(_MARK)[2]

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


def shown_text(task: TaskSpec, item: Example) -> str:
    """The item as readers and judges are shown it: with a conversation's own system message."""
    system, text = system_of(item), render_template(task, item)
    return f"System: {system}{PLAIN_BREAK}{text}" if system else text


def render_template(task: TaskSpec, item: Example) -> str:
    """The item's text: the task's template with the item's columns in it."""
    return fill(task.template, item)


def _written(
    chat: ChatTemplate | None, messages: Sequence[Message], *, as_given: bool = False
) -> str:
    return _plain_text(messages) if chat is None else chat.prompt(messages, as_given=as_given)


def _plain_text(messages: Sequence[Message]) -> str:
    parts = [
        message["content"]
        if message["role"] == "system"
        else f"{PLAIN_TURN[message['role']]}: {_said(message)}"
        for message in messages
    ]
    return PLAIN_BREAK.join([*parts, f"{PLAIN_TURN['assistant']}:"])


def _said(message: Message) -> str:
    """What a message says, and which tools it calls."""
    calls = [
        f"{function['name']} {json.dumps(function['arguments'], ensure_ascii=False)}"
        for call in message.get("tool_calls", ())
        for function in (call["function"],)
    ]
    return "\n".join([*([message["content"]] if message["content"] else []), *calls])
