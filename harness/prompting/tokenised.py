"""Training examples as tokens: what is read, and what of it is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.records import Example


@dataclass(frozen=True, slots=True)
class TokenisedExample:
    """A training example; the loss is on its answer, and on earlier ones of its conversation."""

    id: str
    """Id of the example."""
    prompt: tuple[int, ...]
    """Token ids of the prompt."""
    answer: tuple[int, ...]
    """Token ids of the answer, its end included."""
    earlier: tuple[tuple[int, int], ...] = ()
    """Where in the prompt earlier answers stand that are learnt too, each from its first token up
    to, without it, the one behind its end; rising."""

    @property
    def length(self) -> int:
        """Tokens in all."""
        return len(self.prompt) + len(self.answer)

    @property
    def tokens(self) -> tuple[int, ...]:
        """Token ids of prompt and answer."""
        return self.prompt + self.answer

    @property
    def learnt(self) -> list[int]:
        """Places of the tokens that are learnt, rising."""
        spans = (*self.earlier, (len(self.prompt), self.length))
        return [place for start, stop in spans for place in range(start, stop)]

    @property
    def answers(self) -> int:
        """Number of answers that are learnt."""
        return 1 + len(self.earlier)

    @property
    def learnt_tokens(self) -> int:
        """Number of tokens that are learnt."""
        return len(self.answer) + sum(stop - start for start, stop in self.earlier)


def as_conversations(
    examples: Sequence[TokenisedExample], items: Sequence[Example]
) -> list[TokenisedExample]:
    """The examples, of each conversation in as few sequences as hold them all.

    An answer is learnt within the sequence of a later one where that begins with the very tokens of
    this one's prompt and answer. Where the chat template writes what went before otherwise than it
    was asked and answered, such as without its thoughts, each is a sequence of its own.

    Args:
        examples: what :meth:`PromptRenderer.encode` makes of the items, in their order.
        items: the items.
    """
    turns: dict[str, list[tuple[int, int]]] = {}
    for place, item in enumerate(items):
        turns.setdefault(item.conversation or f"\0{place}", []).append((len(item.messages), place))
    sequences = []
    for places in turns.values():
        held: TokenisedExample | None = None
        for _, place in sorted(places):
            example = examples[place]
            if held is not None and example.prompt[: held.length] == held.tokens:
                own = (len(held.prompt), held.length)
                example = replace(example, earlier=(*held.earlier, own))
            elif held is not None:
                sequences.append(held)
            held = example
        if held is not None:
            sequences.append(held)
    return sequences
