"""What scoring asks of a model, counted as the scorer would batch it, without running the model.

The counts follow :mod:`harness.evaluation.candidate_lm`: what all prompts of a task begin with is
computed once, and prompts and continuations are laid out as trees.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harness.data import read_examples_file
from harness.evaluation.domain_task import valid_answers
from harness.evaluation.score import LATENCY_REQUESTS
from harness.evaluation.suites import Suite, SuiteTask, build_general_task, load_suite
from harness.evaluation.tree_generation import tree_groups
from harness.prompting import PromptRenderer
from harness.prompting.shared_prefix import shared_prefix_length
from harness.prompting.token_tree import in_trees, tree_size
from harness.records import Example, ResolvedModel, ScoreRequest, TrialSpec
from harness.spec import TaskSpec

Pool = Literal["generate", "likelihood", "divergence", "single"]
Tokens = tuple[int, ...]

# Of longer sets so many items, evenly spread, stand for all.
ITEMS_READ = 256
# What adds up over batches and over requests.
COUNTS = ("items", "prompt_tokens", "answer_tokens", "batches", "fed", "kept", "rows", "cached")
# lm-eval's own, for tasks that name none.
GENERAL_ROOM = 256


@dataclass(frozen=True, slots=True)
class ScoreWork:
    """What one score request takes; all counts are sums over its batches.

    pool: requests whose time follows one formula. group: within it, those as like as can be.
    prompt_tokens, answer_tokens: unpadded; of generated answers the number is not known here.
    fed: tokens computed in one go. kept: positions of which logits are needed. rows: requests,
    with the tokens that each attends to at first summed over them in ``cached``.
    room: tokens that a generated answer may have; 0 where nothing is generated.
    """

    pool: Pool
    group: str
    items: float
    prompt_tokens: float
    answer_tokens: float
    batches: float
    fed: float
    kept: float = 0.0
    rows: float = 0.0
    cached: float = 0.0
    room: int = 0

    def units(self, steps: float) -> tuple[float, ...]:
        """What its seconds are a linear function of. steps: of generation, in each batch."""
        if self.pool == "generate":
            remembered = steps * (self.cached + self.rows * steps / 2)
            return (self.batches, self.fed, steps * self.batches, remembered)
        if self.pool == "single":
            return (self.batches, self.fed, steps * self.batches)
        return (self.batches, self.fed, self.kept)

    def repeated(self, times: float) -> ScoreWork:
        """So often the same."""
        return replace(self, **{name: times * getattr(self, name) for name in COUNTS})


class ScoringCounter:
    """Counts the work of a trial's scores.

    Parameters:
        tokenizer: of the trial's model.
        renderer: of its prompts.
        room: tokens that an answer of the task may have.
    """

    def __init__(
        self,
        spec: TrialSpec,
        tokenizer: Any,
        renderer: PromptRenderer,
        split: Sequence[Example],
        room: int,
    ) -> None:
        self._spec = spec
        self._tokenizer = tokenizer
        self._renderer = renderer
        self._room = room
        self._size = spec.runtime.score_batch_size
        self._choices: list[Tokens] = []
        if spec.params["answering"] == "choice":
            answers = valid_answers(TaskSpec.model_validate(spec.task), split) or ()
            self._choices = [renderer.encode_answer(answer) for answer in answers]

    def works(self) -> Iterator[tuple[ScoreRequest, ScoreWork]]:
        """The scores that are not known yet, each with its work; some with several parts."""
        for request in self._spec.scores:
            if request.key in self._spec.known_scores:
                continue
            match request.suite:
                case "general":
                    for work in general_works(
                        request.suite_path,
                        request.task,
                        request.limit,
                        self._spec.model,
                        self._size,
                    ):
                        yield request, work
                case "divergence":
                    yield request, self._divergence(request)
                case "memorisation":
                    yield request, self._memorisation(request)
                case _:
                    yield from ((request, work) for work in self._domain(request))

    def _domain(self, request: ScoreRequest) -> Iterator[ScoreWork]:
        items = read_examples_file(Path(request.items_path))
        read = _spread(items, ITEMS_READ)
        prompts = [self._renderer.encode_prompt(item) for item in read]
        work = self._asked(prompts, request.wave)
        yield work.repeated(len(items) / len(read))
        if (request.suite, request.split) == ("domain", "test"):
            single = [self._asked([prompt], None) for prompt in _spread(prompts, LATENCY_REQUESTS)]
            whole = _together(single)
            # One more, which warms up and is not counted.
            yield replace(whole, pool="single", items=0.0, prompt_tokens=0.0,
                          answer_tokens=0.0).repeated(1 + 1 / len(single))  # fmt: skip

    def _asked(self, prompts: Sequence[Tokens], wave: int | None) -> ScoreWork:
        if not self._choices:
            return generation_work(prompts, self._size, self._room, "domain", wave)
        requests = [(prompt, choice) for prompt in prompts for choice in self._choices]
        work = likelihood_work(requests, "domain", wave)
        chosen = sum(map(len, self._choices)) / len(self._choices)
        return replace(work, items=float(len(prompts)), answer_tokens=len(prompts) * chosen)

    def _memorisation(self, request: ScoreRequest) -> ScoreWork:
        from harness.evaluation.memorisation import halves
        from harness.prompting.render import render_template

        task = TaskSpec.model_validate(self._spec.task)
        items = read_examples_file(Path(request.items_path))
        cut = [halves(render_template(task, item)) for item in items]
        pairs = [(self._plain(one.given), self._plain(one.rest)) for one in cut if one]
        return likelihood_work(pairs, "memorisation")

    def _divergence(self, request: ScoreRequest) -> ScoreWork:
        from harness.evaluation.divergence import passages

        found = passages(request, self._tokenizer)
        tokens = float(sum(len(passage.tokens) for passage in found))
        count = float(len(found))
        return ScoreWork("divergence", "divergence", count, tokens, 0.0, count, tokens)

    def _plain(self, text: str) -> Tokens:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])


@cache
def tokenizer_of(model: ResolvedModel) -> Any:
    """The model's tokenizer."""
    from harness.models.load import load_tokenizer, quiet_libraries

    quiet_libraries()
    return load_tokenizer(model)


@cache
def general_works(
    suite_path: str, name: str, limit: int | None, model: ResolvedModel, size: int
) -> tuple[ScoreWork, ...]:
    """The work of one task of a general suite, a part for each kind of request it makes."""
    suite = load_suite(Path(suite_path))
    task, share = _readable(suite, name, limit)
    entry = suite.task(name)
    tokenizer = tokenizer_of(model)
    requests = _requests(task, entry, tokenizer)
    works = []
    for kind, arguments in requests.items():
        group = f"general {kind}{' chat' if entry.chat else ''}"
        works.append(_general_work(kind, arguments, group, tokenizer, size).repeated(share))
    return tuple(works)


def _readable(suite: Suite, name: str, limit: int | None) -> tuple[Any, float]:
    """The task with few enough items to read, and how many items each of them stands for."""
    task = build_general_task(suite, name, limit)
    items = len(task.eval_docs)
    if items <= ITEMS_READ:
        return task, 1.0
    return build_general_task(suite, name, ITEMS_READ), items / ITEMS_READ


def _requests(task: Any, entry: SuiteTask, tokenizer: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Kind of request -> the arguments of each, as lm-eval makes them, and its item."""

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
        apply_chat_template=entry.chat,
        chat_template=chat if entry.chat else None,
    )
    found: dict[str, list[tuple[Any, ...]]] = {}
    for instance in task.instances:
        found.setdefault(instance.request_type, []).append((*instance.args, instance.doc_id))
    return found


def _general_work(
    kind: str, arguments: Sequence[tuple[Any, ...]], group: str, tokenizer: Any, size: int
) -> ScoreWork:
    def tokens(text: str) -> Tokens:
        return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])

    nothing: Tokens = (tokenizer.eos_token_id or 0,)
    if kind == "generate_until":
        room = int(arguments[0][1].get("max_gen_toks", GENERAL_ROOM))
        return generation_work([tokens(one[0]) or nothing for one in arguments], size, room, group)
    if kind == "loglikelihood_rolling":
        pairs = [(nothing, tokens(one[0]) or nothing) for one in arguments]
        work = likelihood_work(pairs, group)
        read = float(sum(len(pair[1]) for pair in pairs))
        return replace(work, items=float(len(pairs)), prompt_tokens=read, answer_tokens=0.0)
    pairs = [(tokens(one[0]) or nothing, tokens(one[1]) or nothing) for one in arguments]
    work = likelihood_work(pairs, group)
    # Several items may share a context, such as an empty one.
    items = len({one[-1] for one in arguments})
    share = items / len(pairs)
    asked, answered = (share * sum(len(pair[n]) for pair in pairs) for n in (0, 1))
    return replace(work, items=float(items), prompt_tokens=asked, answer_tokens=answered)


def generation_work(
    prompts: Sequence[Tokens], size: int, room: int, group: str, wave: int | None = None
) -> ScoreWork:
    """Work of greedy generation after ``prompts``, but for the steps, which depend on replies."""
    opened = shared_prefix_length(prompts)
    batches = rows = cached = 0.0
    fed = float(opened)
    for chunk in _waves(prompts, wave):
        ordered = sorted(chunk, key=lambda prompt: (-len(prompt), prompt))
        for batch in _batches(ordered, size):
            own = [len(prompt) - opened for prompt in batch]
            groups = tree_groups(own)
            rows += len(batch)
            if groups is None:
                batches += 1
                fed += len(batch) * max(own)
                cached += len(batch) * (opened + max(own))
                continue
            batches += len(groups)
            for group_of in groups:
                nodes = tree_size([batch[index][opened:] for index in group_of])
                fed += nodes
                cached += len(group_of) * (opened + nodes)
    asked = float(sum(map(len, prompts)))
    return ScoreWork(
        "generate", group, len(prompts), asked, 0.0, batches, fed, 0.0, rows, cached, room
    )


def likelihood_work(
    pairs: Sequence[tuple[Tokens, Tokens]],
    group: str,
    wave: int | None = None,
) -> ScoreWork:
    """Work of log-likelihoods of continuations, given as (context, continuation)."""
    by_context: dict[Tokens, list[Tokens]] = {}
    for context, continuation in pairs:
        by_context.setdefault(context, []).append(continuation)
    opened = shared_prefix_length(list(by_context))
    batches = kept = 0.0
    fed = float(opened)
    for chunk in _waves(list(by_context.items()), wave):
        sequences = [
            context[opened:] + one[:-1] for context, continuations in chunk for one in continuations
        ]
        trees = in_trees(sequences)
        batches += len(trees)
        fed += sum(tree_size([sequences[i] for i in tree]) for tree in trees)
        kept += sum(1 + _nodes(continuations) for _, continuations in chunk)
    asked = float(sum(map(len, by_context)))
    answered = sum(sum(map(len, group)) / len(group) for group in by_context.values())
    items = len(by_context)
    return ScoreWork("likelihood", group, items, asked, answered, batches, fed, kept)


def _nodes(continuations: Sequence[Tokens]) -> int:
    """Tokens of the tree of continuations that are fed: all that another one follows."""
    beginnings = {one[:end] for one in continuations for end in range(1, len(one))}
    return len(beginnings)


def _waves(things: Sequence[Any], wave: int | None) -> Iterator[Sequence[Any]]:
    if wave is None:
        yield things
        return
    # As the scorer draws them.
    order = np.random.default_rng(0).permutation(len(things)).tolist()
    for start in range(0, len(order), wave):
        yield [things[n] for n in order[start : start + wave]]


def _batches(things: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(things), size):
        yield things[start : start + size]


def _spread(things: Sequence[Any], number: int) -> Sequence[Any]:
    """At most ``number`` of them, from first to last."""
    if len(things) <= number:
        return things
    return [things[math.floor(n * len(things) / number)] for n in range(number)]


def _together(works: Sequence[ScoreWork]) -> ScoreWork:
    sums = {name: sum(getattr(work, name) for work in works) for name in COUNTS}
    return replace(works[0], **sums)
