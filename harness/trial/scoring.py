"""Score the candidate on everything that its trial asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from harness.data import read_examples_file
from harness.errors import CanaryError, TrialError
from harness.evaluation.memorisation import completed_text
from harness.evaluation.suites import Suite, build_general_task, load_suite
from harness.evaluation.thoughts import without_thought
from harness.prompting.encoding import TextEncoder
from harness.records import Canaries, Example, ScoreRecord, ScoreRequest
from harness.trial.candidate import (
    CANARY_PROMPTS,
    Announce,
    Candidate,
    TrialRun,
    context_of,
    reply_constraint,
    reply_room,
)
from harness.trial.early_stopping import ItemWatch


def score_all(candidate: Candidate, run: TrialRun, announce: Announce) -> None:
    from harness.evaluation.candidate_lm import CandidateLM
    from harness.models.packed_weights import packed_weights

    spec = candidate.spec
    loaded = candidate.loaded
    lm = CandidateLM(loaded.model, loaded.tokenizer, spec.runtime.score_batch_size, spec.date)
    known = run.canaries or Canaries(None, None, prompt_tokens_equal=True)
    equal = all(
        tuple(lm.tok_encode(candidate.renderer.prompt(item)))
        == candidate.renderer.encode_prompt(item)
        for item in candidate.pool[:CANARY_PROMPTS]
    )
    run.canaries = replace(known, prompt_tokens_equal=equal)
    if not equal:
        raise CanaryError("training and scoring tokenise the same prompt differently")
    constraint = reply_constraint(
        candidate.renderer,
        loaded.tokenizer,
        candidate.task,
        candidate.split,
        spec.params["answering"],
    )
    suite_at = cache(load_suite)
    asked = [request for request in spec.scores if request.key not in spec.known_scores]
    if not asked:
        return
    with packed_weights(loaded.model, spec.runtime.memory_share):
        for request in asked:
            lm.on_progress = partial(announce, "score", task=request.task)
            lm.cut.clear()
            record = _score(candidate, request, lm, constraint, suite_at)
            run.scores.append(record)
            if lm.cut:
                run.environment[f"cut_{request.task}"] = (
                    f"{len(lm.cut)} prompts of {request.task} are longer than the "
                    f"{lm.max_length:,} tokens that the model reads; the base and every arm were "
                    "asked by their last ones, as lm-eval does"
                )
            run.environment |= unfinished_thoughts(spec.arm, record)


def _score(
    candidate: Candidate,
    request: ScoreRequest,
    lm: Any,
    constraint: Any,
    suite_at: Callable[[Path], Suite],
) -> ScoreRecord:
    from harness.evaluation.domain_task import build_domain_task, valid_answers
    from harness.evaluation.memorisation import build_memorisation_task
    from harness.evaluation.score import score_task

    form = candidate.loaded.form
    if request.suite == "divergence":
        if candidate.base is None:
            raise TrialError("error", "divergence was asked for, but no base was measured")
        return candidate.base.compare(candidate.loaded.model, form)
    if request.suite == "general":
        suite = suite_at(Path(request.suite_path))
        entry = suite.task(request.task)
        general = build_general_task(suite, request.task, request.limit)
        return score_task(
            lm, general, request, form, chat=entry.chat, chance=entry.chance, counted=entry.filter
        )
    task, renderer = candidate.task, candidate.renderer
    items = read_examples_file(Path(request.items_path))
    if request.suite == "memorisation":
        items = _readable(candidate, items)
        return score_task(lm, build_memorisation_task(request.task, task, items), request, form)
    answers = valid_answers(task, candidate.split)
    answering = candidate.spec.params["answering"]
    room = reply_room(renderer, task, candidate.split, answering, constraint)
    prompts = {item.id: renderer.prompt(item) for item in items}
    _check_lengths(candidate, prompts, room)
    domain = build_domain_task(
        request.task,
        task,
        items,
        lambda item: prompts[item.id],
        end=renderer.end,
        max_new_tokens=room,
        stops=renderer.stops,
        labels=answers or (),
        choices=(
            {answer: renderer.reply(answer) for answer in answers or ()}
            if answering == "choice"
            else None
        ),
    )
    test = request.suite == "domain" and request.split == "test"
    with lm.kept_to(constraint):
        return score_task(
            lm,
            domain,
            request,
            form,
            answer_end=renderer.end,
            answer_lead=renderer.lead,
            measure_latency=test,
            watch=ItemWatch(candidate.spec.pruning, len(items)),
        )


def unfinished_thoughts(arm: str, record: ScoreRecord) -> dict[str, str]:
    """A note for the reader where replies to the user's task ended before their answer."""
    replies = [output.output for output in record.outputs]
    cut = sum(without_thought(reply).unfinished for reply in replies)
    if not cut or record.suite not in ("domain", "out_of_domain"):
        return {}
    return {
        f"cut_thoughts_{record.task}_{record.split}": (
            f"{cut} of {len(replies)} replies of {arm} to {record.task} ({record.split}) ended "
            "within a thought, and count as no answer; raise task.max_new_tokens"
        )
    }


def _check_lengths(candidate: Candidate, prompts: Mapping[str, str], room: int) -> None:
    """See that every prompt leaves room for its answer: none is cut.

    prompts: id of an item -> its prompt.

    Raises:
        TrialError: kind ``length``.
    """
    context = context_of(candidate)
    if context is None:
        return
    encode = TextEncoder(candidate.loaded.tokenizer)
    lengths = {name: len(encode(prompt)) for name, prompt in prompts.items()}
    longer = [name for name, length in lengths.items() if length + room > context]
    if longer:
        raise TrialError(
            "length",
            f"the prompts of {len(longer)} of {len(lengths)} items, {longer[0]} among them, and "
            f"{room} tokens for the answer are more than the {context:,} that the model reads (up "
            f"to {max(lengths.values()):,}); take fewer shots or a model that reads more",
        )


def _readable(candidate: Candidate, items: tuple[Example, ...]) -> tuple[Example, ...]:
    """The items whose text the model can read whole, given and completed."""
    context = context_of(candidate)
    if context is None:
        return items
    encode = TextEncoder(candidate.loaded.tokenizer)
    return tuple(
        item for item in items if len(encode(completed_text(candidate.task, item))) <= context
    )
