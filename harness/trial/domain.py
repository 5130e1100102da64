"""The user's task on some items as a candidate is asked it: prompts, room, way of answering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import TrialError
from harness.evaluation.brought_metrics import BroughtMetrics
from harness.prompting.encoding import TextEncoder
from harness.records import Example
from harness.trial.candidate import Candidate, context_of, reply_room


def domain_task_of(
    candidate: Candidate,
    name: str,
    items: Sequence[Example],
    answering: str,
    constraint: Any,
    brought: BroughtMetrics | None = None,
) -> Any:
    """The task as an lm-eval task.

    Args:
        constraint: what replies are kept to; None where they are free.
        brought: metrics that the user brings, for ``items``; made anew if not given.

    Raises:
        TrialError: kind ``length``: a prompt leaves no room for its answer.
    """
    from harness.evaluation.domain_task import build_domain_task

    task, renderer = candidate.task, candidate.renderer
    answers = task.answer.valid_answers(candidate.split)
    room = reply_room(renderer, task, candidate.split, answering, constraint)
    prompts = {item.id: renderer.prompt(item) for item in items}
    _check_lengths(candidate, prompts, room)
    return build_domain_task(
        name,
        task,
        items,
        lambda item: prompts[item.id],
        end=renderer.end,
        max_new_tokens=room,
        stops=renderer.stops,
        labels=task.answer.known_from(candidate.split),
        choices=(
            {answer: renderer.reply(answer) for answer in answers or ()}
            if answering == "choice"
            else None
        ),
        brought=brought,
        as_kept=renderer.as_kept,
    )


def _check_lengths(candidate: Candidate, prompts: Mapping[str, str], room: int) -> None:
    """See that every prompt leaves room for its answer: none is cut.

    Args:
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
