"""The text of an example as duplicates are found by it: words, without case or punctuation."""

from __future__ import annotations

import re
import unicodedata

from harness.records import Example

# Scripts written without spaces: each character counts as a word.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def words(text: str) -> list[str]:
    """Words of a text: case folded, compatibility forms unified, punctuation dropped."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def normalised(example: Example) -> str:
    """Equal for two examples exactly when their inputs hold the same words, field by field.

    The template's own words are left out: all examples share them. Inputs without any word
    (only signs, say) stand for themselves.
    """
    text = "\n".join(" ".join(words(value)) for value in example.inputs.values())
    return text if text.strip() else "\n".join(example.inputs.values())
