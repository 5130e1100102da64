"""One conversation as an arm reads it, with what of it is learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from harness.prompting import PromptRenderer, TokenisedExample
from harness.records import Example

# Messages of a conversation that is shown, where there is one of so few.
FEW = 8


@dataclass(frozen=True, slots=True)
class ShownConversation:
    """A conversation of the training split as its chat template writes it."""

    arm: str
    """The arm that is asked so."""
    identity: str
    """Name of the conversation."""
    sequences: tuple[tuple[tuple[bool, str], ...], ...]
    """What is trained on of it, in as many sequences as it takes: texts in their order, each with
    whether it is learnt."""
    answers: int
    """Number of answers that are learnt."""


def shown_conversation(
    arm: str, renderer: PromptRenderer, tokenizer: Any, pool: Sequence[Example]
) -> ShownConversation | None:
    """A short conversation of the pool, with all its answers; None where there is none."""
    turns: dict[str, list[Example]] = {}
    for item in pool:
        if item.conversation:
            turns.setdefault(item.conversation, []).append(item)
    if not turns:
        return None
    # The one with the most answers among the short ones shows most.
    name, items = max(
        turns.items(), key=lambda each: (_size(each[1]) <= FEW, len(each[1]), -_size(each[1]))
    )
    sequences = renderer.sequences(items)
    return ShownConversation(
        arm,
        name,
        tuple(tuple(_parts(sequence, tokenizer)) for sequence in sequences),
        len(items),
    )


def _size(items: Sequence[Example]) -> int:
    return max(len(item.messages) + 1 for item in items)


def _parts(sequence: TokenisedExample, tokenizer: Any) -> Iterator[tuple[bool, str]]:
    learnt = set(sequence.learnt)
    for is_learnt, places in groupby(range(sequence.length), key=learnt.__contains__):
        yield is_learnt, str(tokenizer.decode([sequence.tokens[place] for place in places]))
