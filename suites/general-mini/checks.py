"""Whether a reply follows an instruction, decided by rule."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_EDGE = " \t\n.!,;:'\"*`"


def follows(rule: str, value: str, reply: str) -> bool:
    """Whether ``reply`` keeps ``rule``; ``value`` holds the rule's words, parted by ``|``.

    exactly: the reply is the value, but for quotes and marks around it.
    starts: the reply begins with the value.
    uses: the value is a word of the reply, and the reply is no echo of the instruction.
    states: one of the words is in the reply.
    """
    match rule:
        case "exactly":
            return reply.strip(_EDGE) == value
        case "starts":
            return reply.lstrip(_EDGE).startswith(value)
        case "uses":
            return _has(value, reply) and not _has("use the word", reply)
        case "states":
            return any(_has(word, reply) for word in value.split("|"))
    raise ValueError(f"unknown rule {rule!r}")


def _has(words: str, reply: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", reply, re.IGNORECASE) is not None


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """lm-eval hook: 1 where the reply follows the instruction."""
    return {"acc": float(follows(doc["rule"], doc["value"], results[0]))}
