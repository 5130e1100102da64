"""The branch of a trial that asks a server: no weights are loaded, nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.data import read_examples_file
from harness.errors import TrialError
from harness.evaluation.brought_metrics import BroughtMetrics
from harness.evaluation.known_replies import KnownReplies
from harness.prompting import PromptRenderer
from harness.prompting.servers_tokenizer import ServersTokenizer
from harness.records import Example, ScoreRecord, ScoreRequest, TrialSpec
from harness.spec import TaskSpec
from harness.trial.candidate import Announce, Pruned, TrialRun, make_renderer
from harness.trial.early_stopping import ItemWatch
from harness.trial.scoring import known_replies, replies_without_answer

FORM = "endpoint"
# Beyond the longest training answer: room for a code fence or a preface.
PREFACE_TOKENS = 12


def score_served(spec: TrialSpec, run: TrialRun, announce: Announce) -> None:
    """Score a trial's endpoint on everything that the trial asks for.

    Canaries stay None: there is no training, and no tokenising on this side.

    Raises:
        TrialError: kind ``endpoint``, ``key``, ``spending_cap`` or ``ledger``.
        Pruned: the trial is hopeless.
    """
    from harness.evaluation.endpoint.endpoint_lm import EndpointLM

    if spec.endpoint is None:
        raise TrialError("error", "the trial names no endpoint")
    task = TaskSpec.model_validate(spec.task)
    split = read_examples_file(Path(spec.train_path))
    renderer = make_renderer(spec, task, split[: spec.train_items], ServersTokenizer())
    server = EndpointLM(spec.endpoint, spec.trial_id)
    lm = KnownReplies(server, known_replies(spec))
    try:
        for request in spec.scores:
            if request.key in spec.known_scores:
                continue
            lm.asked = request.asked
            server.on_progress = partial(announce, "score", task=request.task)
            record = _score(spec, task, split, renderer, request, lm)
            run.scores.append(record)
            run.environment |= replies_without_answer(
                task, spec.arm, record, reasons=bool(renderer.answer_mark)
            )
        server.ended()
    except Pruned:
        server.ended()
        raise
    finally:
        run.replies.extend(lm.fresh)
        run.environment.update(server.notes())


def answer_room(split: Sequence[Example]) -> int:
    """Tokens that an answer may have, where the task does not say.

    The server's tokens are not known, so each byte of the longest training answer may be one.
    """
    return max(len(item.answer.encode()) for item in split) + PREFACE_TOKENS


def served_task(
    task: TaskSpec,
    split: Sequence[Example],
    renderer: PromptRenderer,
    name: str,
    items: Sequence[Example],
    brought: BroughtMetrics | None = None,
) -> Any:
    """The user's task on some items as an lm-eval task whose prompts are chats.

    Args:
        split: the whole training split.
        brought: metrics that the user brings, for ``items``; made anew if not given.
    """
    from harness.evaluation.domain_task import build_domain_task
    from harness.evaluation.endpoint.endpoint_lm import as_context

    return build_domain_task(
        name,
        task,
        items,
        lambda item: as_context(renderer.messages(item), renderer.tools.sent_with(item)),
        end="",
        max_new_tokens=(task.max_new_tokens or answer_room(split)) + renderer.reasoning_room,
        labels=task.answer.known_from(split),
        brought=brought,
        as_kept=renderer.as_kept,
    )


def _score(
    spec: TrialSpec,
    task: TaskSpec,
    split: Sequence[Example],
    renderer: PromptRenderer,
    request: ScoreRequest,
    lm: Any,
) -> ScoreRecord:
    from harness.evaluation.latency import time_requests, timed_again

    if request.suite not in ("domain", "out_of_domain", "latency"):
        raise TrialError("error", f"an endpoint cannot be scored on a {request.suite} task")
    items = read_examples_file(Path(request.items_path))
    if request.suite == "latency":
        items = tuple(timed_again(items, request.limit))
        domain = served_task(task, split, renderer, request.task, items)
        return time_requests(lm, domain, request, FORM)
    watch = ItemWatch(spec.pruning, len(items), higher_is_better=task.higher_is_better)
    return score_served_items(task, split, renderer, request, lm, items, watch)


def score_served_items(
    task: TaskSpec,
    split: Sequence[Example],
    renderer: PromptRenderer,
    request: ScoreRequest,
    lm: Any,
    items: Sequence[Example],
    watch: ItemWatch | None = None,
) -> ScoreRecord:
    """The user's task on some items, as a server is asked it.

    Args:
        split: the whole training split.
        watch: as :func:`harness.evaluation.score.score_task` takes it.
    """
    from harness.evaluation.score import score_task

    brought = BroughtMetrics(task, items)
    domain = served_task(task, split, renderer, request.task, items, brought)
    record = score_task(
        lm,
        domain,
        request,
        FORM,
        watch=watch,
        brought=brought,
        as_kept=renderer.as_kept,
    )
    if all(output.prompt_tokens for output in record.outputs):
        return record
    # A mean over those replies that happen to have a count would be no mean of all requests.
    outputs = (replace(o, prompt_tokens=0, completion_tokens=0) for o in record.outputs)
    return replace(record, outputs=tuple(outputs))
