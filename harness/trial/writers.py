"""The models that write instructions: the one that answers itself, another, or a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.errors import TrialError
from harness.evaluation.one_request import replied
from harness.prompting import PromptRenderer
from harness.prompting.servers_tokenizer import ServersTokenizer
from harness.records import Example, Seat, TrialSpec, WritingTask, content_hash
from harness.spec import PromptArm, TaskSpec
from harness.trial.candidate import TrialRun
from harness.trial.writing_journal import Asking, asking_kept, estimated
from harness.writing.reflection import Write, Written
from harness.writing.rows import UnusableError

if TYPE_CHECKING:
    from harness.models.base_cache import BaseCache

# A reply that has room for less could hold no instruction.
LEAST_ROOM = 64
# What would meet every further request, too.
_FINAL = ("spending_cap", "key", "ledger")
_WRITERS_TASK = TaskSpec.model_validate(
    {
        "instruction": "You improve the instructions of other models.",
        "template": "{request}",
        "answer": {"kind": "text", "column": "answer"},
    }
)


@contextmanager
def writer_of(
    spec: TrialSpec, task: WritingTask, asking: Asking, bases: BaseCache, run: TrialRun
) -> Iterator[Write]:
    """What asks a model that writes other than the one that answers."""
    seat = task.reflector
    if seat is None:
        raise TrialError("error", "the trial does not say who writes")
    if seat.endpoint is not None:
        with _served_writer(seat, task, spec, asking, run) as write:
            yield write
        return
    if seat.model is None:
        raise TrialError("error", f"{seat.name} has neither a model nor a server")
    from harness.evaluation.local.candidate_lm import CandidateLM
    from harness.models.packed_weights import packed_weights

    runtime, kept = spec.runtime, bases.mib
    with bases.lent(seat.model, runtime, PromptArm(kind="prompt").resolve({})) as loaded:
        # It lies where bases do, and is none of what the trial itself needs.
        run.kept_mib += max(0.0, bases.mib - kept)
        lm = CandidateLM(
            loaded.model, loaded.tokenizer, runtime.score_batch_size, spec.date, seat.template_args
        )
        with packed_weights(loaded.model, runtime.memory_share, loaded.packed):
            yield local_writer(asking, lm, loaded.tokenizer, task, spec)


def local_writer(
    asking: Asking, own: Any, tokenizer: Any, task: WritingTask, spec: TrialSpec
) -> Write:
    lm = asking.knowing(own, task.asked_writer)
    args = task.reflector.template_args if task.reflector else spec.template_args
    renderer = PromptRenderer(tokenizer, _WRITERS_TASK, date=spec.date, template_args=args)

    def write(request: str) -> Written:
        prompt = renderer.prompt(_as_item(request))
        length = own.count_tokens(prompt, "")[0]
        room = min(task.max_new_tokens, own.longest - length)
        if room < LEAST_ROOM:
            raise UnusableError(
                f"the model that writes reads {own.longest:,} tokens, and would be told {length:,}"
            )
        with asking_kept(asking, lm):
            reply = replied(lm, prompt, stops=renderer.stops, max_new_tokens=room)
        return Written(reply, sum(own.count_tokens(prompt, reply)))

    return write


@contextmanager
def _served_writer(
    seat: Seat, task: WritingTask, spec: TrialSpec, asking: Asking, run: TrialRun
) -> Iterator[Write]:
    from harness.evaluation.endpoint.endpoint_lm import EndpointLM, as_context

    renderer = PromptRenderer(ServersTokenizer(), _WRITERS_TASK)
    endpoint = seat.endpoint
    if endpoint is None:
        raise TrialError("error", f"{seat.name} has no server")
    name = f"{spec.trial_id}-writer"
    server = EndpointLM(endpoint, name)

    def write(request: str) -> Written:
        nonlocal server
        chat = as_context(renderer.messages(_as_item(request)))
        asked = content_hash([task.asked_writer, chat])
        if why := asking.journal.failed(asked):
            raise UnusableError(why)
        lm = asking.knowing(server, task.asked_writer)
        try:
            with asking_kept(asking, lm):
                reply = replied(lm, chat, stops=(), max_new_tokens=task.max_new_tokens)
        except TrialError as error:
            if error.kind in _FINAL:
                raise UnusableError(str(error), final=True) from error
            asking.journal.keep_failure(asked, str(error))
            # One that failed sends nothing more.
            server = EndpointLM(endpoint, name)
            raise UnusableError(str(error)) from error
        return Written(reply, sum(server.count_tokens(chat, reply)) or estimated(chat + reply))

    try:
        yield write
        server.ended()
    finally:
        if run.writing is not None:
            run.writing = replace(run.writing, money=run.writing.money + server.spent())
        run.environment |= {f"writer_{key}": note for key, note in server.notes().items()}


def _as_item(request: str) -> Example:
    return Example("request", {"request": request}, "", "request")


__all__ = ["local_writer", "writer_of"]
