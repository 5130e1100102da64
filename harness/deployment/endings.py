"""What the texts of replies alone say of how they end and what stands around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.deployment.agreement import ReplyPair
from harness.deployment.hypotheses import CONVINCING
from harness.deployment.verification import Culprit
from harness.wording import cell

SHOWN = 60


def culprits_of_endings(pairs: Sequence[ReplyPair], cut: Sequence[bool] = ()) -> Iterator[Culprit]:
    """Stop tokens, length and white space.

    One explains the replies only where it covers enough of those that differ: that one label
    begins with another says nothing of where replies end.

    Args:
        pairs: items with another reply than the one that was scored.
        cut: whether each reply reached its limit of tokens, as the server says; empty where it is
            not known.
    """
    reached = list(cut) or [False] * len(pairs)
    if on := _covered(pairs, _goes_on):
        ran = sum(at for p, at in zip(pairs, reached, strict=True) if _goes_on(p))
        told = f"; {ran} of these reached their limit of tokens" if ran else ""
        yield Culprit(
            "stop tokens",
            f"{_share(on, pairs)} go on behind where the scored reply ended ({_example(on[0])})"
            f"{told}: what ends a turn does not end a reply there",
            _convinces(on, pairs),
        )
    if shorter := _covered(pairs, _ends_early):
        limits = sum(at for p, at in zip(pairs, reached, strict=True) if _ends_early(p))
        why = (
            f"the server says that {limits} of them reached a limit of tokens"
            if limits
            else "a limit of tokens, or a text that stops replies there"
        )
        yield Culprit(
            "length",
            f"{_share(shorter, pairs)} end before the scored reply does ({_example(shorter[0])}): "
            f"{why}",
            _convinces(shorter, pairs),
        )
    if bare := _covered(pairs, _is_spaced):
        yield Culprit(
            "white space",
            f"{_share(bare, pairs)} differ from the scored ones in white space around them alone",
            _convinces(bare, pairs),
        )


def without_ending(pairs: Sequence[ReplyPair]) -> tuple[ReplyPair, ...]:
    """The pairs that no ending which explains replies covers, for which there is another reason."""
    kinds = (_goes_on, _ends_early, _is_spaced)
    told = [kind for kind in kinds if _convinces(_covered(pairs, kind), pairs)]
    return tuple(pair for pair in pairs if not any(kind(pair) for kind in told))


def _is_spaced(pair: ReplyPair) -> bool:
    return pair.deployed.strip() == pair.scored.strip()


def _goes_on(pair: ReplyPair) -> bool:
    begun = bool(pair.scored) and pair.deployed.startswith(pair.scored)
    return begun and not _is_spaced(pair)


def _ends_early(pair: ReplyPair) -> bool:
    begun = bool(pair.deployed) and pair.scored.startswith(pair.deployed)
    return begun and not _is_spaced(pair)


def _covered(
    pairs: Sequence[ReplyPair], is_so: Callable[[ReplyPair], bool]
) -> tuple[ReplyPair, ...]:
    return tuple(pair for pair in pairs if is_so(pair))


def _convinces(covered: Sequence[ReplyPair], pairs: Sequence[ReplyPair]) -> bool:
    return bool(covered) and len(covered) >= CONVINCING * len(pairs)


def _share(covered: Sequence[ReplyPair], pairs: Sequence[ReplyPair]) -> str:
    if len(covered) == len(pairs):
        return f"{len(covered)} replies"
    return f"{len(covered)} of {len(pairs)} replies that differ"


def _example(pair: ReplyPair) -> str:
    return f"{cell(pair.deployed, SHOWN)!r}, scored {cell(pair.scored, SHOWN)!r}"
