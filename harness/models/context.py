"""How many tokens a model can read."""

from __future__ import annotations

from typing import Any

# Names under which configurations of transformers say it. State-space models have none: what they
# have read is one state, however long it was.
_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len")


def within(context: int | None, length: int) -> int:
    """A length, or what a model reads where that is less."""
    return length if context is None else min(length, context)


def context_length(config: Any) -> int | None:
    """Tokens that a model can read, prompt and reply together; None where there is no limit.

    The tokenizer's own limit does not count: it is often a default that means nothing.

    Args:
        config: configuration of transformers; of a model of several modalities its text part
            counts.
    """
    text = config.get_text_config()
    lengths = (getattr(text, name, None) for name in _NAMES)
    return next((int(length) for length in lengths if length), None)
