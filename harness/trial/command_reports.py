"""What a training command says of itself: one line of JSON a report, on its standard output.

    {"step": 10, "steps": 80, "loss": 1.93, "learning_rate": 0.0004, "tokens": 7680}
    {"step": 10, "validation_loss": 1.71}

``step`` counts optimiser steps from 1; all else may be left out. Lines of one step add up. Any
other line is the command's own affair.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field, replace
from typing import Any

from harness.records import StepReport

# Name in a report -> whether it is a whole number.
_NUMBERS = {
    "step": True,
    "steps": True,
    "tokens": True,
    "epoch": False,
    "loss": False,
    "validation_loss": False,
    "learning_rate": False,
    "grad_norm": False,
}
# No training has more steps, or tokens: what the store has room for.
MOST = {"step": 2**31 - 1, "steps": 2**31 - 1, "tokens": 2**63 - 1}


@dataclass(slots=True)
class Reports:
    """All that a command reported so far."""

    steps: list[StepReport] = field(default_factory=list)
    """A report a step. ``steps`` is 0 as long as the command has not said how many there are."""
    unread: int = 0
    """Lines that were meant as reports, and could not be read."""
    first_unread: str = ""
    """The first of these."""
    began: float = field(default_factory=time.perf_counter)
    """When the command began, on the clock of ``time.perf_counter``."""

    def hear(self, line: str) -> StepReport | None:
        """Take a line in: the step as it is known now, or None where the line reports none."""
        said = _object(line)
        if said is None or "step" not in said:
            return None
        try:
            found = {name: _number(name, said[name], whole) for name, whole in _NUMBERS.items()
                     if said.get(name) is not None or name == "step"}  # fmt: skip
            return self._taken(found)
        except (ValueError, OverflowError):
            self.unread += 1
            self.first_unread = self.first_unread or line[:200]
            return None

    def _taken(self, found: dict[str, Any]) -> StepReport:
        last = self.steps[-1] if self.steps else None
        if found["step"] < (last.step if last else 1):
            raise ValueError("steps count upwards, from 1")
        found.setdefault("steps", last.steps if last else 0)
        if found["steps"] and found["steps"] < found["step"]:
            raise ValueError("there are fewer steps in all")
        seconds = time.perf_counter() - self.began
        if last is not None and last.step == found["step"]:
            self.steps[-1] = replace(last, **found, seconds=seconds)
            return self.steps[-1]
        unsaid = dict.fromkeys(("epoch", "loss", "learning_rate", "grad_norm"))
        # Tokens are counted from the beginning: there are no fewer than were told.
        told = {**unsaid, "tokens": last.tokens if last else 0, **found, "seconds": seconds}
        self.steps.append(StepReport(**told))
        return self.steps[-1]

    def whole(self) -> list[StepReport]:
        """The reports of a command that has ended, which so many steps as it came to had."""
        last = self.steps[-1].step if self.steps else 0
        return [replace(step, steps=step.steps or last) for step in self.steps]

    def note(self) -> str:
        """What was amiss with the reports; empty where nothing was."""
        if not self.unread:
            return ""
        return (
            f"{self.unread} line(s) of the command's output have a `step` and are no report that "
            f"could be read, the first: {self.first_unread}"
        )


def _object(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _number(name: str, value: Any, whole: bool) -> int | float:
    """The value.

    Raises:
        ValueError: it is no such number.
        OverflowError: it is one that no float holds.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no number")
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is not finite")
    if not whole:
        return float(value)
    if value != int(value) or not 0 <= value <= MOST[name]:
        raise ValueError(f"{value!r} is no number of {name}")
    return int(value)


__all__ = ["Reports"]
