"""The marks of calls that all who read replies know, and those that tokenizers have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from harness.answers.json_text import JsonObject

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_OF_CALLS = re.compile(r"(?i)tool|function|python_tag|^\[(args|call_id)\]$|_action\b|\barg_")


def marked_call(call: JsonObject) -> str:
    """A call, an object with a name and arguments, within the usual marks."""
    # Arguments may hold the letters of a mark.
    written = json.dumps(call, ensure_ascii=False).replace("<", "\\u003c")
    return f"{OPEN}{written}{CLOSE}"


def call_tokens(tokens: Iterable[str]) -> set[str]:
    """Those of a tokenizer's tokens that mark calls: they are a part of what a reply says."""
    return set(filter(_OF_CALLS.search, tokens))
