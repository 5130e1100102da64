"""Run lm-eval tasks on a candidate and keep every item."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from harness.answers.metrics import CONFIDENCE
from harness.evaluation.brought_metrics import BroughtMetrics
from harness.evaluation.score_batches import ScoreBatches, Watch
from harness.evaluation.suites.find import item_identity
from harness.records import ItemOutput, ItemScore, ScoreRecord, ScoreRequest


class Scored(Protocol):
    """An lm-eval model, with what scoring asks of it besides answers."""

    def count_tokens(self, prompt: str, reply: str) -> tuple[int, int]:
        """Tokens of a prompt and of its reply."""
        ...


def score_task(
    lm: Scored,
    task: Any,
    request: ScoreRequest,
    form: str,
    *,
    chat: bool = False,
    chance: float | None = None,
    answer_end: str = "",
    answer_lead: str = "",
    watch: Watch | None = None,
    counted: str | None = None,
    brought: BroughtMetrics | None = None,
    as_kept: Callable[[str], str] = str,
) -> ScoreRecord:
    """Score every item of one lm-eval task.

    Args:
        answer_end, answer_lead: texts after a chosen answer and before any, not shown in its
            output.
        watch: is told of every batch where the request asks for batches; may raise to stop.
        counted: the filter whose answers count; the task's first if not given.
        brought: metrics that the user brings, as the task was built with them.
        as_kept: brings a reply into the notation in which it is kept, so that whoever reads it
            later finds the answer without the tokenizer.

    Raises:
        ValueError: lm-eval returned two scores for one item under one filter and metric.
    """
    from lm_eval.evaluator import evaluate

    name = str(task.config.task)
    began = time.perf_counter()
    asked: Any = lm
    if request.wave is not None:
        unwatched: Watch = lambda wave: None  # noqa: E731
        asked = ScoreBatches(lm, task, primary_metric(task), request.wave, watch or unwatched)
    results = evaluate(
        asked,
        {"tasks": {name: task}, "groups": {}, "group_map": {}},
        log_samples=True,
        bootstrap_iters=0,
        apply_chat_template=chat,
        # As lm-eval's command line: worked examples of a chat are turns of their own.
        fewshot_as_multiturn=chat,
    )
    seconds = time.perf_counter() - began
    outputs: dict[str, ItemOutput] = {}
    scores: dict[tuple[str, str, str], ItemScore] = {}
    met: Counter[tuple[str, str]] = Counter()
    own = frozenset[str]() if brought is None else brought.names
    # The filter that counts comes first, which ranks it so, and says what a reply was taken for.
    for sample in sorted(results["samples"][name], key=lambda sample: sample["filter"] != counted):
        key = str(sample["doc_hash"])
        if request.suite == "general":
            # Some benchmarks hold an item twice. Its order is that of the data, for all candidates.
            met[key, str(sample["filter"])] += 1
            times = met[key, str(sample["filter"])]
            key = key if times == 1 else f"{key}-{times}"
        if key not in outputs:
            output = _output(lm, key, sample, request, answer_lead, answer_end)
            outputs[key] = replace(output, output=as_kept(output.output))
        for metric in sample["metrics"]:
            value = _item_value(sample[metric])
            place = (key, str(sample["filter"]), str(metric))
            if place in scores:
                raise ValueError(f"task {name}: two items have the same hash {key}")
            if value is not None or (brought is not None and metric in brought.per_item):
                scores[place] = ItemScore(*place, value)
    directions = results["higher_is_better"][name]
    aggregates = _aggregates(results["results"][name], counted)
    # It rests on every digit of a likelihood, so that no mean of it is there to be compared.
    aggregates.pop(CONFIDENCE.name, None)
    alone = (own | ({CONFIDENCE.name} & directions.keys())) - aggregates.keys()
    return ScoreRecord(
        key=request.key,
        asked=request.asked,
        task=request.task,
        suite=request.suite,
        split=request.split,
        form=form,
        seconds=seconds,
        outputs=tuple(outputs.values()),
        item_scores=tuple(scores.values()),
        aggregates=aggregates,
        higher_is_better={
            metric: bool(directions.get(metric, True)) for metric in (*aggregates, *sorted(alone))
        },
        chance=chance,
        intervals={} if brought is None else dict(brought.intervals),
        unscored=() if brought is None else tuple(brought.unscored),
    )


def primary_metric(task: Any) -> str:
    """The metric that a domain task lists first."""
    return str(task.config.metric_list[0]["metric"])


def _output(
    lm: Scored,
    key: str,
    sample: dict[str, Any],
    request: ScoreRequest,
    answer_lead: str,
    answer_end: str,
) -> ItemOutput:
    doc = sample["doc"]
    item_id, cluster = item_identity(doc)
    arguments, replies = sample["arguments"], sample["filtered_resps"]
    chosen = len(arguments[0]) > 1 and isinstance(arguments[0][1], str)
    filtered = None
    if chosen:
        likelihoods = [float(reply[0]) for reply in replies]
        output = str(arguments[likelihoods.index(max(likelihoods))][1])
        if request.suite == "memorisation" and not replies[0][1]:
            # A single continuation is a reply only where greedy decoding gives it.
            output = ""
    else:
        # The reply to a rolling log-likelihood is a number: there is no text to keep.
        first_reply = sample["resps"][0][0]
        output = first_reply if isinstance(first_reply, str) else ""
        if output and replies[0] != output:
            filtered = str(replies[0])
    own = request.suite != "general"
    target = doc["answer"] if own else sample["target"]
    if not own and chosen and isinstance(target, int) and target < len(arguments):
        target = arguments[target][1]
    prompt_tokens, completion_tokens = lm.count_tokens(str(arguments[0][0]), output)
    return ItemOutput(
        doc_hash=key,
        item_id=item_id,
        cluster=cluster,
        target=str(target),
        output=output.removesuffix(answer_end).removeprefix(answer_lead),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        text=doc["text"] if own else "",
        filtered=filtered,
    )


def _item_value(value: Any) -> float | None:
    """One item's value: a number, or bits per byte from lm-eval's (log-likelihood, bytes)."""
    if isinstance(value, bool | int | float):
        return float(value) if math.isfinite(value) else None
    if (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(part, int | float) for part in value)
    ):
        likelihood, size = value
        return -float(likelihood) / (size * math.log(2)) if size else None
    # Corpus metrics (macro F1) have no value per item.
    return None


def _aggregates(results: dict[str, Any], counted: str | None) -> dict[str, float]:
    by_metric: dict[str, float] = {}
    for name, value in results.items():
        metric, comma, filter_name = name.partition(",")
        if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
            continue
        # Where a metric of the user's has a value of no item, there is no mean.
        if math.isnan(value):
            continue
        # The first filter that lm-eval lists is the task's own.
        if metric not in by_metric or filter_name == counted:
            by_metric[metric] = float(value)
    return by_metric
