"""Forecast of judges: what they are asked, counted from texts; none of them is asked here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean

from harness.data import read_examples_file
from harness.evaluation.judge_prompt import Case, example_of, judges_task
from harness.evaluation.judging import DATE
from harness.forecast.cost_model import FORWARD, WRITTEN
from harness.forecast.estimate import Estimate, either, summed
from harness.forecast.findings import JudgeForecast
from harness.forecast.measured import Measured
from harness.forecast.memory import MIB
from harness.forecast.score_load import tokenizer_of
from harness.forecast.served import MILLION, REPLY_SECONDS, TOKENIZERS
from harness.forecast.upcoming import Upcoming
from harness.measures import JudgeMetric
from harness.measures.judge import PLEAS, TARGET
from harness.models.memory import parameters_of
from harness.prompting import PromptRenderer
from harness.prompting.render import shown_text
from harness.prompting.servers_tokenizer import ServersTokenizer
from harness.records import Seat, TrialSpec
from harness.spec.settings import TrainedSettings, settings_from
from harness.study.plan import Plan

# Test items whose prompts stand for all.
SAMPLE = 32
# Tokens of a mark in its JSON object.
MARK_TOKENS = 8


def judge_forecasts(
    plan: Plan, upcoming: Sequence[Upcoming], measured: Sequence[Measured] = ()
) -> tuple[JudgeForecast, ...]:
    """What each judge is asked by the trials that are left.

    Equal replies are marked once, and which will be equal is not known: the low end is nothing.

    Args:
        measured: small trials, by whose speed that of a local judge is told.
    """
    seats = {seat.name: seat for trials in upcoming for seat in trials.options[0].judges}

    def of_all(count: Callable[[TrialSpec], Estimate]) -> Estimate:
        marks = summed(either(map(count, trials.options)) * trials.times for trials in upcoming)
        return Estimate(marks.expected, 0.0, marks.high)

    marks, task = of_all(_marks), plan.experiment.task
    # The one that decides is asked at every check of a training, too.
    of_primary = marks + of_all(marks_of_checks)
    return tuple(
        _forecast(
            plan,
            metric,
            seats[metric.judge],
            (of_primary if metric is task.metrics[0] else marks) * (2 if metric.pairwise else 1),
            measured,
        )
        for metric in task.judged
        if metric.judge in seats
    )


def _forecast(
    plan: Plan, metric: JudgeMetric, seat: Seat, marks: Estimate, measured: Sequence[Measured]
) -> JudgeForecast:
    prompt = marks * _prompt_tokens(plan, metric, seat)
    if seat.endpoint is None:
        least, seconds = 0.0, None
        if seat.model is not None:
            parameters = parameters_of(seat.model.path)
            least = parameters * (4 if plan.runtime.dtype == "float32" else 2) / MIB
            if price := _reading_price(measured):
                seconds = prompt * (price * parameters)
        return JudgeForecast(seat.name, metric.by, marks, prompt, seconds, least_mib=least)
    endpoint = seat.endpoint
    reply = marks * Estimate(MARK_TOKENS, MARK_TOKENS / 2, seat.max_new_tokens)
    money = prompt * (endpoint.prompt_price / MILLION) + reply * (
        endpoint.completion_price / MILLION
    )
    seconds = marks * REPLY_SECONDS * (1 / endpoint.concurrency)
    return JudgeForecast(
        seat.name, metric.by, marks, prompt + reply, seconds, money, endpoint.spending_cap
    )


def _reading_price(measured: Sequence[Measured]) -> Estimate | None:
    """Seconds of a token that is read and a weight of the model; None where nothing tells.

    A judge computes no more than a pass over each prompt, so that what small trials took for a
    token is much for it where they wrote replies, and little where prompts shared a beginning.
    """
    prices = []
    for small in measured:
        for sample in small.samples:
            tokens = sample.work.read + WRITTEN / FORWARD * sample.work.written
            if sample.activity.measure == "score" and tokens and small.total_parameters:
                prices.append(sample.seconds / (tokens * small.total_parameters))
    return Estimate.among(prices) if prices else None


def _marks(spec: TrialSpec) -> Estimate:
    """Number of replies of the trial that are judged, with those that are tried with a plea."""
    count = 0
    for request in spec.scores:
        if request.key in spec.known_scores or request.suite not in ("domain", "out_of_domain"):
            continue
        items = _items(request.items_path)
        probed = (request.suite, request.split) == ("domain", "test")
        count += items + (min(items, PLEAS) if probed else 0)
    return Estimate.exactly(count)


def marks_of_checks(spec: TrialSpec) -> Estimate:
    """Number of replies that are judged while the trial trains; none where weights are there."""
    settings = settings_from(spec.params)
    if not isinstance(settings, TrainedSettings) or not settings.scores_checks:
        return Estimate.exactly(0)
    if spec.trained_path or not spec.validation_path:
        return Estimate.exactly(0)
    pool = _items(spec.train_path)
    steps = math.ceil(min(pool, spec.train_items or pool) / settings.batch_size)
    checks = min(spec.checks_per_epoch, steps) * settings.epochs
    return Estimate.exactly(_items(spec.validation_path) * checks)


@cache
def _items(path: str) -> int:
    return len(read_examples_file(Path(path)))


def _prompt_tokens(plan: Plan, metric: JudgeMetric, seat: Seat) -> Estimate:
    """Mean tokens of what a judge is asked, if replies are as long as right answers."""
    tokenizer = tokenizer_of(seat.model or plan.model)
    task = judges_task(metric, as_json=seat.endpoint is not None)
    renderer = PromptRenderer(ServersTokenizer() if seat.endpoint else tokenizer, task, date=DATE)
    lengths = []
    for item in plan.prepared.splits.test[:SAMPLE]:
        text = shown_text(plan.experiment.task, item)
        target = item.answer if metric.shows_target and metric.pairwise != TARGET else None
        # What a pair compares with is taken to be as long as a right answer.
        other = None if metric.pairwise is None else item.answer
        case = Case(text, item.answer, target, other)
        turns = renderer.messages(example_of(case))
        asked = "\n".join(turn["content"] for turn in turns)
        lengths.append(len(tokenizer(asked, add_special_tokens=False)["input_ids"]))
    return Estimate.exactly(fmean(lengths)).widened(TOKENIZERS)


__all__ = ["judge_forecasts"]
