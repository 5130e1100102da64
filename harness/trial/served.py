"""The branch of a trial that asks a server: no weights are loaded, nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.data import read_examples_file
from harness.errors import TrialError
from harness.prompting import PromptRenderer
from harness.records import Example, ScoreRecord, ScoreRequest, TrialSpec
from harness.spec import TaskSpec
from harness.trial.candidate import Announce, Pruned, TrialRun, make_renderer
from harness.trial.early_stopping import ItemWatch
from harness.trial.scoring import unfinished_thoughts

FORM = "endpoint"
# Beyond the longest training answer: room for a code fence or a preface.
PREFACE_TOKENS = 12


@dataclass(frozen=True, slots=True)
class ServersTokenizer:
    """Stands in for the tokenizer that the server keeps: a renderer then makes messages only."""

    chat_template: None = None
    eos_token: None = None
    bos_token: None = None
    # Which its control tokens are is the server's matter, as is keeping texts from being obeyed.
    added_tokens_decoder: Mapping[int, Any] = field(default_factory=dict)


def score_served(spec: TrialSpec, run: TrialRun, announce: Announce) -> None:
    """Score a trial's endpoint on everything that the trial asks for.

    Canaries stay None: there is no training, and no tokenising on this side.

    Raises:
        TrialError: kind ``endpoint``, ``key``, ``spending_cap`` or ``ledger``.
        Pruned: the trial is hopeless.
    """
    from harness.evaluation.endpoint_lm import EndpointLM

    if spec.endpoint is None:
        raise TrialError("error", "the trial names no endpoint")
    task = TaskSpec.model_validate(spec.task)
    split = read_examples_file(Path(spec.train_path))
    renderer = make_renderer(spec, task, split[: spec.train_items], ServersTokenizer())
    lm = EndpointLM(spec.endpoint, spec.trial_id)
    try:
        for request in spec.scores:
            if request.key in spec.known_scores:
                continue
            lm.on_progress = partial(announce, "score", task=request.task)
            record = _score(spec, task, split, renderer, request, lm)
            run.scores.append(record)
            run.environment |= unfinished_thoughts(spec.arm, record)
        lm.ended()
    except Pruned:
        lm.ended()
        raise
    finally:
        run.environment.update(lm.notes())


def answer_room(split: Sequence[Example]) -> int:
    """Tokens that an answer may have, where the task does not say.

    The server's tokens are not known, so each byte of the longest training answer may be one.
    """
    return max(len(item.answer.encode()) for item in split) + PREFACE_TOKENS


def _score(
    spec: TrialSpec,
    task: TaskSpec,
    split: Sequence[Example],
    renderer: PromptRenderer,
    request: ScoreRequest,
    lm: Any,
) -> ScoreRecord:
    from harness.evaluation.domain_task import build_domain_task, valid_answers
    from harness.evaluation.endpoint_lm import as_context
    from harness.evaluation.score import score_task

    if request.suite not in ("domain", "out_of_domain"):
        raise TrialError("error", f"an endpoint cannot be scored on a {request.suite} task")
    items = read_examples_file(Path(request.items_path))
    domain = build_domain_task(
        request.task,
        task,
        items,
        lambda item: as_context(renderer.messages(item)),
        end="",
        max_new_tokens=task.max_new_tokens or answer_room(split),
        labels=valid_answers(task, split) or (),
    )
    record = score_task(
        lm,
        domain,
        request,
        FORM,
        measure_latency=request.suite == "domain" and request.split == "test",
        watch=ItemWatch(spec.pruning, len(items)),
    )
    if all(output.prompt_tokens for output in record.outputs):
        return record
    # A mean over those replies that happen to have a count would be no mean of all requests.
    outputs = (replace(o, prompt_tokens=0, completion_tokens=0) for o in record.outputs)
    return replace(record, outputs=tuple(outputs))
