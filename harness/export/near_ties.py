"""Whether two replies are a near tie to a model, as rounding decides, or come from other weights.

A reply is written token by token, each the likeliest after those before. What adds up the same
numbers in another order (another batch, weights laid out otherwise, another processor) moves a
likelihood in its last digits. So it can only turn the choice between two tokens that the model
finds about equally likely, and everything after the first such token may differ. Other weights have
another opinion, not only other digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.models.token_tree import common_beginning

if TYPE_CHECKING:
    from harness.evaluation.local.candidate_lm import CandidateLM
    from harness.records import Example
    from harness.trial.candidate import Candidate

# How often the largest difference that was measured a near tie may differ: it was the largest of a
# few, and a tie has two sides.
SAFETY = 4.0
# Replies on which the last digits are measured.
MEASURED = 16
# Nats. A token that is found half as likely as another is no tie, whatever the digits do.
LARGEST = math.log(2)
# Nats, by the number format in which logits are computed.
SMALLEST = {"float32": 1e-3}
SMALLEST_ELSEWHERE = 0.02


@dataclass(frozen=True, slots=True)
class TwoReplies:
    """An item with two replies to it."""

    item: Example
    """The item."""
    then: str
    """One reply."""
    now: str
    """The other."""


def likelihood_gaps(candidate: Candidate, asked: Sequence[TwoReplies]) -> list[float]:
    """How much likelier one of two replies is to the candidate than the other, nats, shape (n,).

    Of generated replies it is that of the first token in which they differ, of chosen answers that
    of the whole.
    """
    renderer = candidate.renderer
    pairs: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    for one in asked:
        prompt = renderer.encode_prompt(one.item)
        then, now = renderer.encode_answer(one.then), renderer.encode_answer(one.now)
        if candidate.spec.answering == "choice":
            pairs += [(prompt, then), (prompt, now)]
            continue
        same = common_beginning(then, now)
        before = (*prompt, *then[:same])
        # One that only goes on where the other ends differs by what ends a reply; of two that are
        # the same tokens nothing is left to compare.
        pairs += [(before, reply[same : same + 1] or reply[-1:]) for reply in (then, now)]
    found = _likelihoods(candidate, pairs)
    return [abs(a - b) for a, b in zip(found[::2], found[1::2], strict=True)]


def tie_tolerance(candidate: Candidate, items: Sequence[Example]) -> float:
    """Nats up to which two replies are a tie to the candidate on this machine.

    Measured: the same right answers are scored all together by packed weights, and one by one by
    plain ones, between which only the order of sums differs.
    """
    kind = str(candidate.loaded.model.dtype).removeprefix("torch.")
    least = SMALLEST.get(kind, SMALLEST_ELSEWHERE)
    stride = max(1, len(items) // MEASURED)
    renderer = candidate.renderer
    pairs = [
        (renderer.encode_prompt(item), renderer.encode_answer(item.answer))
        for item in items[::stride][:MEASURED]
    ]
    together = _likelihoods(candidate, pairs)
    unpacked = replace(candidate.spec, runtime=replace(candidate.spec.runtime, memory_share=0.0))
    plain = replace(candidate, spec=unpacked)
    alone = [value for pair in pairs for value in _likelihoods(plain, [pair])]
    moved = max((abs(a - b) for a, b in zip(together, alone, strict=True)), default=0.0)
    return min(LARGEST, max(least, SAFETY * moved))


def _likelihoods(
    candidate: Candidate, pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
) -> list[float]:
    from harness.evaluation.local.answer_likelihood import token_likelihoods
    from harness.evaluation.local.candidate_lm import CandidateLM
    from harness.models.packed_weights import packed_weights

    loaded, runtime = candidate.loaded, candidate.spec.runtime
    lm: CandidateLM = CandidateLM(loaded.model, loaded.tokenizer, runtime.score_batch_size)
    with packed_weights(loaded.model, runtime.memory_share):
        return token_likelihoods(lm, pairs)


__all__ = ["LARGEST", "TwoReplies", "likelihood_gaps", "tie_tolerance"]
