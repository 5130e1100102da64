"""The lm-eval model that scores a candidate already in memory.

It answers as lm-eval's own ``HFLM`` does, only cheaper: what all prompts of a task begin with is
computed once (:mod:`harness.evaluation.beginning`), contexts and continuations are laid out as
trees (:mod:`harness.evaluation.tree_scoring`), replies grow from trees of prompts
(:mod:`harness.evaluation.tree_generation`), and logits are computed only where something is scored.
Replies can be kept to a constraint (:mod:`harness.evaluation.constrained`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from transformers import LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from harness.evaluation.beginning import Beginning, compute_beginning
from harness.evaluation.constrained import ConstrainedBatch, Constraint
from harness.evaluation.thoughts import MARKS
from harness.evaluation.tree_generation import greedy_replies, tree_groups
from harness.evaluation.tree_scoring import score_pairs
from harness.models.context import context_length
from harness.prompting.chat_template import ChatTemplate, without_system
from harness.prompting.encoding import TextEncoder
from harness.prompting.shared_prefix import prefix_cache, shared_prefix_length
from harness.prompting.tree_pass import takes_trees

Request = tuple[Any, list[int], list[int]]
# Of models that read without end.
UNLIMITED = 2**20


class CandidateLM(HFLM):  # type: ignore[misc]
    """Score ``model`` (any causal language model of transformers, with or without adapters).

    Parameters:
        batch_size: requests per generation batch; log-likelihoods are batched by their tokens.

        date: which day a chat template that writes the date is told; None: today.

    Attributes:
        on_progress: called with (done, total) as scoring goes on.
        cut: prompt -> tokens that it was asked by, its last ones, for prompts that the model
            cannot read whole.
    """

    def __init__(
        self, model: Any, tokenizer: Any, batch_size: int, date: str | None = None
    ) -> None:
        logging.getLogger("lm_eval.models.huggingface").setLevel(logging.ERROR)
        super().__init__(
            pretrained=model,
            tokenizer=tokenizer,
            batch_size=batch_size,
            backend="causal",
            max_length=context_length(model.config) or UNLIMITED,
        )
        self.on_progress: Callable[[int, int], None] = lambda done, total: None
        self.cut: dict[str, int] = {}
        self._encode = TextEncoder(tokenizer)
        self._date = date
        marks = {mark for pair in MARKS for mark in pair}
        self._unsaid = {
            number
            for number, token in tokenizer.added_tokens_decoder.items()
            if token.special and token.content not in marks
        }
        self._constraint: Constraint | None = None
        self._beginning = Beginning()

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
        """Log-likelihoods of whole texts, as lm-eval's own, without its progress bar."""
        return super().loglikelihood_rolling(  # type: ignore[no-any-return]
            requests, disable_tqdm=True
        )

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> list[str]:
        """Greedy or sampled replies, as lm-eval's own, without its progress bar."""
        self._to_generate, self._generated = len(requests), 0
        if self.takes_trees:
            # What the first and the last in dictionary order begin with, most begin with.
            prompts = [str(request.args[0]) for request in requests]
            ends = [tuple(self.tok_encode(one)) for one in (min(prompts), max(prompts))]
            self._begin_with(ends[0][: shared_prefix_length(ends)])
        return super().generate_until(requests, disable_tqdm=True)  # type: ignore[no-any-return]

    def count_tokens(self, prompt: str, reply: str) -> tuple[int, int]:
        """Tokens of a prompt as it is asked, and of a reply."""
        asked = self.cut.get(prompt) or len(self._encode(prompt))
        return asked, len(self._encode.bare(reply))

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
        """Ids as text, without special tokens; those that mark a thought stay."""
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
        if chat_history[0]["role"] == "system" and not self._template.takes_system:
            chat_history = without_system(chat_history)
        return self._template.prompt(chat_history)

    @cached_property
    def _template(self) -> ChatTemplate:
        return ChatTemplate(self.tokenizer, self._date)

    def time_alone(self, requests: Sequence[Any]) -> float:
        """Seconds that the requests of one item take by themselves."""
        began = time.perf_counter()
        getattr(self, requests[0].request_type)(requests, disable_tqdm=True)
        return time.perf_counter() - began

    def _loglikelihood_tokens(
        self,
        requests: Sequence[Request],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[tuple[float, bool]]:
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
        if not self.takes_trees:
            answers: list[tuple[float, bool]] = super()._loglikelihood_tokens(
                requests, disable_tqdm=True, override_bs=override_bs
            )
            return answers
        pairs = [
            (tuple(context[-(self.max_length + 1 - len(rest)) :]), tuple(rest))
            for _, context, rest in requests
        ]
        contexts = list({context for context, _ in pairs})
        self._begin_with(contexts[0][: shared_prefix_length(contexts)])
        return score_pairs(self.model, pairs, self._beginning, self.on_progress)

    def _begin_with(self, tokens: tuple[int, ...]) -> None:
        if self._beginning.tokens != tokens:
            self._beginning = compute_beginning(self.model, tokens)

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
        if generation_kwargs.get("temperature") == 0.0:
            generation_kwargs.pop("temperature")
            generation_kwargs.setdefault("do_sample", False)
        generation_kwargs.setdefault("do_sample", False)
        ends_in = EndsIn(stop, self.tokenizer, context.shape[1])
        greedy = generation_kwargs == {"do_sample": False} and self._constraint is None
        if greedy and self.takes_trees:
            grown = self._grow(texts, max_length - context.shape[1], ends_in)
            if grown is not None:
                self._note(len(texts))
                return torch.cat([context, grown.to(context.device)], dim=1)
        shared = shared_prefix_length(texts)
        kept = None
        stopping = StoppingCriteriaList([ends_in])
        if self._constraint is not None:
            # The constraint alone says where a reply ends: its text may hold any stop.
            end = self.tokenizer.eos_token_id
            kept = ConstrainedBatch(self._constraint, len(texts), context.shape[1], end)
            generation_kwargs["logits_processor"] = LogitsProcessorList([kept])
            generation_kwargs["eos_token_id"] = end
            stopping = StoppingCriteriaList()
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
                stopping_criteria=stopping,
                pad_token_id=self.tokenizer.pad_token_id,
                use_cache=True,
                **generation_kwargs,
            )
        if kept is not None:
            replies = kept.replies(replies, self.tokenizer.pad_token_id)
        self._note(len(texts))
        return replies

    def _note(self, replies: int) -> None:
        self._generated += replies
        self.on_progress(self._generated, self._to_generate)

    def _grow(
        self, prompts: Sequence[tuple[int, ...]], room: int, ends_in: EndsIn
    ) -> torch.Tensor | None:
        """Greedy replies, padded on the right; None where trees of the prompts do not pay."""
        beginning = self._beginning if self._beginning.opens(prompts) else Beginning()
        groups = tree_groups([len(prompt) - len(beginning.tokens) for prompt in prompts])
        if groups is None:
            return None
        eos = self.model.generation_config.eos_token_id
        ends = set(eos) if isinstance(eos, list) else {eos}
        replies: list[list[int]] = []
        for group in groups:
            members = [prompts[index] for index in group]
            replies += greedy_replies(self.model, members, beginning, room, ends, ends_in.each)
        width = max(map(len, replies))
        pad = self.tokenizer.pad_token_id
        return torch.tensor([reply + [pad] * (width - len(reply)) for reply in replies])


class EndsIn(StoppingCriteria):
    """Ends each row by itself, as soon as any of ``stops`` stands in its newest tokens.

    lm-eval's own waits until all rows have written the same one of several, so what a reply is
    can hang on its batch.
    """

    def __init__(self, stops: Sequence[str], tokenizer: Any, width: int) -> None:
        self._stops = [stop for stop in stops if stop]
        self._tokenizer = tokenizer
        self._width = width
        lengths = [len(tokenizer.encode(stop, add_special_tokens=False)) for stop in self._stops]
        # As lm-eval does: the text may have been written in other tokens than its own.
        self._newest = max(lengths, default=0) + 2

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **more: Any) -> torch.Tensor:
        done = self.each(input_ids[:, self._width :].tolist())
        return torch.tensor(done, dtype=torch.bool, device=input_ids.device)

    def each(self, replies: Sequence[Sequence[int]]) -> list[bool]:
        """Whether each reply has just written a stop."""
        texts = self._tokenizer.batch_decode([reply[-self._newest :] for reply in replies])
        return [any(stop in text for stop in self._stops) for text in texts]
