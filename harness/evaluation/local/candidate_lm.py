"""The lm-eval model that scores a candidate already in memory.

It answers as lm-eval's own ``HFLM`` does, only cheaper: what all prompts of a task begin with is
computed once (:mod:`harness.models.prompt_prefix`), contexts and continuations are laid out as
trees (:mod:`harness.evaluation.local.tree_scoring`), a reply that has ended makes room for the next
(:mod:`harness.evaluation.local.row_generation`), and logits are computed only where something is
scored. Where a model does not take that, replies grow from trees of prompts
(:mod:`harness.evaluation.local.tree_generation`), or to prompts padded to one length
(:mod:`harness.evaluation.local.padded_generation`).
Replies can be kept to a constraint (:mod:`harness.evaluation.local.constrained`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM

from harness.errors import TrialError
from harness.evaluation.local.constrained import Constraint
from harness.evaluation.local.padded_generation import padded_replies
from harness.evaluation.local.prompt_reader import PromptReader
from harness.evaluation.local.reply_ends import EndsIn
from harness.evaluation.local.row_generation import greedy_replies, row_groups
from harness.evaluation.local.tree_generation import greedy_tree_replies, tree_groups
from harness.evaluation.local.tree_scoring import score_pairs
from harness.models.fused_decoder import fused_decoder
from harness.models.padding import padded_together
from harness.models.prompt_prefix import PromptPrefix, compute_prompt_prefix
from harness.models.row_attention import takes_rows
from harness.models.shared_prefix import shared_prefix_length
from harness.models.tree_pass import sees_all, takes_trees
from harness.prompting.control_tokens import unsaid_tokens
from harness.records import JsonValue, ModelWork

Request = tuple[Any, list[int], list[int]]

# Batches whose prompts are handed over together.
BATCHES = 16


class CandidateLM(PromptReader, HFLM):  # type: ignore[misc]
    """Score ``model`` (any causal language model of transformers, with or without adapters).

    Args:
        batch_size: requests per generation batch; log-likelihoods are batched by their tokens.
        date: day that a chat template which writes the date is told; today if None.
        template_args: what the chat template is told beside the messages.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        batch_size: int,
        date: str | None = None,
        template_args: Mapping[str, JsonValue] | None = None,
    ) -> None:
        self.read_with(model.config, tokenizer, date, template_args)
        super().__init__(
            pretrained=model,
            tokenizer=tokenizer,
            batch_size=batch_size,
            backend="causal",
            max_length=self.longest,
            # With it, equal tokens that are cut elsewhere into context and continuation are
            # scored by the cut of one of them.
            logits_cache=False,
        )
        self._unsaid = unsaid_tokens(tokenizer)
        self._rows = batch_size
        self._constraint: Constraint | None = None
        self._beginning = PromptPrefix()

    @property
    def takes_trees(self) -> bool:
        """Whether requests are laid out as trees."""
        return takes_trees(self.model)

    @contextmanager
    def kept_to(self, constraint: Constraint | None) -> Iterator[None]:
        """Within this context every generated reply keeps to ``constraint``; None frees them."""
        before, self._constraint = self._constraint, constraint
        try:
            yield
        finally:
            self._constraint = before

    def loglikelihood(
        self, requests: list[Any], disable_tqdm: bool = True
    ) -> list[tuple[float, bool]]:
        """Log-likelihoods, as lm-eval's own, without its progress bar."""
        return super().loglikelihood(requests, disable_tqdm=True)  # type: ignore[no-any-return]

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = True) -> list[float]:
        """Log-likelihoods of whole texts, as lm-eval's own, without its progress bar.

        Raises:
            TrialError: the tokenizer has no mark for a text to begin after.
        """
        if self.prefix_token_id is None:
            raise TrialError(
                "error",
                "the tokenizer has no mark that begins a text and none that ends one, after which "
                "a whole text could be scored; leave tasks of texts out of the suite",
            )
        return super().loglikelihood_rolling(  # type: ignore[no-any-return]
            requests, disable_tqdm=True
        )

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> list[str]:
        """Greedy or sampled replies, as lm-eval's own, without its progress bar."""
        self._to_generate, self._generated = len(requests), 0
        if self.takes_trees:
            # What the first and the last in dictionary order begin with, most begin with.
            prompts = [str(request.args[0]) for request in requests]
            ends = [tuple(self.tok_encode(prompt)) for prompt in (min(prompts), max(prompts))]
            self._begin_with(ends[0][: shared_prefix_length(ends)])
        # Many at once, so that a row which a reply has left is taken by another prompt.
        self.batch_size_per_gpu = self._rows * BATCHES
        try:
            replies: list[str] = super().generate_until(requests, disable_tqdm=True)
        finally:
            self.batch_size_per_gpu = self._rows
        return replies

    def tok_encode(
        self,
        string: str,
        add_special_tokens: bool | None = None,
        left_truncate_len: int | None = None,
        **more: Any,
    ) -> list[int]:
        """Ids of a text, with a beginning where the tokenizer adds one, and never an end."""
        ids = self._encode.bare(string) if add_special_tokens is False else self._encode(string)
        return list(ids[-left_truncate_len:] if left_truncate_len else ids)

    def tok_batch_encode(
        self,
        strings: Sequence[str],
        padding_side: str = "left",
        left_truncate_len: int | None = None,
        truncation: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids of texts and their attention mask, both padded on the left.

        What is too long loses its beginning, as with lm-eval, and is noted in :attr:`cut`.
        """
        rows = []
        for string in strings:
            ids = self.tok_encode(string)
            if left_truncate_len and len(ids) > left_truncate_len:
                self.cut[string] = left_truncate_len
                ids = ids[-left_truncate_len:]
            rows.append(ids)
        width = max(map(len, rows))
        pad = self.tokenizer.pad_token_id
        padded = torch.tensor([[pad] * (width - len(ids)) + ids for ids in rows])
        mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in rows])
        return padded, mask

    def tok_decode(self, tokens: Any, skip_special_tokens: bool = True) -> str:
        """Ids as text, without special tokens; those that mark a thought or a call stay.

        Empty for the token that ends a text, where there is none.
        """
        if tokens is None:
            return ""
        ids = [tokens] if isinstance(tokens, int) else list(tokens)
        if skip_special_tokens:
            ids = [token for token in ids if token not in self._unsaid]
        text: str = self.tokenizer.decode(ids)
        return text

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """A conversation as text, written as the prompts of the user's task are."""
        if not add_generation_prompt:
            text: str = super().apply_chat_template(chat_history, add_generation_prompt=False)
            return text
        return self.prompt_of(chat_history)

    def time_alone(self, requests: Sequence[Any]) -> float:
        """Seconds that the requests of one item take by themselves."""
        # What the request before it began with is not at hand for it.
        self._begin_with(())
        began = time.perf_counter()
        getattr(self, requests[0].request_type)(requests, disable_tqdm=True)
        return time.perf_counter() - began

    def _loglikelihood_tokens(
        self,
        requests: Sequence[Request],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[tuple[float, bool]]:
        pairs = []
        for strings, context, continuation in requests:
            if not context or not continuation:
                raise ValueError("a log-likelihood request needs a context and a continuation")
            if len(continuation) > self.max_length:
                raise ValueError(
                    f"a text of {len(continuation)} tokens is to be scored, and the model reads "
                    f"{self.max_length}; leave it out, or take a model that reads more"
                )
            room = self.max_length + 1 - len(continuation)
            if len(context) > room and strings is not None:
                self.cut[strings[0]] = room
            pairs.append((tuple(context[-room:]), tuple(continuation)))
        if not self.takes_trees:
            answers: list[tuple[float, bool]] = super()._loglikelihood_tokens(
                requests, disable_tqdm=True, override_bs=override_bs
            )
            return answers
        contexts = list({context for context, _ in pairs})
        self._begin_with(contexts[0][: shared_prefix_length(contexts)])
        return score_pairs(self.model, pairs, self._beginning, self.on_progress, self._count)

    def _model_call(self, inps: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        self._count(ModelWork(passes=1, read=inps.numel(), predicted=inps.numel()))
        logits: torch.Tensor = super()._model_call(inps, *args, **kwargs)
        return logits

    def _count(self, work: ModelWork) -> None:
        self.work += work

    def _begin_with(self, tokens: tuple[int, ...]) -> None:
        if self._beginning.tokens != tokens:
            self._beginning = compute_prompt_prefix(self.model, tokens)
            self._count(ModelWork(bool(tokens), len(tokens), predicted=bool(tokens)))

    def _model_generate(
        self,
        context: torch.Tensor,
        max_length: int,
        stop: list[str],
        **generation_kwargs: Any,
    ) -> Rows:
        mask = generation_kwargs.pop("attention_mask")
        lengths = mask.sum(dim=1).tolist()
        prompts = [tuple(row[-n:]) for row, n in zip(context.tolist(), lengths, strict=True)]
        room = max_length - context.shape[1]
        if generation_kwargs.get("temperature") == 0.0:
            generation_kwargs.pop("temperature")
        generation_kwargs.setdefault("do_sample", False)
        greedy = generation_kwargs == {"do_sample": False}
        replies: list[list[int]] = []
        # One alone has no row to take turns with.
        several = len(prompts) > 1 or fused_decoder(self.model) is not None
        if greedy and several and self._takes_rows(max(map(len, prompts)) + room):
            replies = self._in_rows(prompts, room, stop)
        while len(replies) < len(prompts):
            batch = prompts[len(replies) : len(replies) + self._rows]
            replies += self._batch(batch, room, stop, generation_kwargs, greedy=greedy)
        return Rows([a + b for a, b in zip(context.tolist(), replies, strict=True)])

    def _in_rows(
        self, prompts: list[tuple[int, ...]], room: int, stop: list[str]
    ) -> list[list[int]]:
        ends_in = EndsIn(stop, self.tokenizer, 0, self._ends())
        replies: list[list[int]] = [[] for _ in prompts]
        for beginning, group in row_groups(prompts, self._beginning, room):
            written = greedy_replies(
                self.model,
                [prompts[index] for index in group],
                beginning,
                self._rows,
                room,
                ends_in.tokens,
                ends_in.each,
                self._count,
                self._generate,
                # Few servers guess, and what it gains hangs on what a reply repeats of its prompt.
                guesses=len(prompts) > 1,
                constraint=self._constraint,
            )
            for index, reply in zip(group, written, strict=True):
                replies[index] = reply
        return replies

    def _batch(
        self,
        prompts: list[tuple[int, ...]],
        room: int,
        stop: list[str],
        generation_kwargs: dict[str, Any],
        *,
        greedy: bool,
    ) -> list[list[int]]:
        """Replies to the prompts of one batch: grown from trees, or padded to one length."""
        groups = None
        if greedy and self._constraint is None and self.takes_trees:
            beginning = self._beginning if self._beginning.opens(prompts) else PromptPrefix()
            groups = tree_groups([len(prompt) - len(beginning.tokens) for prompt in prompts])
        replies: list[list[int]] = [[] for _ in prompts]
        for group in padded_together(self.model, prompts) if groups is None else groups:
            members = [prompts[index] for index in group]
            ends_in = EndsIn(stop, self.tokenizer, max(map(len, members)), self._ends())
            if groups is None:
                written = padded_replies(
                    self.model,
                    self.tokenizer,
                    members,
                    room,
                    ends_in,
                    self._constraint,
                    generation_kwargs,
                    shares=self.takes_trees,
                    on_work=self._count,
                )
            else:
                written = greedy_tree_replies(
                    self.model,
                    members,
                    beginning,
                    room,
                    ends_in.tokens,
                    ends_in.each,
                    self._count,
                )
            for index, reply in zip(group, written, strict=True):
                replies[index] = reply
            self._generate(len(members))
        return replies

    def _generate(self, count: int) -> None:
        self._generated += count
        self.on_progress(self._generated, self._to_generate)

    def _takes_rows(self, longest: int) -> bool:
        """Whether replies grow in rows of up to ``longest`` tokens, each seeing all of its row."""
        return self.takes_trees and takes_rows(self.model) and sees_all(self.model, longest)

    def _ends(self) -> frozenset[int]:
        """Tokens that end a reply."""
        eos = self.model.generation_config.eos_token_id
        return frozenset(eos if isinstance(eos, list) else [] if eos is None else [eos])


class Rows:
    """Token ids of rows that differ in length, handed to lm-eval as it expects a tensor."""

    def __init__(self, rows: list[list[int]]) -> None:
        self._rows = rows

    def tolist(self) -> list[list[int]]:
        """The rows."""
        return self._rows
