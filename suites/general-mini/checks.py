"""Whether a reply follows an instruction, decided by rule."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_EDGE = " \t\n.!,;:'\"*`"


def follows(rule: str, value: str, reply: str) -> bool:
    """Whether ``reply`` keeps ``rule``; ``value`` holds the rule's words, parted by ``|``."""
    values = value.split("|")
    bare = reply.strip(_EDGE)
    match rule:
        case "exactly":
            return bare in values
        case "one_of":
            return bare.lower() in values
        case "starts":
            return reply.strip(" \n\"'").startswith(value)
        case "contains":
            return all(re.search(rf"\b{re.escape(v)}\b", reply, re.IGNORECASE) for v in values)
        case "lines":
            # value: how many lines, then the words of which each line must hold one
            lines = [line for line in reply.splitlines() if line.strip()]
            return len(lines) == int(values[0]) and all(
                any(word in line.lower() for word in values[1:]) for line in lines
            )
    raise ValueError(f"unknown rule {rule!r}")


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """lm-eval hook: 1 where the reply follows the instruction."""
    return {"acc": float(follows(doc["rule"], doc["value"], results[0]))}
