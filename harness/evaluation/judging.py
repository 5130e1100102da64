"""Ask a judge for marks: through lm-eval's requests, as everything else is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import SpecError
from harness.evaluation.judge_prompt import (
    Case,
    answers_of,
    example_of,
    judges_task,
    read_answer,
    reply_form,
    worths_of,
)
from harness.measures import JudgeMetric, UnscoredError
from harness.prompting import PromptRenderer
from harness.records import JsonValue

# The day that a judge's chat template is told: the same content is the same request on any.
DATE = "2026-01-01"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a judge made of a reply."""

    value: float
    """The mark; NaN where there is none."""
    why: str = ""
    """Why there is none."""


def likely_marks(
    lm: Any,
    tokenizer: Any,
    metric: JudgeMetric,
    cases: Sequence[Case],
    template_args: Mapping[str, JsonValue] | None = None,
) -> list[Mark]:
    """The expected mark of each case: every answer is weighed by its likelihood as the reply.

    Args:
        lm: :class:`~harness.evaluation.local.candidate_lm.CandidateLM`, or what asks it only for
            what is not known.
        template_args: what the judge's chat template is told beside the messages.
    """
    from harness.evaluation.local.answer_likelihood import likelihoods

    renderer = judges_renderer(tokenizer, metric, template_args)
    replies = [renderer.reply(answer) for answer in answers_of(metric)]
    room = max(len(renderer.encode_answer(answer)) for answer in answers_of(metric))
    prompts: dict[Case, str] = {}
    marks: dict[Case, Mark] = {}
    for case in dict.fromkeys(cases):
        try:
            prompt = renderer.prompt(example_of(case))
        except SpecError as refusal:
            marks[case] = Mark(math.nan, str(refusal))
            continue
        length = lm.count_tokens(prompt, "")[0] + room
        if length > lm.longest:
            marks[case] = Mark(
                math.nan,
                f"the judge reads {lm.longest:,} tokens, and would be shown {length:,}; take one "
                "that reads more",
            )
        else:
            prompts[case] = prompt
    pairs = [(prompt, reply) for prompt in prompts.values() for reply in replies]
    found = likelihoods(lm, pairs) if pairs else []
    for place, case in enumerate(prompts):
        own = found[place * len(replies) : (place + 1) * len(replies)]
        marks[case] = Mark(_expected(worths_of(metric, case), own))
    return [marks[case] for case in cases]


def judges_renderer(
    tokenizer: Any, metric: JudgeMetric, template_args: Mapping[str, JsonValue] | None = None
) -> PromptRenderer:
    """What writes the prompts of a local judge.

    Raises:
        SpecError: its chat template cannot write them, or reads no such arguments.
    """
    task = judges_task(metric, as_json=False)
    return PromptRenderer(tokenizer, task, date=DATE, template_args=template_args)


def _expected(worths: Sequence[float], likelihoods: Sequence[float]) -> float:
    """Mean of what answers are worth, weighed by likelihoods in nats."""
    most = max(likelihoods)
    weights = [math.exp(value - most) for value in likelihoods]
    mean = math.fsum(map(math.prod, zip(weights, worths, strict=True))) / math.fsum(weights)
    return min(max(mean, min(worths)), max(worths))


def replied_marks(
    lm: Any, tokenizer: Any, metric: JudgeMetric, cases: Sequence[Case], max_new_tokens: int
) -> list[Mark]:
    """The mark that a server gives each case; what cannot be read is none.

    Args:
        lm: :class:`~harness.evaluation.endpoint.endpoint_lm.EndpointLM`, or what asks it only for
            what is not known.
        tokenizer: what stands in for the server's.
    """
    from lm_eval.api.instance import Instance

    from harness.evaluation.endpoint.endpoint_lm import as_context

    renderer = PromptRenderer(tokenizer, judges_task(metric, as_json=True), date=DATE)
    options = {
        "until": [],
        "max_gen_toks": max_new_tokens,
        "do_sample": False,
        "response_format": reply_form(metric),
    }
    once = list(dict.fromkeys(cases))
    requests = [
        Instance(
            "generate_until", {}, (as_context(renderer.messages(example_of(case))), options), place
        )
        for place, case in enumerate(once)
    ]
    replies = lm.generate_until(requests) if requests else []
    marks = {case: _read(reply, metric, case) for case, reply in zip(once, replies, strict=True)}
    return [marks[case] for case in cases]


def _read(reply: str, metric: JudgeMetric, case: Case) -> Mark:
    worths = dict(zip(answers_of(metric), worths_of(metric, case), strict=True))
    try:
        return Mark(worths[read_answer(reply, metric)])
    except UnscoredError as error:
        return Mark(math.nan, str(error))


__all__ = ["Mark", "judges_renderer", "likely_marks", "replied_marks"]
