"""What scores know a chat template by: a small conversation as it writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.answers.tools import Tool
from harness.prompting.call_notation import CallNotation
from harness.prompting.chat_template import ChatTemplate
from harness.records import JsonValue

_CALL = '[{"name": "T", "arguments": {"p": "v"}}]'
_TOOL = Tool("T", {"type": "object", "properties": {"p": {"type": "string"}}}, "D")


def rendering_of(
    tokenizer: Any,
    date: str | None,
    args: Mapping[str, JsonValue] | None = None,
    *,
    with_tools: bool = False,
) -> str:
    """What a chat template makes of a small conversation, in which all shows that may change it.

    Empty without a template. What scores are kept under holds it: another day in a template that
    writes the date is another prompt. What the template is told stands behind it, since that may
    show in other conversations only.

    Args:
        tokenizer: tokenizer of transformers.
        date: as :class:`ChatTemplate` takes it.
        args: likewise.
        with_tools: whether prompts may tell of tools, so that how it writes them, and calls of
            them, counts.

    Raises:
        SpecError: the template cannot write a question with its answer.
    """
    if tokenizer.chat_template is None:
        return ""
    template = ChatTemplate(tokenizer, date, args)
    called = ""
    if with_tools and template.writes_tools:
        notation = CallNotation.of(template)
        called = notation.written(_CALL) if notation else ""
        template = template.with_tools([_TOOL.function])
    turns = [
        *([{"role": "system", "content": "I"}] if template.takes_system else []),
        {"role": "user", "content": "Q"},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "Q"},
    ]
    told = json.dumps(dict(args), ensure_ascii=False, sort_keys=True) if args else ""
    return f"{template.prompt(turns)}{template.lead}A{template.end}{told}{called}"
