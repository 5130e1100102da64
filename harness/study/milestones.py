"""How far a study is, noted in the store where a run knows more than was noted before."""

from __future__ import annotations

from collections.abc import Collection

from harness.records import JsonValue, TrialSummary
from harness.store import StoreReader, StoreWriter
from harness.store.standing import standing


def note_planned(
    writer: StoreWriter, reader: StoreReader, identity: str, trials: int, *, exact: bool = False
) -> None:
    """Note how many trials the study will have, where that says more than what is noted.

    Args:
        identity: the study's id.
        trials: their number, those that ended included.
        exact: whether it will have so many, and not at most so many.
    """
    with writer.held_open():
        known = standing(reader.events(identity)).planned
        before = known.detail["trials"] if known else None
        if before is None or trials < before or (exact and trials != before):
            writer.record_event(identity, "planned", {"trials": trials})


def note_end(
    writer: StoreWriter, reader: StoreReader, identity: str, trials: Collection[TrialSummary]
) -> None:
    """Note that a run came to its end, unless that is noted of as many trials already."""
    failed = sum(trial.status == "failed" for trial in trials)
    detail: dict[str, JsonValue] = {"trials": len(trials), "failed": failed}
    with writer.held_open():
        known = standing(reader.events(identity)).finished
        if known is None or known.detail != detail:
            writer.record_event(identity, "finished", detail)


__all__ = ["note_end", "note_planned"]
