"""People's marks of replies, to hold a judge's against."""

from __future__ import annotations

from dataclasses import dataclass

from harness.records.plain import content_hash


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """A person's mark of a reply."""

    item_id: str
    """Id of the item in the data set."""
    reply: str
    """The reply that was marked, without its thought, as the person and the judge were shown it."""
    score: float
    """The mark, on the judge's scale."""
    key: str = ""
    """What :func:`marked_key` gave of item and reply when the sheet was written, as a spreadsheet
    may alter a reply; empty in a file that was written otherwise."""


def reply_key(reply: str) -> str:
    """A reply as it is found again: a spreadsheet may write its breaks and spaces otherwise."""
    return " ".join(reply.split())


def marked_key(item_id: str, reply: str) -> str:
    """A short name of a reply to an item, the same whatever breaks and spaces it has."""
    return content_hash([item_id, reply_key(reply)], 16)


__all__ = ["CalibrationRow", "marked_key", "reply_key"]
