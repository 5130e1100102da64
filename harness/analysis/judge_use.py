"""Judges: whether what they judge can move them, what they took, and what to know of them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from harness.findings import JudgeCost, JudgeUse
from harness.records import Measuring, Study
from harness.spec import Experiment
from harness.spec.served_arms import judge_servers
from harness.wording import number

# Part of the scale by which an instruction within a reply may move a mark.
MOST_MOVED = 0.1
# Where replies are nearly as good as can be, half of the room that is left tells as much, if it is
# more than this share of the scale.
LEAST_MOVED = 0.02


def judge_uses(study: Study, experiment: Experiment) -> tuple[JudgeUse, ...]:
    """Every judge whose mark is a metric, in the order of the metrics."""
    uses = []
    for metric in experiment.task.judged:
        name = metric.metric_names[0]
        # The plea is tried on replies to the test alone.
        tried = [
            (aggregate.moved, aggregate.value)
            for trial in study.trials
            if trial.phase == "finalist" and trial.status == "complete"
            for aggregate in trial.aggregates
            if aggregate.metric == name and aggregate.moved is not None
        ]
        moved = fmean(move for move, _ in tried) if tried else None
        span = metric.highest - metric.lowest
        room = metric.highest - fmean(mark for _, mark in tried) if tried else span
        people = study.experiment.data.calibration.get(metric.judge, ())
        uses.append(
            JudgeUse(
                metric=name,
                judge=metric.judge,
                by=metric.by,
                rubric=metric.rubric,
                worst=metric.lowest,
                best=metric.highest,
                moved=moved,
                obeys=moved is not None
                and (abs(moved) > MOST_MOVED * span or moved > max(room / 2, LEAST_MOVED * span)),
                human_items=len({mark.item_id for mark in people}),
            )
        )
    return tuple(uses)


def judge_cost(study: Study, experiment: Experiment) -> JudgeCost | None:
    """What judges took for the study's trials, each counted once; None without a judge."""
    if not experiment.task.judged:
        return None
    trials = {trial.trial_id: trial.measuring for trial in study.trials}
    took = sum(trials.values(), Measuring())
    servers = judge_servers(experiment)
    priced = [server.prompt_price or server.completion_price for server in servers.values()]
    local = {metric.judge for metric in experiment.task.judged} - servers.keys()
    machine = took.seconds / 3600 * experiment.cost.machine_per_hour if local else 0.0
    # What a server without a stated price takes is not known.
    money = machine + took.money if all(priced) else None
    return JudgeCost(took.seconds, took.tokens, money)


def judge_caveats(uses: Sequence[JudgeUse], experiment: Experiment) -> list[str]:
    """Sentences on judges, that of the primary metric first where it is one."""
    caveats = []
    for use in uses:
        what = f"{use.metric} is the mark of a judge, the model {use.by}"
        if use.metric == experiment.task.primary_metric and not use.human_items:
            caveats.append(
                f"{what}, and no person's marks were held against it: what it prefers may be the "
                "model's taste. harness judge writes replies for people to mark."
            )
        declared = experiment.judges.get(use.judge)
        if declared and declared.model and declared.model.reference == experiment.model.reference:
            caveats.append(
                f"{what}, which is the study's own: it marks replies of itself, which models tend "
                "to like."
            )
        if use.obeys and use.moved is not None:
            caveats.append(
                f"{what}, which what it judges can move: a sentence in the reply that asks for the "
                f"best mark moved it by {number(use.moved)} on the scale from {use.worst:g} to "
                f"{use.best:g}."
            )
    away = [name for name, server in judge_servers(experiment).items() if not server.local]
    if away:
        caveats.append(
            f"Texts of the data and replies to them were sent to the servers of the judges "
            f"{', '.join(away)}."
        )
    return caveats


__all__ = ["judge_caveats", "judge_cost", "judge_uses"]
