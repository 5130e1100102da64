"""Score the candidate on everything that its trial asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.answers.reasoning import MARK
from harness.answers.thoughts import without_thought
from harness.data import read_examples_file
from harness.errors import CanaryError
from harness.evaluation.brought_metrics import BroughtMetrics
from harness.evaluation.known_replies import KnownReplies, read_replies
from harness.evaluation.memorisation import completed_text
from harness.evaluation.suites.find import Suite, build_general_task, load_suite
from harness.measures import JudgeMetric
from harness.prompting.encoding import TextEncoder
from harness.records import (
    Canaries,
    Example,
    Reply,
    ScoreRecord,
    ScoreRequest,
    TrialSpec,
)
from harness.spec import TaskSpec
from harness.trial.candidate import (
    CANARY_PROMPTS,
    Announce,
    Candidate,
    Marker,
    TrialRun,
    context_of,
    reply_constraint,
)
from harness.trial.choosing import chosen_by, keep_best_way
from harness.trial.domain import domain_task_of
from harness.trial.early_stopping import ItemWatch

if TYPE_CHECKING:
    from harness.evaluation.local.candidate_lm import CandidateLM

# Name of the note on how many layers multiplied by packed copies, which the free memory decides.
PACKED = "packed_layers"


def score_all(candidate: Candidate, run: TrialRun, announce: Announce) -> None:
    from harness.models.packed_weights import packed_weights

    spec = candidate.spec
    loaded = candidate.loaded
    own = candidate_lm(candidate)
    lm = KnownReplies(own, known_replies(spec))
    known = run.canaries or Canaries(None, None, prompt_tokens_equal=True)
    equal = all(
        tuple(own.tok_encode(candidate.renderer.prompt(item)))
        == candidate.renderer.encode_prompt(item)
        for item in candidate.pool[:CANARY_PROMPTS]
    )
    run.canaries = replace(known, prompt_tokens_equal=equal)
    if not equal:
        raise CanaryError("training and scoring tokenise the same prompt differently")
    try:
        with packed_weights(loaded.model, spec.runtime.memory_share, loaded.packed) as packed:
            run.environment[PACKED] = str(packed)
            score_requests(candidate, run, announce, lm)
    finally:
        run.replies.extend(lm.fresh)


def candidate_lm(candidate: Candidate) -> CandidateLM:
    """The lm-eval model that answers as the candidate."""
    from harness.evaluation.local.candidate_lm import CandidateLM

    loaded, spec = candidate.loaded, candidate.spec
    size = spec.runtime.score_batch_size
    return CandidateLM(loaded.model, loaded.tokenizer, size, spec.date, spec.template_args)


def unknown_scores(spec: TrialSpec) -> list[ScoreRequest]:
    """What is asked for and not in the store."""
    return [request for request in spec.scores if request.key not in spec.known_scores]


def known_replies(spec: TrialSpec) -> list[Reply]:
    """Replies of earlier trials to what this one asks."""
    return read_replies(Path(spec.replies_path)) if spec.replies_path else []


def score_requests(
    candidate: Candidate, run: TrialRun, announce: Announce, lm: KnownReplies
) -> None:
    """Score what is asked for and not known, by an lm-eval model."""
    spec = candidate.spec
    asked = unknown_scores(spec)
    constraints = {
        way: reply_constraint(
            candidate.renderer, candidate.loaded.tokenizer, candidate.task, candidate.split, way
        )
        for way in {request.answering or spec.answering for request in asked}
    }
    suite_at = cache(load_suite)
    for request in asked:
        lm.asked = request.asked
        lm.listen(partial(announce, "score", task=request.task))
        constraint = constraints[request.answering or spec.answering]
        record = _score(candidate, request, lm, constraint, suite_at)
        run.scores.append(replace(record, work=record.work + lm.work))
        if lm.cut:
            run.environment[f"cut_{request.task}"] = (
                f"{len(lm.cut)} prompts of {request.task} are longer than the "
                f"{lm.max_length:,} tokens that the model reads; the base and every arm were "
                "asked by their last ones, as lm-eval does"
            )
        run.environment |= replies_without_answer(
            candidate.task,
            spec.arm,
            record,
            reasons=bool(candidate.renderer.answer_mark),
        )


def judge_scores(spec: TrialSpec, run: TrialRun) -> None:
    """Have judges mark what was replied; of several ways of answering, keep the best."""
    request_of = {request.key: request for request in spec.scores}
    run.scores = run.marked([(record, request_of[record.key]) for record in run.scores])
    if spec.ways:
        keep_best_way(spec, run)


def score_on_validation(candidate: Candidate, announce: Announce, marked: Marker) -> float | None:
    """The primary metric on validation with the candidate's weights as they are now.

    It is not kept as a score of the trial. None where the trial asks for no such score.
    """
    from harness.models.packed_weights import packed_weights

    spec, loaded = candidate.spec, candidate.loaded
    asked = [one for one in spec.scores if (one.suite, one.split) == ("domain", "validation")]
    if not asked:
        return None
    with packed_weights(loaded.model, spec.runtime.memory_share, loaded.packed):
        return _score_now(candidate, asked[0], announce, marked)


def score_of_check(candidate: Candidate, announce: Announce, marked: Marker) -> float:
    """The primary metric on the rows of the validation loss, in the midst of a training.

    Weights are used as they are: a packed copy would be of those of an earlier step.
    """
    spec = candidate.spec
    rows = ScoreRequest("", "domain_validation", "domain", "validation", spec.validation_path)
    value = _score_now(candidate, rows, announce, marked)
    return math.nan if value is None else value


def _score_now(
    candidate: Candidate, request: ScoreRequest, announce: Announce, marked: Marker
) -> float | None:
    spec, loaded = candidate.spec, candidate.loaded
    lm = candidate_lm(candidate)
    lm.on_progress = partial(announce, "score", task=request.task)
    constraint = reply_constraint(
        candidate.renderer, loaded.tokenizer, candidate.task, candidate.split, spec.answering
    )
    record = _score(candidate, replace(request, wave=None), lm, constraint, load_suite)
    primary = candidate.task.metrics[0]
    if isinstance(primary, JudgeMetric):
        # Other judges' marks decide nothing here, and are not kept.
        (record,) = marked([(record, request)], only=primary.judge)
    return chosen_by(record, candidate.task.primary)


def _score(
    candidate: Candidate,
    request: ScoreRequest,
    lm: Any,
    constraint: Any,
    suite_at: Callable[[Path], Suite],
) -> ScoreRecord:
    from harness.evaluation.latency import WARM_UP_TOKENS, time_requests, timed_again
    from harness.evaluation.memorisation import build_memorisation_task
    from harness.evaluation.score import score_task

    form = candidate.loaded.form
    if request.suite == "divergence":
        return candidate.base[request.key].compare(candidate.loaded.model, form)
    if request.suite == "general":
        suite = suite_at(Path(request.suite_path))
        entry = suite.task(request.task)
        general = build_general_task(
            suite, request.task, request.limit, skip=request.skip, half=request.half
        )
        # A model without a chat template is asked in plain text, as it is for the user's task.
        chat = entry.chat and candidate.loaded.tokenizer.chat_template is not None
        return score_task(
            lm, general, request, form, chat=chat, chance=entry.chance, counted=entry.filter
        )
    task = candidate.task
    items = read_examples_file(Path(request.items_path))
    if request.suite == "memorisation":
        items = _readable(candidate, items)
        return score_task(lm, build_memorisation_task(request.task, task, items), request, form)
    if request.suite == "latency":
        items = tuple(timed_again(items, request.limit))
        domain = _domain(candidate, request, constraint, items)
        with lm.kept_to(constraint):
            return time_requests(lm, domain, request, form, WARM_UP_TOKENS)
    watch = ItemWatch(candidate.spec.pruning, len(items), higher_is_better=task.higher_is_better)
    return score_items(candidate, request, lm, constraint, items, watch)


def score_items(
    candidate: Candidate,
    request: ScoreRequest,
    lm: Any,
    constraint: Any,
    items: Sequence[Example],
    watch: ItemWatch | None = None,
) -> ScoreRecord:
    """The user's task on some items, as the candidate is asked it.

    Args:
        constraint: what replies are kept to; None where they are free.
        watch: as :func:`harness.evaluation.score.score_task` takes it.
    """
    from harness.evaluation.score import score_task

    renderer, brought = candidate.renderer, BroughtMetrics(candidate.task, items)
    with lm.kept_to(constraint):
        return score_task(
            lm,
            _domain(candidate, request, constraint, items, brought),
            request,
            candidate.loaded.form,
            answer_end=renderer.end,
            answer_lead=renderer.lead,
            watch=watch,
            brought=brought,
            as_kept=renderer.as_kept,
        )


def _domain(
    candidate: Candidate,
    request: ScoreRequest,
    constraint: Any,
    items: Sequence[Example],
    brought: BroughtMetrics | None = None,
) -> Any:
    answering = request.answering or candidate.spec.answering
    return domain_task_of(candidate, request.task, items, answering, constraint, brought)


def replies_without_answer(
    task: TaskSpec,
    arm: str,
    record: ScoreRecord,
    *,
    reasons: bool = False,
) -> dict[str, str]:
    """Notes for the reader where replies to the user's task hold no answer that could be read.

    They ended within a thought, or nothing could be extracted from them.

    Args:
        reasons: the model was asked to think before an answer that a mark precedes.
    """
    if record.suite not in ("domain", "out_of_domain"):
        return {}
    replies = [output.output for output in record.outputs]
    whole = [reply for reply in replies if not without_thought(reply).unfinished]
    cut = len(replies) - len(whole)
    without = sum(task.answer.found_in(reply) is None for reply in whole)
    notes, place = {}, f"{record.task}_{record.split}"
    of_all = f"of {len(replies)} replies of {arm} to {record.task} ({record.split})"
    if cut:
        notes[f"cut_thoughts_{place}"] = (
            f"{cut} {of_all} reason without coming to `{MARK}`, and count as no answer; raise "
            f"arms.{arm}.reasoning_tokens, or have it reason in brief or not at all"
            if reasons
            else f"{cut} {of_all} ended within a thought, and count as no answer; raise "
            "task.max_new_tokens"
        )
    if without and task.answer.extract is not None:
        notes[f"cut_extract_{place}"] = (
            f"{without} {of_all} have nothing {task.answer.extract.place}, and count as no answer"
        )
    return notes


def _readable(candidate: Candidate, items: tuple[Example, ...]) -> tuple[Example, ...]:
    """The items whose text the model can read whole, given and completed."""
    context = context_of(candidate)
    if context is None:
        return items
    encode = TextEncoder(candidate.loaded.tokenizer)
    return tuple(
        item for item in items if len(encode(completed_text(candidate.task, item))) <= context
    )
