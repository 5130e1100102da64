"""How a trial's process ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """finished: the record lies in the trial's folder. Otherwise kind and message say why not."""

    finished: bool
    kind: str = ""
    message: str = ""
