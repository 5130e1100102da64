"""People's marks of replies, to hold a judge's against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """A person's mark of a reply."""

    item_id: str
    """Id of the item in the data set."""
    reply: str
    """The reply that was marked, without its thought, as the person and the judge were shown it."""
    score: float
    """The mark, on the judge's scale."""


def reply_key(reply: str) -> str:
    """A reply as it is found again: a spreadsheet may write its breaks and spaces otherwise."""
    return " ".join(reply.split())


__all__ = ["CalibrationRow", "reply_key"]
