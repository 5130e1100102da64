"""What a user should know of how the labels of the data are read."""

from __future__ import annotations

from collections.abc import Iterator

from harness.answers.characters import trimmed
from harness.answers.labels import LabelReader
from harness.data.prepare import Prepared

_SHOWN = 5


def label_notes(prepared: Prepared) -> Iterator[str]:
    """A sentence for each label that is spelt in several ways, and for labels alike."""
    for label, others in prepared.spellings.items():
        # Where the difference cannot be seen it is spelt out.
        names = [ascii(one) if trimmed(one) == label else repr(one) for one in others]
        verb = "is" if len(names) == 1 else "are"
        yield f"{_named(names)} in the data {verb} read as the label {label!r}"
    for group in LabelReader(prepared.labels or ()).alike():
        rows = {label: _rows(prepared, label) for label in group}
        counted = _named([f"{label!r} ({rows[label]} rows)" for label in group])
        yield (
            f"the labels {counted} differ only in case or signs, so a reply must write one of them "
            "exactly; if they mean the same, make them one in the file"
        )


def _rows(prepared: Prepared, label: str) -> int:
    return sum(counts.get("label", {}).get(label, 0) for counts in prepared.answers.values())


def _named(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return " and ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
