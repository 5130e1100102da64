"""What a user should know of how a model is told of tools, and how it is to write calls."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from harness.answers.tools import telling_how
from harness.prompting import PromptRenderer
from harness.prompting.call_notation import CallNotation
from harness.records import Example

_CALL = '[{"name": "NAME", "arguments": {"ARGUMENT": "VALUE"}}]'


def tool_notes(
    name: str, bare: PromptRenderer, splits: Mapping[str, Sequence[Example]]
) -> Iterator[str]:
    """Where prompts tell which tools there are, and how calls of them are written.

    Args:
        name: name of the model.
        bare: what writes prompts without worked examples.
    """
    of_rows = [item for items in splits.values() for item in items if item.tools]
    if bare.tools.functions or any(map(bare.tools.of, of_rows)):
        yield (
            f"{name}: the chat template writes which tools there are, in its own form"
            if bare.tools.beside
            else f"{name}: which tools there are stands after the instruction, a line of JSON "
            "each, as there is no chat template that writes them in a form of its own"
        )
    if bare.tools.notation is not None:
        yield from _notation_notes(name, bare.tools.notation, bare.instruction, splits["train"])
    unsaid = sum(bool(item.messages) for item in of_rows)
    if unsaid and not bare.tools.beside:
        yield (
            f"{name}: {unsaid} prompt(s) of conversations do not say which tools there are "
            "(`tools`), as there is no chat template that writes them"
        )


def _notation_notes(
    name: str, notation: CallNotation, instruction: str, train: Sequence[Example]
) -> Iterator[str]:
    yield (
        f"{name}: calls are learnt, shown and kept to in the chat template's own notation, "
        f"{notation.written(_CALL)!r}; a JSON list of calls is read as well"
    )
    if not telling_how(instruction):
        yield (
            f"{name}: the instruction speaks of JSON, where the chat template has a notation of "
            "calls of its own: leave it to that, or set `chat: false` for calls as a JSON list"
        )
    apart = sum(
        json.loads(e.answer) != [] and notation.written(e.answer) == e.answer for e in train
    )
    if apart:
        yield (
            f"{name}: {apart} training row(s) have calls that the chat template cannot write, such "
            "as several at once: they are learnt as a JSON list"
        )
