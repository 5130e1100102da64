"""The lm-eval model that scores a candidate already in memory.

It answers as lm-eval's own ``HFLM`` does, only cheaper: continuations of one context share a row
(:mod:`harness.evaluation.tree_scoring`), logits are computed only where something is scored, and
a prefix common to a batch is computed once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils_hf import stop_sequences_criteria

from harness.evaluation.tree_scoring import Row, build_row, score_rows
from harness.prompting.shared_prefix import prefix_cache, shared_prefix_length

Request = tuple[Any, list[int], list[int]]


class CandidateLM(HFLM):  # type: ignore[misc]
    """Score ``model`` (any causal language model of transformers, with or without adapters).

    Parameters:
        batch_size: requests per generation batch; contexts per log-likelihood batch.

    Attributes:
        on_progress: called with (done, total) as scoring goes on.
    """

    def __init__(self, model: Any, tokenizer: Any, batch_size: int) -> None:
        logging.getLogger("lm_eval.models.huggingface").setLevel(logging.ERROR)
        super().__init__(
            pretrained=model, tokenizer=tokenizer, batch_size=batch_size, backend="causal"
        )
        self.on_progress: Callable[[int, int], None] = lambda done, total: None

    def loglikelihood(
        self, requests: list[Any], disable_tqdm: bool = True
    ) -> list[tuple[float, bool]]:
        """Log-likelihoods, as lm-eval's own, without its progress bar."""
        return super().loglikelihood(requests, disable_tqdm=True)  # type: ignore[no-any-return]

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = True) -> list[float]:
        """Log-likelihoods of whole texts, as lm-eval's own, without its progress bar."""
        return super().loglikelihood_rolling(  # type: ignore[no-any-return]
            requests, disable_tqdm=True
        )

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> list[str]:
        """Greedy or sampled replies, as lm-eval's own, without its progress bar."""
        self._to_generate, self._generated = len(requests), 0
        return super().generate_until(requests, disable_tqdm=True)  # type: ignore[no-any-return]

    def _loglikelihood_tokens(
        self,
        requests: Sequence[Request],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[tuple[float, bool]]:
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, (_, context, continuation) in enumerate(requests):
            if not context or not continuation:
                raise ValueError("a log-likelihood request needs a context and a continuation")
            room = self.max_length + 1 - len(continuation)
            groups.setdefault(tuple(context[-room:]), []).append(index)
        rows: list[tuple[Row, list[int]]] = [
            (build_row(context, [requests[i][2] for i in members]), members)
            for context, members in groups.items()
        ]
        # Longest first: rows of like length share a batch, and memory runs out at once if at all.
        rows.sort(key=lambda item: -(len(item[0].context) + len(item[0].tokens)))
        answers: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        size = override_bs or int(self.batch_size)
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            scored = score_rows(self.model, [row for row, _ in batch], self.tokenizer.pad_token_id)
            for (_, members), values in zip(batch, scored, strict=True):
                for index, value in zip(members, values, strict=True):
                    answers[index] = value
            self.on_progress(start + len(batch), len(rows))
        return answers

    def _model_generate(
        self,
        context: torch.Tensor,
        max_length: int,
        stop: list[str],
        **generation_kwargs: Any,
    ) -> torch.Tensor:
        attention_mask = generation_kwargs.pop("attention_mask")
        lengths = attention_mask.sum(dim=1).tolist()
        texts = [tuple(row[-n:]) for row, n in zip(context.tolist(), lengths, strict=True)]
        shared = shared_prefix_length(texts)
        if generation_kwargs.get("temperature") == 0.0:
            generation_kwargs.pop("temperature")
            generation_kwargs.setdefault("do_sample", False)
        generation_kwargs.setdefault("do_sample", False)
        with torch.inference_mode():
            if shared:
                # Each row becomes prefix, padding, rest: the prefix then aligns over the batch.
                width = context.shape[1]
                for index, text in enumerate(texts):
                    rest = text[shared:]
                    padding = width - shared - len(rest)
                    context[index, :shared] = torch.tensor(text[:shared])
                    context[index, shared : shared + padding] = self.tokenizer.pad_token_id
                    attention_mask[index, :shared] = 1
                    attention_mask[index, shared : shared + padding] = 0
                generation_kwargs["past_key_values"] = prefix_cache(
                    self.model, context[:1, :shared], len(texts)
                )
            replies: torch.Tensor = self.model.generate(
                input_ids=context,
                attention_mask=attention_mask,
                max_length=max_length,
                stopping_criteria=stop_sequences_criteria(
                    self.tokenizer, stop, context.shape[1], context.shape[0]
                ),
                pad_token_id=self.tokenizer.pad_token_id,
                use_cache=True,
                **generation_kwargs,
            )
        self._generated += len(texts)
        self.on_progress(self._generated, self._to_generate)
        return replies
