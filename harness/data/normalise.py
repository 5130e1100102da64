"""The text of an example as duplicates are found by it: words, without case or punctuation."""

from __future__ import annotations

from harness.answers.words import words
from harness.records import Example


def normalised(example: Example) -> str:
    """The words of an example, equal for two exactly when their inputs hold the same, by field.

    The template's own words are left out: all examples share them. Inputs without any word
    (only signs, say) stand for themselves.
    """
    text = "\n".join(" ".join(words(value)) for value in example.inputs.values())
    return text if text.strip() else "\n".join(example.inputs.values())
