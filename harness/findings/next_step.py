"""What to do after a study: what would settle what is open, and how the winner is used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NextStep:
    """One thing to do next, with what it takes and what it could change."""

    rule: str
    """Name of the rule that gives it."""
    what: str
    """What to do, as an imperative without a full stop."""
    lines: tuple[str, ...]
    """Commands, or lines of the experiment file, each the path of a field and its new value; empty
    where it takes neither."""
    command: bool
    """Whether ``lines`` are commands for a terminal; else they are lines of the experiment file,
    which is then run again."""
    changes: str
    """What it could change, a sentence."""
    seconds: float | None = None
    """Machine time that it takes, from what this study took on its machine; None where the study
    did not measure what would tell, or people's time is meant."""


__all__ = ["NextStep"]
