"""Scores of a judge held against people's marks of the same replies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.analysis.statistics.agreement import (
    agreement_interval,
    mean_bias,
    rank_correlation,
    weighted_kappa,
)
from harness.analysis.statistics.difference import difference_seeds
from harness.analysis.statistics.paired import Comparison
from harness.analysis.statistics.pairing import Codes, Floats
from harness.analysis.statistics.prediction_powered import (
    FEWEST_MARKED,
    Corrected,
    Marked,
    Unmarked,
    correct_difference,
    marks_to_find,
)
from harness.analysis.statistics.sampling import Sampling
from harness.analysis.statistics.scores import DOMAIN, Scores
from harness.answers.row_reader import answer_part
from harness.findings import ArmBias, CorrectedContrast, Interval, JudgeTrust
from harness.records import CalibrationRow, marked_key

Generator = Callable[..., np.random.Generator]
# Redraws of an agreement, which is a description and decides nothing.
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class MarkedReply:
    """A reply that the judge and people marked."""

    doc_hash: str
    """Hash of the item."""
    cluster: str
    """Cluster of the item; the hash where it has none."""
    human: float
    """Mean mark of people."""
    judged: float
    """The judge's mark."""
    seed: int
    """Seed of the run that replied."""


@dataclass
class HumanMarks:
    """People's marks of the finalists' replies to the test, by arm."""

    metric: str
    """Name of the judge's metric."""
    replies: dict[str, list[MarkedReply]]
    """Arm -> its replies that people marked; a reply of several runs once for each."""
    marked: int
    """Number of marks that belong to a reply."""
    unmatched: int
    """Number of marks that belong to none."""
    contrasts: dict[tuple[str, str], CorrectedContrast] = field(default_factory=dict)
    """Pair of arms -> the contrast of all their items and seeds."""

    def correct(
        self,
        comparison: Comparison,
        resamples: int,
        generator: np.random.Generator,
        *,
        whole: bool = True,
        without: int | None = None,
    ) -> Comparison:
        """The comparison as people's marks correct it; as it is where too few items are marked.

        Args:
            comparison: two arms compared by the judge's scores.
            resamples: draws of the bootstrap.
            generator: source of the draws.
            whole: whether it is of all items and seeds, and so the one to be told of.
            without: a seed that it leaves out, whose marks are left out too.
        """
        found = self._corrected(comparison, resamples, generator, whole=whole, without=without)
        if found is None:
            return comparison
        sampling = found.sampling
        a, b = found.means
        return replace(
            comparison,
            mean_a=a,
            mean_b=b,
            sampling=sampling,
            p_value=sampling.p_value(),
            test=f"{comparison.test}, corrected by people's marks",
            corrected=True,
            settled_by_items=False,
            as_worst=_worst_corrected(comparison, sampling),
        )

    def _corrected(
        self,
        comparison: Comparison,
        resamples: int,
        generator: np.random.Generator,
        *,
        whole: bool,
        without: int | None,
    ) -> Corrected | None:
        aligned = comparison.aligned
        of_arm = [self._by_item(arm, without) for arm in (comparison.a, comparison.b)]
        place = {doc_hash: at for at, doc_hash in enumerate(aligned.doc_hashes)}
        both = [at for doc_hash, at in place.items() if all(doc_hash in marks for marks in of_arm)]
        if len(both) < FEWEST_MARKED or len(set(aligned.clusters[both].tolist())) < 2:
            return None
        marks = np.array(
            [[marks[aligned.doc_hashes[at]] for at in both] for marks in of_arm]
        )  # (arm, item, person or judge)
        rest = np.ones(aligned.items, dtype=bool)
        rest[both] = False
        scores = np.stack([rows.mean(axis=0) for rows in aligned.scores])
        marked = Marked(marks[:, :, 0], marks[:, :, 1], _codes(aligned.clusters[both]))
        found = correct_difference(
            marked,
            Unmarked(scores[:, rest], _codes(aligned.clusters[rest])),
            difference_seeds(aligned),
            resamples,
            generator,
        )
        if not whole:
            return found
        estimate = found.sampling.estimate
        apart = marked.human[0] - marked.human[1]
        apart = apart - found.weight * (marked.judged[0] - marked.judged[1])
        self.contrasts[comparison.a, comparison.b] = CorrectedContrast(
            a=comparison.a,
            b=comparison.b,
            marked=len(both),
            judged=comparison.sampling.estimate,
            judged_interval=comparison.sampling.interval(comparison.level),
            corrected=estimate,
            interval=found.sampling.interval(comparison.level),
            weight=found.weight,
            marks_needed=marks_to_find(
                float(apart.std(ddof=1)),
                aligned.items,
                max(abs(estimate), comparison.margin),
                comparison.level,
            ),
        )
        return found

    def _by_item(self, arm: str, without: int | None) -> dict[str, tuple[float, float]]:
        """Item -> mean mark of people and of the judge, over the runs that were marked."""
        marks: defaultdict[str, list[MarkedReply]] = defaultdict(list)
        for reply in self.replies.get(arm, ()):
            if reply.seed != without:
                marks[reply.doc_hash].append(reply)
        return {
            doc_hash: (
                float(np.mean([one.human for one in replies])),
                float(np.mean([one.judged for one in replies])),
            )
            for doc_hash, replies in marks.items()
        }


def people_of(scores: Scores) -> dict[str, HumanMarks]:
    """Metric -> people's marks, none where there are none, of every metric that is a judge's."""
    marks = scores.study.experiment.data.calibration
    return {
        metric.own_name: match_marks(scores, metric.own_name, marks.get(metric.judge, ()))
        for metric in scores.experiment.task.judged
    }


def match_marks(scores: Scores, metric: str, rows: Sequence[CalibrationRow]) -> HumanMarks:
    """People's marks put to the finalists' replies that they are of.

    Several marks of one reply are averaged. One that belongs to no reply is counted.
    """
    by_reply: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        by_reply[row.key or marked_key(row.item_id, row.reply)].append(row.score)
    used: set[str] = set()
    values: dict[tuple[str, int], Mapping[str, tuple[float, str]]] = {}
    replies: defaultdict[str, list[MarkedReply]] = defaultdict(list)
    for item in scores.study.items:
        asked = marked_key(item.item_id, answer_part(item.output))
        if asked not in by_reply:
            asked = marked_key(item.item_id, item.output)
        if asked not in by_reply:
            continue
        used.add(asked)
        if (item.arm, item.seed) not in values:
            values[item.arm, item.seed] = _of_run(scores, item.arm, item.seed, metric)
        judged, cluster = values[item.arm, item.seed].get(item.doc_hash, (np.nan, ""))
        if np.isfinite(judged):
            human = float(np.mean(by_reply[asked]))
            replies[item.arm].append(
                MarkedReply(item.doc_hash, cluster or item.doc_hash, human, judged, item.seed)
            )
    marked = sum(len(by_reply[key]) for key in used)
    return HumanMarks(metric, dict(replies), marked, len(rows) - marked)


def judge_trust(
    marks: HumanMarks, *, primary: bool, level: float, resamples: int, generator: Generator
) -> JudgeTrust:
    """How far a judge agrees with people, over all arms and by arm.

    Args:
        marks: people's marks of its replies, after the contrasts were corrected by them.
        primary: whether the verdict rests on it.
        level: confidence level of the intervals.
        resamples: draws of the bootstrap of biases.
        generator: names of a part -> its random numbers.
    """
    whole = [one for replies in marks.replies.values() for one in replies]
    human, judged, clusters = _columns(whole)
    drawn = generator("judge", marks.metric)
    kappa = weighted_kappa(human, judged) if whole else np.nan
    correlation = rank_correlation(human, judged) if whole else np.nan

    def interval(statistic: Callable[[Floats, Floats], float], value: float) -> Interval | None:
        if not np.isfinite(value):
            return None
        return agreement_interval(
            statistic, human, judged, clusters, level=level, resamples=RESAMPLES, generator=drawn
        )

    biases = []
    for arm, replies in marks.replies.items():
        bias, within = mean_bias(
            *_columns(replies),
            level=level,
            resamples=resamples,
            generator=generator("judge", marks.metric, arm),
        )
        biases.append(ArmBias(arm, len(replies), bias, within))
    return JudgeTrust(
        metric=marks.metric,
        primary=primary,
        marked=marks.marked,
        unmatched=marks.unmatched,
        kappa=float(kappa) if np.isfinite(kappa) else None,
        kappa_interval=interval(weighted_kappa, kappa),
        correlation=float(correlation) if np.isfinite(correlation) else None,
        correlation_interval=interval(rank_correlation, correlation),
        biases=tuple(biases),
        contrasts=tuple(marks.contrasts.values()),
    )


def _of_run(scores: Scores, arm: str, seed: int, metric: str) -> dict[str, tuple[float, str]]:
    """Item -> the judge's mark of one run's reply, and the item's cluster."""
    return {
        doc_hash: (float(value), cluster)
        for run in scores.runs(arm, metric, task=DOMAIN, split="test")
        if run.seed == seed
        for doc_hash, value, cluster in zip(run.doc_hashes, run.values, run.clusters, strict=True)
    }


def _columns(replies: Sequence[MarkedReply]) -> tuple[Floats, Floats, Codes]:
    codes: dict[str, int] = {}
    return (
        np.array([one.human for one in replies], dtype=np.float64),
        np.array([one.judged for one in replies], dtype=np.float64),
        np.array([codes.setdefault(one.cluster, len(codes)) for one in replies], dtype=np.intp),
    )


def _worst_corrected(comparison: Comparison, sampling: Sampling) -> Comparison | None:
    """The comparison with the worst for what the judge could not mark, corrected elsewhere.

    People's marks are of replies that the judge marked too: they correct the share of the items
    that has scores, and say nothing of the rest.

    Args:
        comparison: as the judge has it.
        sampling: the corrected difference of the items with scores.
    """
    worst = comparison.as_worst
    if worst is None:
        return None
    share = comparison.aligned.items / worst.aligned.items
    moved = share * (sampling.estimate - comparison.sampling.estimate)
    shifted = replace(sampling, estimate=worst.sampling.estimate + moved)
    return replace(worst, sampling=shifted, p_value=shifted.p_value(), corrected=True)


def _codes(clusters: Codes) -> Codes:
    """The clusters numbered from 0 without gaps."""
    return np.unique(clusters, return_inverse=True)[1].astype(np.intp)


__all__ = ["HumanMarks", "judge_trust", "match_marks", "people_of"]
