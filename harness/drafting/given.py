"""What the user said beforehand, and how the rest is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.data.infer_form import AnswerKind
from harness.drafting.wishes import BadRows

NONE = "none"


@dataclass(frozen=True, slots=True)
class Given:
    """What the user said beforehand; None, or nothing in it, where not. group, id: may be none."""

    texts: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    kind: AnswerKind | None = None
    id: str | None = None
    group: str | None = None
    instruction: str | None = None
    model: str | None = None
    minutes: float | None = None
    margin: float | None = None
    bad_rows: BadRows | None = None
    test: str | None = None
    validation: str | None = None
    encoding: str | None = None


Ask = Callable[[str, str, str, Callable[[str], Any]], str]
"""Called with a question, its default, the reason, and a check of what is typed that may raise
InputError."""


def take_default(question: str, default: str, why: str, check: Callable[[str], Any]) -> str:
    """Nobody is there to ask."""
    return default
