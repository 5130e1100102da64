"""The text of an example as duplicates are found by it: words, without case or punctuation."""

from __future__ import annotations

from harness.answers.words import words
from harness.records import Example, system_of


def own_texts(example: Example) -> list[str]:
    """What an example's inputs say, but for the tools of its row, which many rows share."""
    texts = example.inputs.values()
    return [text for text in texts if not example.tools or text != example.tools]


def normalised(example: Example) -> str:
    """The words of an example, equal for two exactly when their inputs hold the same, by field.

    The template's own words are left out: all examples share them. Inputs without any word
    (only signs, say) stand for themselves. A system message of its own, and tools, belong to an
    item: the same text under others asks for something else.
    """
    own = own_texts(example)
    text = "\n".join(" ".join(words(value)) for value in own)
    asked = text if text.strip() else "\n".join(own)
    told = normalised_setting(example)
    return f"{asked}\n\n{told}" if told else asked


def normalised_setting(example: Example) -> str:
    """The words of an example's own system message and tools; empty where it has neither."""
    return "\n".join(
        " ".join(words(text)) or text.strip()
        for text in (system_of(example), example.tools)
        if text.strip()
    )
