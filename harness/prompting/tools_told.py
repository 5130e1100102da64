"""Which tools a prompt tells of, in which place, and how calls of them are written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import chain

from harness.answers.call_marks import OPEN
from harness.answers.grammar import framed_grammar
from harness.answers.json_text import JsonObject
from harness.answers.reasoning import MARK, as_thought
from harness.answers.tools import listed_tools, telling_how, tools_of
from harness.errors import TrialError
from harness.prompting.call_notation import CallNotation
from harness.prompting.chat_messages import as_calls
from harness.prompting.chat_template import ChatTemplate
from harness.prompting.control_tokens import ControlTokens
from harness.records import Example, Message
from harness.spec import TaskSpec
from harness.spec.task import template_fields


class ToolsTold:
    """The tools of a task's prompts, and the calls of its answers.

    Tools stand beside the messages where the chat template writes them, in its own form, or a
    server does; else each is a line of JSON after the instruction. Calls are written in the chat
    template's own notation where it has one and tells of the tools, sent to a server as such, and
    else a JSON list.

    Args:
        task: the task section of the experiment.
        template: what items are shown through.
        chat: the chat template; None in plain text and before a server.
        control: the model's control tokens.
        served: whether a server writes the prompts.

    Attributes:
        functions: the tools of all items, in OpenAI's form.
        notation: the chat template's own notation of calls; None where they are otherwise written.
        as_messages: whether calls are sent to a server as such.
    """

    def __init__(
        self,
        task: TaskSpec,
        template: str,
        chat: ChatTemplate | None,
        control: ControlTokens,
        *,
        served: bool,
    ) -> None:
        answer = task.answer
        self.functions = answer.functions
        self._control = control
        self._shown = answer.row_tools in template_fields(template)
        are_calls = bool(self.functions or answer.row_tools)
        alone = are_calls and answer.extract is None
        own = alone and chat is not None and not self._shown
        self.notation = CallNotation.of(chat) if own and chat is not None else None
        self.as_messages = served and alone and not self._shown
        self._as_json = alone and self.notation is None and not self.as_messages
        self._chat = chat
        if chat is not None and self.notation is not None and not self.notation.spaced:
            self._chat = chat.without_lead()
        if self._chat is not None and self.functions and self.beside:
            self._chat = self._chat.with_tools(self.functions)
        self._told_of: dict[str, ChatTemplate] = {}

    @property
    def beside(self) -> bool:
        """Whether tools stand beside the messages, not in their text."""
        return self.as_messages or (self._chat is not None and self._chat.writes_tools)

    @property
    def chat(self) -> ChatTemplate | None:
        """The chat template, told of the tools of all items."""
        return self._chat

    def chat_for(self, item: Example) -> ChatTemplate | None:
        """Likewise, told of the item's own tools."""
        if self._chat is None or not (told := self.of(item)) or not self.beside:
            return self._chat
        if item.tools not in self._told_of:
            self._told_of[item.tools] = self._chat.with_tools(told)
        return self._told_of[item.tools]

    def of(self, item: Example) -> tuple[JsonObject, ...]:
        """The tools of the item's own that stand beside its messages; none that a text shows."""
        if not item.tools or self._shown or (item.messages and not self.beside):
            return ()
        tools = tools_of(self._control.as_text(item.tools))
        return tuple(tool.function for tool in tools.values())

    def sent_with(self, item: Example) -> tuple[JsonObject, ...]:
        """The tools that stand beside the item's messages, be they the task's or its own."""
        return (self.functions or self.of(item)) if self.beside else ()

    def after(self, instruction: str) -> str:
        """What follows an instruction, of calls and of the tools of all items; empty if nothing."""
        form = telling_how(instruction) if self._as_json else ""
        return "\n\n".join(filter(None, (form, "" if self.beside else _listed(self.functions))))

    def as_text(self, item: Example) -> str:
        """The item's own tools as text; empty where they stand beside the messages, or nowhere."""
        return "" if self.beside else _listed(self.of(item))

    def written(self, answer: str) -> str:
        """An answer of the data, without control tokens of its own, as it is shown and trained on.

        A reply stands as it is, where calls in it are in the model's own notation.
        """
        if self.notation is None:
            return self._control.as_text(answer)
        plain = self._control.as_text(answer)
        if _are_calls(plain):
            return self.notation.written(plain)
        marked = any(mark in answer for mark in self.notation.marks(self._control))
        return answer if marked else plain

    def stray_control(self, answer: str) -> list[str]:
        """Control tokens in an answer as it is trained on, but for those around calls."""
        found = Counter(self._control.found(self.written(answer)))
        if self.notation is not None and _are_calls(answer):
            found -= Counter(self.notation.marks(self._control, answer))
        return list(found)

    def shown_calls(self, answer: str, before: Sequence[Message], said: str) -> list[Message]:
        """An answer of a worked example as messages of calls, after others.

        Args:
            said: what stands before the calls.
        """
        called = chain.from_iterable(message.get("tool_calls", ()) for message in before)
        return as_calls(self._control.as_text(answer), 1 + len(list(called)), said)

    def grammar(self, schema: JsonObject, lead: str, end: str) -> str:
        """The grammar of the model's own notation of calls, as llguidance reads it.

        Args:
            schema: of a JSON list of calls.
            lead: what stands before an answer.
            end: what ends it, which training teaches to write; empty where it may end anyhow.

        Raises:
            TrialError: the notation writes arguments otherwise than as JSON.
        """
        frame = self.notation.frame if self.notation else None
        if frame is None:
            raise TrialError(
                "error",
                "answering: constrained cannot keep to the notation in which the model's chat "
                "template writes calls; use answering: generate, or chat: false",
            )
        parameters = {
            tool.name: tool.parameters for tool in tools_of(json.dumps(self.functions)).values()
        }
        special = self._control.special
        ends = f"<[{special[end]}]>" if end in special else ""
        # Where the template takes one call at a time, several are learnt as a list.
        others = schema if frame.between is None else None
        return framed_grammar(frame.grammar(parameters, special), lead, others, ends)

    def as_kept(self, reply: str, answer_mark: str) -> str:
        """A reply as scores keep it: calls in a usual notation, what stands before as a thought.

        Args:
            answer_mark: what stands before an answer; empty where nothing does.
        """
        if self.notation is not None:
            reply = self.notation.usual(reply)
        if not answer_mark:
            return reply
        if self.as_messages and OPEN in reply and MARK not in reply:
            # Calls that a server takes out of a reply are its answer, whatever is said before.
            reply = reply.replace(OPEN, f"{MARK} {OPEN}", 1)
        return as_thought(reply)


def _listed(tools: Sequence[JsonObject]) -> str:
    return listed_tools(tools_of(json.dumps(list(tools))).values()) if tools else ""


def _are_calls(answer: str) -> bool:
    """Whether it is the JSON list of calls that an answer of the data is, and no reply."""
    try:
        calls = json.loads(answer)
    except ValueError:
        return False
    return isinstance(calls, list) and all(
        isinstance(call, dict) and set(call) == {"name", "arguments"} for call in calls
    )
