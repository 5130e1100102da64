"""Characters that are written in several ways, or not seen at all."""

from __future__ import annotations

import unicodedata

import regex

# Zero-width spaces, soft hyphens, byte-order and direction marks: they say nothing in any
# script. Joiners and variation selectors do, in Persian, in Indic scripts and in emoji.
_SILENT = r"\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
_EDGES = regex.compile(rf"\A[\s{_SILENT}]+|[\s{_SILENT}]+\Z")
# All that is not seen, but for the letters that spell the name of a flag.
_UNSEEN = regex.compile(r"[\p{Default_Ignorable_Code_Point}--[\U000E0020-\U000E007F]]", regex.V1)
_KEPT = ("<super>", "<sub>", "<fraction>")


def composed(text: str) -> str:
    """The text in Unicode normal form C, in which an accent is part of its letter."""
    return unicodedata.normalize("NFC", text)


def trimmed(text: str) -> str:
    """The composed text without white space and zero-width characters at its ends."""
    return str(_EDGES.sub("", composed(text)))


def plain(text: str) -> str:
    """The text without what cannot be seen: nothing zero-width, one space for many, one width.

    Compatibility forms become the plain ones (NFKC), so that full-width letters are letters; but
    superscripts, subscripts and fractions stay: a squared m is not m2. Line breaks stay too.
    """
    text = _UNSEEN.sub("", composed(text))
    if not text.isascii():
        text = composed("".join(map(_plain_character, text)))
    return "\n".join(" ".join(line.split()) for line in text.splitlines()).strip("\n")


def folded(text: str) -> str:
    """The plain text without upper case."""
    # The Turkish capital with a dot folds to an i with two dots.
    return composed(plain(text).casefold().replace("i\u0307", "i"))


def _plain_character(character: str) -> str:
    if character == "\u2212":
        return "-"
    if unicodedata.decomposition(character).startswith(_KEPT):
        return character
    return unicodedata.normalize("NFKC", character)
