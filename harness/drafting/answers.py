"""What the user said beforehand, and how to ask for the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.drafting.request import BadRows

NONE = "none"


@dataclass(frozen=True, slots=True)
class Answers:
    """What the user said beforehand, by options."""

    texts: tuple[str, ...] = ()
    """Columns that the model sees; empty where not said."""
    answers: tuple[str, ...] = ()
    """Columns that hold the right answer; several are fields of a JSON object. Empty where not
    said."""
    kind: str | None = None
    """Kind of answer: ``label``, ``json`` or ``text``; None where not said."""
    id: str | None = None
    """Column that names each row, or ``none`` for no such column; None where not said."""
    group: str | None = None
    """Column whose equal values stay in one split, or ``none`` for no such column; None where not
    said."""
    instruction: str | None = None
    """What the model is asked to do; None where not said."""
    model: str | None = None
    """Packaged name, folder, GGUF file or hub id of the base model; None where not said."""
    minutes: float | None = None
    """Minutes in which the first run should end; None where not said."""
    margin: float | None = None
    """Difference from which on the user would act, in percentage points; None where not said."""
    bad_rows: BadRows | None = None
    """What is done with unusable rows: ``drop`` leaves them out, ``stop`` writes nothing. None
    where not said."""
    test: str | None = None
    """File of the test rows, or ``none`` where the one file is divided; None where not said."""
    validation: str | None = None
    """File of the validation rows, which needs ``test``; None where not said."""
    encoding: str | None = None
    """Encoding of text files, e.g. ``windows-1252``; None where not said."""


Ask = Callable[[str, str, str, Callable[[str], Any]], str]
"""Called with a question, its default, the reason, and a check of what is typed that may raise
InputError."""


def take_default(question: str, default: str, why: str, check: Callable[[str], Any]) -> str:
    """The default, for where nobody is there to ask."""
    return default
