"""The text of an example as duplicates are found by it: words, without case or punctuation."""

from __future__ import annotations

from harness.answers.words import words
from harness.records import Example, system_of


def normalised(example: Example) -> str:
    """The words of an example, equal for two exactly when their inputs hold the same, by field.

    The template's own words are left out: all examples share them. Inputs without any word
    (only signs, say) stand for themselves. A system message of its own belongs to an item: the
    same text under another one asks for something else.
    """
    text = "\n".join(" ".join(words(value)) for value in example.inputs.values())
    asked = text if text.strip() else "\n".join(example.inputs.values())
    told = normalised_system(example)
    return f"{asked}\n\n{told}" if told else asked


def normalised_system(example: Example) -> str:
    """The words of an example's own system message; empty where it has none."""
    system = system_of(example)
    return " ".join(words(system)) or system.strip()
