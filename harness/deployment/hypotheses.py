"""Whether a reason for other replies is the true one: the scored model gives them under it too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.deployment.agreement import ReplyPair
from harness.deployment.prompt_counts import Tokens

if TYPE_CHECKING:
    from harness.trial.candidate import Candidate

# Different replies that are looked at.
WEIGHED = 24
# Share of the different replies that a reason must give to be one.
CONVINCING = 0.5


def reproduced(candidate: Candidate, pairs: Sequence[ReplyPair], prompt_of: Tokens) -> int:
    """How many of the deployed replies are what the candidate writes greedily.

    Args:
        prompt_of: the tokens by which each item is asked.
    """
    from harness.evaluation.local.answer_likelihood import greedy_continuations
    from harness.evaluation.local.candidate_lm import CandidateLM
    from harness.models.packed_weights import packed_weights

    loaded, runtime = candidate.loaded, candidate.spec.runtime
    # Without what ends it: a reply that was cut is the model's, too. One without any token is not
    # told from others by its tokens.
    asked = [
        (prompt_of(pair.item), reply)
        for pair in pairs
        if (reply := candidate.renderer.encode_answer(pair.deployed, ""))
    ]
    lm = CandidateLM(loaded.model, loaded.tokenizer, runtime.score_batch_size)
    with packed_weights(loaded.model, runtime.memory_share):
        return sum(greedy_continuations(lm, asked)) if asked else 0


__all__ = ["CONVINCING", "WEIGHED", "reproduced"]
