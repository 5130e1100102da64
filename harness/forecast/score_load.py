"""Counts the items and tokens of a score request from its texts, without a model.

How they are batched is up to the scorer: small trials report how much work such texts became, and
:class:`~harness.forecast.cost_model.CostModel` extrapolates from that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from harness.evaluation.suites.find import Suite, build_general_task, item_identity, load_suite
from harness.forecast.cost_model import Measure
from harness.models.load import load_tokenizer, quiet_libraries
from harness.models.shared_prefix import shared_prefix_length
from harness.models.token_tree import WIDTH, tree_size
from harness.records import ModelWork, ResolvedModel, ScoreRequest

Tokens = tuple[int, ...]

# Of longer sets so many items, evenly spread, stand for all.
ITEMS_READ = 256
# lm-eval's own, for tasks that name none.
GENERAL_ANSWER_LIMIT = 256


@dataclass(frozen=True, slots=True)
class ScoreLoad:
    """Work of one score request."""

    measure: Measure
    """``single`` where requests are sent one at a time, else ``score``."""
    group: str
    """Name that requests have in common which ask the model in the same way."""
    items: float
    """Number of items; of single requests with the one that warms up."""
    prompt_tokens: float
    """Tokens of the prompts of all items, without padding."""
    answer_tokens: float
    """Tokens of the answers of all items that are known beforehand; 0 where replies are
    generated."""
    counted: ModelWork
    """Work as it is counted from the texts; generated replies are taken to be as long as training
    answers."""
    answer_limit: int = 0
    """Tokens that a generated answer may have; 0 where nothing is generated."""

    def __mul__(self, times: float) -> ScoreLoad:
        """The same request, ``times`` as often."""
        return replace(
            self,
            items=self.items * times,
            prompt_tokens=self.prompt_tokens * times,
            answer_tokens=self.answer_tokens * times,
            counted=self.counted * times,
        )


class AnswerTokens(NamedTuple):
    """Lengths of answers in tokens, their end tokens included."""

    mean: float
    """Mean number of tokens."""
    longest: int
    """Number of tokens of the longest answer."""


def generation_load(
    prompts: Sequence[Tokens],
    answer: AnswerTokens,
    size: int,
    limit: int,
    group: str,
    share: float = 1.0,
) -> ScoreLoad:
    """Replies of the length of ``answer`` to ``prompts``, each of which stands for ``share``."""
    answer = AnswerTokens(min(answer.mean, limit), min(answer.longest, limit))
    items = share * len(prompts)
    # A row that a reply has left is taken by the next prompt at once.
    counted = ModelWork(
        passes=1 + answer.longest + max(0.0, items - size) * answer.mean / size,
        read=_distinct(prompts, share),
        written=items * answer.mean,
        predicted=items * (1 + answer.mean),
    )
    tokens = share * sum(map(len, prompts))
    return ScoreLoad("score", group, items, tokens, 0.0, counted, limit)


def likelihood_load(
    pairs: Sequence[tuple[Tokens, Sequence[Tokens]]], group: str, share: float = 1.0
) -> ScoreLoad:
    """Continuations of contexts; a continuation's last token predicts nothing."""
    contexts = [context for context, _ in pairs]
    fed = share * sum(
        tree_size([continuation[:-1] for continuation in after]) for _, after in pairs
    )
    read = _distinct(contexts, share) + fed
    items = share * len(pairs)
    chosen = share * sum(sum(map(len, after)) / len(after) for _, after in pairs)
    counted = ModelWork(passes=1 + read / WIDTH, read=read, predicted=items + fed)
    return ScoreLoad("score", group, items, share * sum(map(len, contexts)), chosen, counted)


def _distinct(prompts: Sequence[Tokens], share: float) -> float:
    """Tokens of prompts, what they begin with counted once."""
    shared = shared_prefix_length(prompts)
    return shared + share * tree_size([prompt[shared:] for prompt in prompts])


@cache
def tokenizer_of(model: ResolvedModel) -> Any:
    """The model's tokenizer."""
    quiet_libraries()
    return load_tokenizer(model)


@cache
def _suite(path: str) -> Suite:
    """The suite: of one forecast, every task and part of it is counted."""
    return load_suite(Path(path))


@cache
def general_loads(request: ScoreRequest, model: ResolvedModel, size: int) -> tuple[ScoreLoad, ...]:
    """What one task of a general suite takes, a load for each kind of request it makes."""
    suite = _suite(request.suite_path)
    part = partial(build_general_task, suite, request.task, skip=request.skip, half=request.half)
    task = part(limit=request.limit)
    share = len(task.eval_docs) / ITEMS_READ
    if share > 1:
        task = part(limit=ITEMS_READ)
    tokenizer = tokenizer_of(model)
    as_chat = suite.task(request.task).chat and tokenizer.chat_template is not None
    return tuple(
        _general_load(kind, items, f"general {kind}{' chat' if as_chat else ''}", tokenizer, size)
        * max(1.0, share)
        for kind, items in _requests(task, tokenizer, as_chat=as_chat).items()
    )


def general_ids(request: ScoreRequest) -> list[str]:
    """Ids of the items of a task of a general suite that a request asks."""
    suite = _suite(request.suite_path)
    task = build_general_task(
        suite, request.task, request.limit, skip=request.skip, half=request.half
    )
    return [item_identity(doc)[0] for doc in task.eval_docs]


def _requests(
    task: Any, tokenizer: Any, *, as_chat: bool
) -> dict[str, dict[int, list[tuple[Any, ...]]]]:
    """Kind of request -> item -> the arguments of each of its requests, as lm-eval makes them."""

    def chat(history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        return str(
            tokenizer.apply_chat_template(
                history,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
        )

    task.build_all_requests(
        limit=None,
        rank=0,
        world_size=1,
        apply_chat_template=as_chat,
        chat_template=chat if as_chat else None,
    )
    requests: dict[str, dict[int, list[tuple[Any, ...]]]] = {}
    for instance in task.instances:
        items = requests.setdefault(instance.request_type, {})
        items.setdefault(instance.doc_id, []).append(instance.args)
    return requests


def _general_load(
    kind: str, items: Mapping[int, list[tuple[Any, ...]]], group: str, tokenizer: Any, size: int
) -> ScoreLoad:
    nothing: Tokens = (tokenizer.eos_token_id or 0,)

    def tokens(text: str) -> Tokens:
        return plain_tokens(tokenizer, text) or nothing

    first = [requests[0] for requests in items.values()]
    if kind == "generate_until":
        limit = int(first[0][1].get("max_gen_toks", GENERAL_ANSWER_LIMIT))
        # How long replies are is not known; half as long as they may be is but a beginning.
        expected = AnswerTokens(limit / 4, limit // 2)
        prompts = [tokens(arguments[0]) for arguments in first]
        return generation_load(prompts, expected, size, limit, group)
    if kind == "loglikelihood_rolling":
        texts = [tokens(arguments[0]) for arguments in first]
        load = likelihood_load([(nothing, [text]) for text in texts], group)
        return replace(load, prompt_tokens=sum(map(len, texts)), answer_tokens=0.0)
    by_context: dict[tuple[int, str], list[Tokens]] = {}
    for item, requests in items.items():
        for context, continuation in requests:
            by_context.setdefault((item, context), []).append(tokens(continuation))
    pairs = [(tokens(context), after) for (_, context), after in by_context.items()]
    load, share = likelihood_load(pairs, group), len(items) / len(pairs)
    return replace(
        load,
        items=len(items),
        prompt_tokens=load.prompt_tokens * share,
        answer_tokens=load.answer_tokens * share,
    )


def plain_tokens(tokenizer: Any, text: str) -> Tokens:
    """Tokens of a text without any mark of a beginning."""
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
