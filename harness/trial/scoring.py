"""Score the candidate on everything that its trial asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from harness.data import read_examples_file
from harness.errors import CanaryError, TrialError
from harness.evaluation.suites import Suite, build_general_task, load_suite
from harness.prompting import PromptRenderer
from harness.records import Canaries, Example, ScoreRecord, ScoreRequest
from harness.spec import JsonAnswer
from harness.trial.candidate import Announce, Candidate, TrialRun, room_for
from harness.trial.early_stopping import ItemWatch

CANARY_PROMPTS = 32


def score_all(candidate: Candidate, run: TrialRun, announce: Announce) -> None:
    from harness.evaluation.candidate_lm import CandidateLM
    from harness.models.packed_weights import packed_weights

    spec = candidate.spec
    loaded = candidate.loaded
    lm = CandidateLM(loaded.model, loaded.tokenizer, spec.runtime.score_batch_size)
    known = run.canaries or Canaries(None, None, prompt_tokens_equal=True)
    equal = all(
        tuple(lm.tok_encode(candidate.renderer.prompt(item)))
        == candidate.renderer.encode_prompt(item)
        for item in candidate.pool[:CANARY_PROMPTS]
    )
    run.canaries = replace(known, prompt_tokens_equal=equal)
    if not equal:
        raise CanaryError("training and scoring tokenise the same prompt differently")
    constraint = _constraint(candidate)
    suite_at = cache(load_suite)
    asked = [request for request in spec.scores if request.key not in spec.known_scores]
    if not asked:
        return
    with packed_weights(loaded.model, spec.runtime.memory_share):
        for request in asked:
            lm.on_progress = partial(announce, "score", task=request.task)
            run.scores.append(_score(candidate, request, lm, constraint, suite_at))


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
        return score_task(lm, build_memorisation_task(request.task, task, items), request, form)
    answers = valid_answers(task, candidate.split)
    room = task.max_new_tokens or answer_room(renderer, candidate.split)
    if constraint is not None:
        # A reply that is kept to a closed list always has room to end.
        room = max(room, constraint.longest or 0)
    domain = build_domain_task(
        request.task,
        task,
        items,
        renderer.prompt,
        end=renderer.end,
        max_new_tokens=room,
        lead=renderer.lead,
        stops=renderer.stops,
        labels=answers or (),
        choices=answers if candidate.spec.params["answering"] == "choice" else None,
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


def _constraint(candidate: Candidate) -> Any:
    """What replies to the user's task are kept to; None where they are free."""
    from harness.evaluation.constrained import constraint_of
    from harness.evaluation.domain_task import valid_answers

    if candidate.spec.params["answering"] != "constrained":
        return None
    task = candidate.task
    return constraint_of(
        candidate.renderer,
        candidate.loaded.tokenizer,
        valid_answers(task, candidate.split),
        task.answer.schema_ if isinstance(task.answer, JsonAnswer) else None,
    )


def answer_room(renderer: PromptRenderer, split: Sequence[Example]) -> int:
    """Tokens that a generated answer may have, where the task does not say."""
    answers = {item.answer for item in split}
    longest = max(len(renderer.encode_answer(answer)) for answer in answers)
    return room_for(longest)
