"""How a model writes calls of tools: found out by having its chat template write some."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import zip_longest
from typing import Any

from harness.answers.call_marks import CLOSE, OPEN, marked_call
from harness.answers.call_reader import read_calls
from harness.answers.call_values import BrokenCallError, Call
from harness.answers.grammar import OPTIONS
from harness.answers.infer_schema import infer_schema
from harness.answers.json_text import DECODER, JsonObject
from harness.answers.tools import Tool
from harness.errors import SpecError
from harness.models.token_tree import common_beginning
from harness.prompting.chat_messages import with_arguments_as_text
from harness.prompting.chat_template import ChatTemplate
from harness.prompting.control_tokens import ControlTokens, unsaid_tokens
from harness.records import Message

# Some templates ask for nine letters or digits. That all calls have the same lets the text around
# them be told from what differs.
_ID = "call00001"
_ONE = Call("probed_first", {"text": 'a "b"\né', "count": 3, "deep": {"key": [True, None]}})
_OTHER = Call("probed_second", {})
_TOOLS = tuple(
    Tool(call.name, infer_schema([call.arguments]), "Nothing.").function for call in (_ONE, _OTHER)
)
_QUESTION = "\x01"
# What stands before a call and is found again: no lone bracket, which words have, too.
_TELLING = re.compile(r"\w\w")
# How templates write objects.
_SEPARATORS = ((", ", ": "), (",", ":"))


@dataclass(frozen=True, slots=True)
class CallFrame:
    """What stands around the names and arguments of calls that a template writes."""

    before: str
    """What stands before the name of the first call."""
    within: str
    """What stands between a name and its arguments, which are JSON."""
    between: str | None
    """What stands between the arguments of a call and the next one's name; None where a template
    takes one call at a time."""
    after: str
    """What stands behind the last arguments."""
    separators: tuple[str, str]
    """What stands between the items of an object, and between key and value."""

    def text(self, calls: Sequence[Call]) -> str:
        """The calls in their frame."""
        written = [
            f"{call.name}{self.within}{_as_json(call.arguments, self.separators)}" for call in calls
        ]
        return self.before + (self.between or "").join(written) + self.after

    def grammar(self, parameters: Mapping[str, JsonObject], special: Mapping[str, int]) -> str:
        """The rule ``framed`` of all such calls, as llguidance reads it.

        Args:
            parameters: name of a tool -> schema of its arguments.
            special: special token -> its id, which no text in a grammar stands for.
        """
        item, key = self.separators
        options = {**OPTIONS, "item_separator": item, "key_separator": key}
        calls = [
            f"{_in_grammar(name + self.within, special)} "
            f"%json {json.dumps({**schema, 'x-guidance': options}, ensure_ascii=False)}"
            for name, schema in parameters.items()
        ]
        rules = [f"call{number}: {call}" for number, call in enumerate(calls)]
        more = "" if self.between is None else f"({_in_grammar(self.between, special)} call)*"
        before, after = (_in_grammar(text, special) for text in (self.before, self.after))
        any_call = " | ".join(f"call{number}" for number in range(len(calls)))
        return "\n".join([f"framed: {before} call {more} {after}", f"call: {any_call}", *rules])

    @property
    def opening(self) -> str:
        """What stands before every name, without white space around it."""
        if self.between is None:
            return self.before.strip()
        one, other = self.before[::-1], self.between[::-1]
        return one[: common_beginning(one, other)][::-1].strip()


class CallNotation:
    """The notation in which a model's chat template writes calls of tools.

    Args:
        chat: the template.

    Attributes:
        frame: what stands around names and arguments, where that is the same for all calls; None
            where arguments are written otherwise than as JSON.
    """

    def __init__(self, chat: ChatTemplate) -> None:
        self._chat = chat.with_tools(_TOOLS)
        self._unsaid = set(unsaid_tokens(chat.tokenizer).values())
        # Told an object, a template that expects text writes it as Python does.
        self._as_text = False
        self.frame: CallFrame | None = self._find_frame()
        if self.frame is None:
            self._as_text = True
            self.frame = self._find_frame()
            self._as_text = self.frame is not None
        self._written = lru_cache(maxsize=None)(self._write)

    @classmethod
    def of(cls, chat: ChatTemplate) -> CallNotation | None:
        """The notation; None where the template has none from which calls can be read again."""
        if not chat.writes_tools:
            return None
        notation = cls(chat)
        text = notation._text([_ONE])
        return None if text is None or not notation._is_read(text, [_ONE]) else notation

    def written(self, answer: str) -> str:
        """Calls, given as the JSON list that data hold, as the model writes them.

        Without a call, or where the template cannot write these so that they are read again, it is
        the list itself.
        """
        return self._written(answer)

    def usual(self, reply: str) -> str:
        """A reply in which calls stand in a notation that all who read replies know."""
        frame = self.frame
        if frame is None or not self._is_own or frame.opening not in reply:
            return reply
        said, *parts = reply.split(frame.opening)
        return said + "".join(_marked(frame, part) for part in parts)

    def marks(self, control: ControlTokens, calls: str = "") -> list[str]:
        """Control tokens that the template itself writes around calls, of one or of these."""
        made = self._calls(calls) if calls else [_ONE]
        plain = [Call(call.name, _without_texts(call.arguments)) for call in made]
        return control.found((self._text(plain) if plain else None) or "")

    @staticmethod
    def _calls(answer: str) -> list[Call]:
        return [Call(call["name"], call["arguments"]) for call in json.loads(answer)]

    def _write(self, answer: str) -> str:
        calls = self._calls(answer)
        text = self._text(calls) if calls else None
        return answer if text is None or not self._is_read(text, calls) else text

    @property
    def spaced(self) -> bool:
        """Whether calls stand after the spaces that other answers stand after."""
        return self._after_question([_ONE]).startswith(self._chat.last)

    def _text(self, calls: Sequence[Call]) -> str | None:
        """What the template writes of calls; None where it cannot."""
        if self.frame is None:
            return self._rendered(calls)
        return None if self.frame.between is None and len(calls) > 1 else self.frame.text(calls)

    def _rendered(self, calls: Sequence[Call]) -> str | None:
        """The same, rendered: between what stands before an answer and what ends it.

        None where it writes none, or stands elsewhere.
        """
        chat, text = self._chat, self._after_question(calls)
        before = chat.last if text.startswith(chat.last) else chat.last.rstrip(" ")
        ends = [place for end in chat.ends if (place := text.find(end, len(before))) >= 0]
        if not (text.startswith(before) and ends):
            return None
        text = text[len(before) : min(ends)]
        return text if all(call.name in text for call in calls) else None

    def _after_question(self, calls: Sequence[Call]) -> str:
        """What stands behind a question that is answered with calls; empty where none may be."""
        made = [
            {
                "id": _ID,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in calls
        ]
        message: Message = {"role": "assistant", "content": "", "tool_calls": made}
        if self._as_text:
            message = with_arguments_as_text(message)
        try:
            whole = self._chat.written([{"role": "user", "content": _QUESTION}, message])
        except SpecError:
            return ""
        return whole.rpartition(_QUESTION)[2]

    def _is_read(self, text: str, calls: Sequence[Call]) -> bool:
        """Whether a text is read as these calls."""
        shown: dict[str, list[JsonObject]] = {}
        for call in calls:
            shown.setdefault(call.name, []).append(call.arguments)
        tools = {name: Tool(name, infer_schema(arguments)) for name, arguments in shown.items()}
        # As a reply is read, without the tokens that say nothing.
        for token in self._unsaid:
            text = text.replace(token, "")
        return _read(self.usual(text), tools) == list(calls)

    @cached_property
    def _is_own(self) -> bool:
        """Whether the notation is one that is read by its frame alone."""
        frame = self.frame
        return (
            frame is not None
            and bool(_TELLING.search(frame.opening) and frame.within.strip())
            # Models make ids of their own.
            and _ID not in frame.opening + frame.within
            and _read(frame.text([_ONE]), {}) != [_ONE]
        )

    def _find_frame(self) -> CallFrame | None:
        text = self._rendered([_ONE])
        if text is None:
            return None
        for separators in _SEPARATORS:
            before, named, rest = text.partition(_ONE.name)
            within, found, after = rest.partition(_as_json(_ONE.arguments, separators))
            if not (named and found):
                continue
            two = self._rendered([_ONE, _OTHER])
            between = None
            if two is not None:
                head = CallFrame(before, within, None, "", separators).text([_ONE])
                between = two.removeprefix(head).partition(_OTHER.name)[0]
            frame = CallFrame(before, within, between, after, separators)
            several = [_ONE, _OTHER, _ONE]
            alone = frame.text([_OTHER]) == self._rendered([_OTHER])
            if alone and (between is None or frame.text(several) == self._rendered(several)):
                return frame
        return None


def _marked(frame: CallFrame, part: str) -> str:
    """A call without its opening, within the usual marks; as it was written where it is broken."""
    name, found, rest = part.partition(frame.within.strip())
    try:
        arguments, _ = DECODER.raw_decode(rest.lstrip())
    except (ValueError, RecursionError):
        found = ""
    if not found:
        return f"{OPEN}{frame.opening}{part}{CLOSE}"
    return marked_call({"name": name.strip(), "arguments": arguments})


def _without_texts(value: Any) -> Any:
    """The value with a letter for every text in it."""
    if isinstance(value, dict):
        return {name: _without_texts(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return list(map(_without_texts, value))
    return "x" if isinstance(value, str) else value


def _read(text: str, tools: Mapping[str, Tool]) -> list[Call] | None:
    try:
        return read_calls(text, tools)
    except BrokenCallError:
        return None


def _in_grammar(text: str, special: Mapping[str, int]) -> str:
    """A text as a grammar writes it, with special tokens by their ids."""
    parts = re.split("|".join(map(re.escape, special)) or "(?!)", text)
    tokens = re.findall("|".join(map(re.escape, special)) or "(?!)", text)
    written = [json.dumps(part, ensure_ascii=False) if part else "" for part in parts]
    between = [f"<[{special[token]}]>" for token in tokens]
    mixed = [one for pair in zip_longest(written, between, fillvalue="") for one in pair]
    return " ".join(filter(None, mixed))


def _as_json(value: JsonObject, separators: tuple[str, str]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=separators)
