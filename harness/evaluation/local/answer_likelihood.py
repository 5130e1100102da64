"""How likely a model finds given replies, asked through lm-eval as everything else is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.evaluation.local.candidate_lm import CandidateLM


def likelihoods(lm: CandidateLM, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Log-likelihood (nats) of each reply after its prompt, shape (n,).

    Args:
        pairs: prompt and reply, as texts.
    """
    from lm_eval.api.instance import Instance

    requests = [Instance("loglikelihood", {}, pair, place) for place, pair in enumerate(pairs)]
    return [value for value, _ in lm.loglikelihood(requests)]


def token_likelihoods(
    lm: CandidateLM, pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
) -> list[float]:
    """Log-likelihood (nats) of each continuation after its context, shape (n,).

    Args:
        pairs: context and continuation, as token ids, neither empty.
    """
    asked = [(None, list(context), list(continuation)) for context, continuation in pairs]
    return [value for value, _ in lm._loglikelihood_tokens(asked, disable_tqdm=True)]


def greedy_continuations(
    lm: CandidateLM, pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
) -> list[bool]:
    """Whether each token of a continuation is the likeliest one after its context, shape (n,).

    Args:
        pairs: context and continuation, as token ids, neither empty.
    """
    asked = [(None, list(context), list(continuation)) for context, continuation in pairs]
    return [greedy for _, greedy in lm._loglikelihood_tokens(asked, disable_tqdm=True)]
