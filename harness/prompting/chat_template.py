"""How a model's chat template writes a conversation, found out by having it write some.

A template is a program, and models differ in what theirs does: some leave out the header before an
answer that is asked for, write a channel or an empty thought before one that was given, open a
thought that nothing closes, take the text in parts, or end the last turn otherwise than those
before. Whatever it does, an answer is asked for, shown and trained on after the same text: that
which the template itself writes before an answer that ends a conversation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any, Self

from harness.answers.json_text import JsonObject
from harness.answers.thoughts import without_open_thought
from harness.answers.tools import Tool
from harness.errors import SpecError
from harness.prompting.chat_messages import (
    alternating,
    first_missing,
    must_show,
    said_twice,
    with_arguments_as_text,
    without_system,
)
from harness.prompting.control_tokens import ControlTokens
from harness.prompting.still_clock import stopped_clock
from harness.prompting.template_args import check_template_args
from harness.prompting.written import WrittenConversation, end_in, end_of
from harness.records import JsonValue, Message

ChatMessage = Mapping[str, JsonValue]
# Characters of a text that an error shows.
SHOWN = 200
# What templates change in texts: breaks, spaces, signs with a meaning elsewhere, capitals.
_ODD_TEXT = "Q a\n\n\nb  c\t<d> & \"e\" 'f' {g} `h` \\n \r\n é 1."
# Characters that no template trims and hardly a text holds.
_MARKS = tuple(map(chr, [*range(1, 9), *range(14, 28)]))


class ChatTemplate:
    """A tokenizer's chat template.

    Args:
        tokenizer: tokenizer of transformers, with a chat template.
        date: day that a template which writes the date is told, as YYYY-MM-DD; today if None.
        args: what it is told beside the messages, whatever it writes.

    Attributes:
        tokenizer: the tokenizer.
        takes_system: whether it writes a system message, before all others.
        last: what it writes between a question and an answer that ends the conversation.
        lead: spaces between a prompt and its answer; they go with the answer, since the tokens of
            words begin with them.
        end: what ends an answer.
        ends: texts at which a reply ends: ``end``, and what ends an answer that others follow.
        alters: whether it changes some texts, so that no prompt can hold them.
        notes: what it does that a reader of results should know, a sentence each.

    Raises:
        SpecError: it cannot write a question with its answer, or does not read what it is told;
            says what is wrong.
    """

    def __init__(
        self,
        tokenizer: Any,
        date: str | None = None,
        args: Mapping[str, JsonValue] | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self._date = date
        source = _source(tokenizer)
        self._more = stopped_clock(source, date)
        self._args = dict(args or {})
        check_template_args(source, self._args)
        self._in_parts = self._wants_parts()
        self.takes_system = self._writes_system()
        probe = self._probe()
        self._first, self.last = probe.first, probe.last
        # Some leave out the header of a last answer, as one that is to be gone on with.
        self._gap = probe.first if probe.first.startswith(probe.last) else probe.last
        self._told = self._asks_otherwise()
        if self._told:
            # Who says how to ask is asked so: with a thought, or without.
            self._gap = without_open_thought(self._offered(self._args))
        self.lead = self._gap[len(self._gap.rstrip(" ")) :]
        control = ControlTokens(tokenizer)
        eos = str(tokenizer.eos_token or "")
        self.end = end_of(probe, control) or eos or probe.between.rstrip()
        # Without control tokens, a model that was only shown examples goes on with another one.
        shown = (
            end_in(probe.between, control)
            if control.found(probe.between)
            else (probe.between.rstrip())
        )
        self.ends = tuple(dict.fromkeys(end for end in (self.end, shown) if end))
        if not self.end:
            raise _unusable(
                "writes nothing behind an answer, and the tokenizer has no token that ends a text, "
                "so no model could learn to stop"
            )
        self.alters = self._alters()
        self.notes = tuple(self._oddities())

    def accepted(self, messages: Sequence[ChatMessage]) -> list[Message]:
        """The messages as the template takes them.

        Where it takes no system message, that stands at the head of the first user message; where
        it wants turns to be taken, what a user says in a row is one message.
        """
        refuses = messages[0]["role"] == "system" and not self.takes_system
        taken = without_system(messages) if refuses else [dict(message) for message in messages]
        return alternating(taken) if said_twice(taken) and self.wants_turns else taken

    @cached_property
    def wants_turns(self) -> bool:
        """Whether it refuses two messages of a user in a row."""
        roles = ("user", "user", "assistant")
        turns = [{"role": r, "content": m} for r, m in zip(roles, _MARKS, strict=False)]
        try:
            self._write(turns)
        except SpecError:
            return True
        return False

    def with_tools(self, tools: Sequence[JsonObject]) -> Self:
        """The same template, told of tools in OpenAI's form."""
        told = copy(self)
        told._args = {**self._args, "tools": list(tools)}
        return told

    def without_lead(self) -> Self:
        """The same template, for answers that stand without the spaces before others."""
        told = copy(self)
        told._gap, told.lead = self._gap.rstrip(" "), ""
        return told

    @cached_property
    def writes_tools(self) -> bool:
        """Whether it writes the tools that it is told of, in a form of its own."""
        probe = Tool("probed_by_name", {"type": "object", "properties": {}}, "Nothing.")
        try:
            told = self.with_tools([probe.function])
            return probe.name in told._write([{"role": "user", "content": _MARKS[0]}])
        except SpecError:
            return False

    def prompt(self, messages: Sequence[ChatMessage], *, as_given: bool = False) -> str:
        """The conversation, up to where the answer to its last message begins.

        Args:
            as_given: earlier answers stand as the template writes them in a conversation that goes
                on; else they are worked examples, after the same text as the answer that is asked
                for.

        Raises:
            SpecError: the template refuses the conversation, or does not write all of it.
        """
        mark = _unused(messages)
        marked: list[ChatMessage] = []
        answers: list[str] = []
        for message in messages:
            says = message["content"].strip() or not as_given
            if message["role"] == "assistant" and says:
                marked.append({**message, "content": f"{mark}{len(answers)}{mark}"})
                answers.append(message["content"])
            else:
                marked.append(message)
        asked = f"{mark}{len(answers)}{mark}"
        text, separator, _ = self.written(
            [*marked, {"role": "assistant", "content": asked}]
        ).rpartition(asked)
        if not separator:
            raise _unusable("does not write an assistant's answer")
        if (missing := first_missing(text, marked)) is not None:
            shown = f"{missing[:SHOWN]!r}"
            raise _unusable(f"changes, leaves out or moves what it is to write: {shown}")
        if not text.endswith(self.last):
            raise _unusable("does not always write the same between a question and its answer")
        text = (text.removesuffix(self.last) + self._gap).removesuffix(self.lead)
        for number, answer in enumerate(answers):
            # A template may trim what it writes: the answer is put in as it is trained on.
            place = f"{mark}{number}{mark}"
            shown = place if as_given else f"{self._first}{place}"
            if shown not in text:
                raise _unusable("does not write the answer of a worked example as it writes others")
            text = text.replace(shown, answer if as_given else f"{self._gap}{answer}", 1)
        return text

    def written(self, messages: Sequence[ChatMessage]) -> str:
        """The conversation, with what tools are called with in the form that the template takes.

        Raises:
            SpecError: it refuses the conversation.
        """
        try:
            return self._write(messages)
        except SpecError:
            if not any("tool_calls" in message for message in messages):
                raise
            return self._write([with_arguments_as_text(message) for message in messages])

    def _write(
        self,
        messages: Sequence[ChatMessage],
        *,
        asking: bool = False,
        clock: Mapping[str, Any] | None = None,
    ) -> str:
        import jinja2

        content: list[dict[str, Any]] = [
            {**message, "content": [{"type": "text", "text": message["content"]}]}
            if self._in_parts
            else dict(message)
            for message in messages
        ]
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    content,
                    tokenize=False,
                    add_generation_prompt=asking,
                    **self._args,
                    **(clock or self._more),
                )
            )
        except (jinja2.TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise _unusable(f"refuses a conversation: {error}") from error

    def _wants_parts(self) -> bool:
        self._in_parts = False
        question = [{"role": "user", "content": _MARKS[0]}]
        refusal: SpecError | None = None
        for self._in_parts in (False, True):
            try:
                if _MARKS[0] in self._write(question):
                    return self._in_parts
            except SpecError as error:
                refusal = refusal or error
        raise refusal or _unusable("does not write what a user says")

    def _writes_system(self) -> bool:
        roles = ("system", "user", "assistant", "user", "assistant")
        turns = [{"role": r, "content": m} for r, m in zip(roles, _MARKS, strict=False)]
        # Some write it only in the last question, and only where no answer follows.
        for count in (3, 5):
            try:
                text = self._write(turns[:count])
            except SpecError:
                return False
            if not 0 <= text.find(_MARKS[0]) < text.find(_MARKS[1]):
                return False
        return True

    def _probe(self) -> WrittenConversation:
        marks = _MARKS[:4]
        roles = ("user", "assistant", "user", "assistant")
        turns = [{"role": r, "content": m} for r, m in zip(roles, marks, strict=True)]
        text, parts = self._write(turns), []
        for mark in marks:
            part, separator, text = text.partition(mark)
            if not separator:
                who = "an assistant's answer" if mark in marks[1::2] else "what a user says"
                raise _unusable(f"does not write {who}")
            parts.append(part)
        return WrittenConversation(parts[0], parts[1], parts[2], parts[3], text)

    def _offered(self, args: Mapping[str, JsonValue]) -> str:
        """What it writes where it is asked for an answer."""
        own, self._args = self._args, dict(args)
        try:
            asking = self._write([{"role": "user", "content": _MARKS[0]}], asking=True)
        finally:
            self._args = own
        return asking.rpartition(_MARKS[0])[2]

    def _asks_otherwise(self) -> bool:
        """Whether what it is told decides how it asks for an answer."""
        for name, value in self._args.items():
            others = [{n: v for n, v in self._args.items() if n != name}]
            if isinstance(value, bool):
                others.append({**self._args, name: not value})
            if any(self._offered(other) != self._offered(self._args) for other in others):
                return True
        return False

    def _oddities(self) -> list[str]:
        oddities = []
        offered = self._offered(self._args)
        if self._told:
            oddities.append(
                "what the chat template is told (chat_template_args) decides what stands before "
                f"every answer, asked for, shown and trained on: {self._gap!r}"
            )
        elif offered.rstrip(" ") != self._gap.rstrip(" "):
            oddities.append(
                f"asked for an answer, the chat template writes {offered!r}, and before an answer "
                f"that was given {self._gap!r}: the latter stands before every answer, asked for, "
                "shown and trained on"
            )
        if self._first != self.last:
            oddities.append(
                f"before an answer that others follow the chat template writes {self._first!r}, "
                f"before the last {self.last!r}: worked examples and prompts are written with "
                f"{self._gap!r}"
            )
        if self._writes_date():
            oddities.append(
                "the chat template writes the date: all prompts of a study have the day on which "
                f"it began{f', {self._date}' if self._date else ''}"
            )
        if self.alters:
            oddities.append(
                "the chat template changes some texts as it writes them (breaks, spaces or signs "
                "in them): a prompt that does not hold its texts as they are is refused"
            )
        return oddities

    def _writes_date(self) -> bool:
        turns = [{"role": "user", "content": "x"}]
        if self.takes_system:
            # Many write it only where no system message is given.
            turns.insert(0, {"role": "system", "content": "x"})
        source = _source(self.tokenizer)
        days = (stopped_clock(source, day) for day in ("2001-02-03", "2012-11-10"))
        return len({self._write(turns, clock=clock) for clock in days}) > 1

    def _alters(self) -> bool:
        return _ODD_TEXT not in self._write([{"role": "user", "content": _ODD_TEXT}])


def _source(tokenizer: Any) -> str:
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as error:
        raise _unusable(f"is one of several, none of them the usual one: {error}") from error


def _unused(messages: Sequence[ChatMessage]) -> str:
    held = set("".join(f for message in messages for forms in must_show(message) for f in forms))
    free = next((mark for mark in _MARKS if mark not in held), None)
    if free is None:
        raise _unusable("cannot be asked: the texts hold every control character there is")
    return free


def _unusable(what: str) -> SpecError:
    return SpecError(
        f"the model's chat template {what}; set `chat: false` for its arms to ask in plain text, "
        "or mend the template (chat_template.jinja, or tokenizer_config.json)"
    )
