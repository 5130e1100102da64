"""What a user should know of how the labels of the data are read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from harness.answers.characters import trimmed
from harness.answers.label_reader import LabelReader
from harness.data.prepare import Prepared
from harness.wording import agreeing, listed

_SHOWN = 5
_FEWEST = 5  # rows of a label in a part below which it can hardly be judged there


def label_notes(prepared: Prepared) -> Iterator[str]:
    """A sentence for each label that is spelt in several ways, and for labels alike.

    The values of a JSON answer's closed fields are read as labels are.
    """
    for label, others in prepared.spellings.items():
        # Where the difference cannot be seen it is spelt out.
        names = [ascii(other) if trimmed(other) == label else repr(other) for other in others]
        verb = agreeing(len(names), "is", "are")
        yield f"{_named(names)} in the data {verb} read as the label {label!r}"
    rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
    if prepared.labels is not None:
        rows["label"].update(dict.fromkeys(prepared.labels, 0))
    for fields in prepared.answers.values():
        for field, counts in fields.items():
            rows[field].update(counts)
    for field, counter in rows.items():
        what = f"values of `{field}`" if prepared.labels is None else "labels"
        for group in LabelReader(counter).alike():
            counted = _named([f"{label!r} ({counter[label]} rows)" for label in group])
            yield (
                f"the {what} {counted} differ only in case or signs, so a reply must hold what "
                "tells them apart; if they mean the same, make them one in the file"
            )


def few_of_a_label(prepared: Prepared) -> Iterator[str]:
    """That labels have few rows in the parts that judge, a sentence where they do."""
    labels, parts = prepared.labels or (), []
    for split in ("validation", "test"):
        held = prepared.answers.get(split, {}).get("label", {})
        few = [label for label in labels if held.get(label, 0) < _FEWEST]
        if few:
            least = min(few, key=lambda label: held.get(label, 0))
            fewest = f"fewest {least!r}, {held.get(least, 0)}"
            parts.append(f"{len(few)} of {len(labels)} in {split} ({fewest})")
    if parts:
        yield (
            f"labels with fewer than {_FEWEST} rows: {listed(parts)}; what is said of one such "
            "label rests on few items"
        )


def _named(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return listed([*names[:_SHOWN], *([f"{more} more"] if more > 0 else [])])
