"""What a trial chooses by among its own scores: between ways of answering, and between checks."""

from __future__ import annotations

import json
import math

from harness.answers.metrics import MetricInfo
from harness.records import NO_WORTH, ScoreRecord, TrialSpec, WayScore, Worth, filled_mean, to_plain
from harness.spec import TaskSpec
from harness.trial.candidate import TrialRun


def chosen_by(record: ScoreRecord, metric: MetricInfo) -> float | None:
    """The metric as settings are chosen by it; None where it has no value.

    A reply that it could not score counts as the worst (:func:`harness.records.filled_mean`).
    """
    value = record.aggregates.get(metric.name)
    own = [score.value for score in record.item_scores if score.metric == metric.name]
    scored = [one for one in own if one is not None]
    if value is None or not scored:
        return value
    worst = min(scored) if metric.higher_is_better else max(scored)
    return filled_mean(value, len(own), len(own) - len(scored), metric.worst, worst)


def keep_best_way(spec: TrialSpec, run: TrialRun) -> None:
    """Keep, of a trial that tried several ways of answering, the scores of the best one.

    It is the one with the best primary metric, the first of equals. What each scored is noted. A
    reply that the metric could not score counts as the worst; a way without any score is not kept,
    unless no other is there.
    """
    primary = TaskSpec.model_validate(spec.task).primary
    metric = primary.name
    way_of = {request.key: request.answering for request in spec.scores if request.answering}
    tried = [record for record in run.scores if record.key in way_of]

    def worth(record: ScoreRecord) -> Worth:
        value = chosen_by(record, primary)
        if value is None:
            return NO_WORTH
        values = (score.value for score in record.item_scores if score.metric == metric)
        whole = math.isfinite(primary.worst) or None not in values
        return Worth(whole, value if primary.higher_is_better else -value)

    best = max(tried, key=worth)
    run.answering = way_of[best.key]
    run.scores = [record for record in run.scores if record is best or record.key not in way_of]
    scores = [
        WayScore(
            way_of[record.key],
            record.aggregates[metric],
            sum(output.prompt_tokens + output.completion_tokens for output in record.outputs),
        )
        for record in tried
        if metric in record.aggregates
    ]
    run.environment["ways"] = json.dumps([to_plain(score) for score in scores])


__all__ = ["chosen_by", "keep_best_way"]
