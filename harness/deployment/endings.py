"""What the texts of replies alone say of how they end and what stands around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.deployment.agreement import ReplyPair
from harness.deployment.verification import Culprit
from harness.wording import cell

SHOWN = 60


def culprits_of_endings(pairs: Sequence[ReplyPair], cut: Sequence[bool] = ()) -> Iterator[Culprit]:
    """Stop tokens, length and white space.

    Args:
        pairs: items with another reply than the one that was scored.
        cut: whether each reply reached its limit of tokens, as the server says; empty where it is
            not known.
    """
    reached = list(cut) or [False] * len(pairs)
    longer = [p for p in pairs if p.scored and p.deployed.startswith(p.scored)]
    bare = [p for p in pairs if p.deployed.strip() == p.scored.strip()]
    on = [p for p in longer if p not in bare]
    if on:
        ran = sum(at for p, at in zip(pairs, reached, strict=True) if p in on)
        told = f"; {ran} of these reached their limit of tokens" if ran else ""
        yield Culprit(
            "stop tokens",
            f"{len(on)} replies go on behind where the scored reply ended ({_example(on[0])})"
            f"{told}: what ends a turn does not end a reply there",
        )
    shorter = [p for p in pairs if p.deployed and p not in bare and p.scored.startswith(p.deployed)]
    if shorter:
        limits = sum(at for p, at in zip(pairs, reached, strict=True) if p in shorter)
        why = (
            f"the server says that {limits} of them reached a limit of tokens"
            if limits
            else "a limit of tokens, or a text that stops replies there"
        )
        yield Culprit(
            "length",
            f"{len(shorter)} replies end before the scored reply does ({_example(shorter[0])}): "
            f"{why}",
        )
    if bare:
        yield Culprit(
            "white space",
            f"{len(bare)} replies differ from the scored ones in white space around them alone",
        )


def _example(pair: ReplyPair) -> str:
    return f"{cell(pair.deployed, SHOWN)!r}, scored {cell(pair.scored, SHOWN)!r}"
