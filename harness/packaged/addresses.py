"""The packaged data set of US address lines, labelled word by word (usaddress, DataMade).

A row is one line as people wrote it, with the columns ``text`` (the line) and its parts
``number``, ``street``, ``unit``, ``city``, ``state`` and ``zip``: each the words of the line that
belong to it, joined by spaces, without commas at the end, and empty where the line has none.

Of the 1,513 published lines those are taken that are all address: lines that hold a recipient, a
post office box, a building's name or a crossing are left out, and so are repeats of a line but the
first. In six lines a part stands in two places, as the labels have it; those are left out, so that
every part is a piece of its line.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree

from harness.errors import HarnessError
from harness.packaged.rows import PackagedRow

_LABELS: dict[str, tuple[str, ...]] = {
    "number": ("AddressNumberPrefix", "AddressNumber", "AddressNumberSuffix"),
    "street": (
        "StreetNamePreModifier",
        "StreetNamePreDirectional",
        "StreetNamePreType",
        "StreetName",
        "StreetNamePostType",
        "StreetNamePostDirectional",
        "StreetNamePostModifier",
    ),
    "unit": ("OccupancyType", "OccupancyIdentifier", "SubaddressType", "SubaddressIdentifier"),
    "city": ("PlaceName",),
    "state": ("StateName",),
    "zip": ("ZipCode", "ZipPlus4"),
}
_PART_OF = {label: part for part, labels in _LABELS.items() for label in labels}

Word = tuple[str, str]
"""A label of the published file, and the word that has it."""


def parse_addresses(content: bytes) -> tuple[PackagedRow, ...]:
    """The rows of the published XML file, in its order.

    Raises:
        HarnessError: it is not a well-formed collection of labelled addresses.
    """
    rows: dict[str, PackagedRow] = {}
    for number, words in enumerate(_addresses(content), start=1):
        text = " ".join(word for _, word in words)
        parts = _parts(words)
        if parts is not None and text not in rows:
            rows[text] = PackagedRow(number, {"text": text, **parts})
    return tuple(rows.values())


def _addresses(content: bytes) -> list[list[Word]]:
    # Entities are declared in a document type only; the published file has none.
    if b"<!DOCTYPE" in content:
        raise HarnessError("packaged:us-addresses: a document type, which is not read")
    try:
        # The bytes are those of the catalogue's hash, and hold no entity.
        collection = ElementTree.fromstring(content)  # noqa: S314
    except ElementTree.ParseError as error:
        raise HarnessError(f"packaged:us-addresses: not well-formed XML: {error}") from error
    return [
        [(word.tag, " ".join((word.text or "").split())) for word in address]
        for address in collection.iter("AddressString")
    ]


def _parts(words: Sequence[Word]) -> dict[str, str] | None:
    """Part -> its words; None where a word is of no part, or a part stands in two places."""
    if not words or any(label not in _PART_OF for label, _ in words):
        return None
    parts = dict.fromkeys(_LABELS, "")
    for part, run in groupby(words, key=lambda word: _PART_OF[word[0]]):
        if parts[part]:
            return None
        parts[part] = " ".join(word for _, word in run).rstrip(", ")
    return parts


__all__ = ["parse_addresses"]
