"""Caveats on whether what the verdict names is worth anything at all, beside what costs nothing.

A verdict tells two arms apart. It says nothing of the base as it came, or of one answer given to
every item, which may do as well as either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from harness.analysis.statistics.few_clusters import fewest_clusters
from harness.analysis.statistics.scores import BASE, DOMAIN, Scores, mean_of
from harness.answers.metrics import METRICS
from harness.findings import ArmSummary, Contrast, Verdict
from harness.wording import PER_CENT, PLAIN, cell, confidence, plural

# Right answers that are rarer say nothing of one answer given to all.
LEAST_SHARE = 0.05


def worth_caveats(
    scores: Scores,
    arms: Mapping[str, ArmSummary],
    verdict: Verdict,
    primary: Contrast | None,
) -> list[str]:
    """Sentences on what else does as well as the arm that is named, or as the better one met.

    Args:
        arms: the table of the candidates, by name.
        primary: the contrast that decides; without one there is nothing to say.
    """
    if primary is None:
        return []
    task = scores.experiment.task
    metric = METRICS.get(task.primary_metric)
    scale = PER_CENT if metric is not None and metric.is_share else PLAIN
    sign = 1.0 if task.primary.higher_is_better else -1.0
    tested = {name: arm.test for name, arm in arms.items() if arm.test is not None}
    named = [verdict.winner] if verdict.winner in tested else [primary.a, primary.b]
    met = [name for name in named if name in tested]
    if not met:
        return [*_few_groups(primary)]
    best = max(met, key=lambda name: sign * tested[name])
    sentences = list(_few_groups(primary))
    base = mean_of(scores.vectors(BASE, task.primary_metric, task=DOMAIN, split="test"))
    score = f"{best} scores {scale.score(tested[best])} on test"
    worst = task.primary.worst
    if base is not None and sign * base >= sign * tested[best] and base != worst:
        sentences.append(
            f"{score}, and the untouched base without examples {scale.score(base)}: nothing shows "
            f"that {best} is worth its effort."
        )
    constant = _constant_answer(scores)
    if constant is not None and sign * constant[1] >= sign * tested[best] != sign * worst:
        answer, value = constant
        sentences.append(
            f"{score}, and one answer given to every item, `{cell(answer, 40)}`, would score "
            f"{scale.score(value)}: nothing shows that {best} reads what it is asked."
        )
    return sentences


def _few_groups(primary: Contrast) -> list[str]:
    """That so few independent groups cannot tell anything at the level that was declared."""
    level = primary.interval.level
    least = fewest_clusters((1 - level) / 2)
    if primary.clusters >= least:
        return []
    what = (
        plural(primary.items, "test item")
        if primary.clusters == primary.items
        else f"{plural(primary.items, 'test item')} of {plural(primary.clusters, 'group')}, each "
        "of which counts as one observation"
    )
    unit = "items" if primary.clusters == primary.items else "groups"
    return [
        f"The arms met on {what}: with fewer than {least} {unit} no difference, however large, can "
        f"be told from chance at {confidence(level)}."
    ]


def _constant_answer(scores: Scores) -> tuple[str, float] | None:
    """The commonest right answer on test, and what it would score if it were given to all items.

    None where answers hardly come twice, or where items have no value of the primary metric.
    """
    metric = scores.experiment.task.primary_metric
    targets = {row.doc_hash: row.target for row in scores.study.items}
    counts = Counter(targets.values())
    if not counts:
        return None
    answer, times = counts.most_common(1)[0]
    if times < 2 or times < LEAST_SHARE * len(targets):
        return None
    read = scores.reply_reader()
    values = [read(target, answer).metrics.get(metric) for target in counts]
    if any(value is None for value in values):
        return None
    total = sum(
        value * number
        for value, number in zip(values, counts.values(), strict=True)
        if value is not None
    )
    return answer, total / len(targets)


__all__ = ["worth_caveats"]
