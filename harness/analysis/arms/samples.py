"""Every test item of the finalists, side by side: what was asked, what each run replied."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from harness.analysis.statistics.scores import DOMAIN, Scores
from harness.answers.metrics import MetricInfo
from harness.findings import ArmSamples, RunSamples, Samples
from harness.records import ItemRow, Study

VALID = "valid"

Rows = dict[str, ItemRow]


def gather_samples(study: Study) -> Samples:
    """The items of the primary test, joined over arms and seeds by the item's hash.

    An item that a run did not answer, score or judge is None there, never left out. Items stand
    in the order in which they were scored. Without finalists there are none.
    """
    items: Rows = {}
    arms: defaultdict[str, defaultdict[int, Rows]] = defaultdict(lambda: defaultdict(dict))
    for row in study.items:
        items.setdefault(row.doc_hash, row)
        arms[row.arm][row.seed][row.doc_hash] = row
    scores = Scores(study)
    arm_samples = tuple(_arm(arm, runs, tuple(items), scores) for arm, runs in arms.items())
    primary = scores.experiment.task.primary
    return Samples(
        doc_hashes=tuple(items),
        item_ids=tuple(row.item_id for row in items.values()),
        texts=tuple(row.text for row in items.values()),
        targets=tuple(row.target for row in items.values()),
        arms=arm_samples,
        higher_is_better=primary.higher_is_better,
        full=_full(arm_samples, primary),
    )


def _arm(arm: str, runs: Mapping[int, Rows], order: Sequence[str], scores: Scores) -> ArmSamples:
    judged = {
        vector.seed: dict(zip(vector.doc_hashes, vector.values.tolist(), strict=True))
        for vector in scores.runs(arm, VALID, task=DOMAIN, split="test")
    }
    run_samples = tuple(
        _run(seed, runs[seed], order, judged.get(seed, {})) for seed in sorted(runs)
    )
    return ArmSamples(
        arm=arm,
        runs=run_samples,
        scores=tuple(map(_mean, zip(*(run.scores for run in run_samples), strict=True))),
        valid=tuple(map(_all, zip(*(run.valid for run in run_samples), strict=True))),
    )


def _run(seed: int, rows: Rows, order: Sequence[str], judged: Mapping[str, float]) -> RunSamples:
    replied = [rows.get(key) for key in order]
    validity = [_finite(judged.get(key)) for key in order]
    return RunSamples(
        seed=seed,
        outputs=tuple(row.output if row else None for row in replied),
        scores=tuple(_finite(row.value) if row else None for row in replied),
        valid=tuple(None if value is None else value >= 1 for value in validity),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if len(known) == len(scores) else None


def _all(valid: Sequence[bool | None]) -> bool | None:
    return False if False in valid else None if None in valid else True


def _full(arms: Iterable[ArmSamples], metric: MetricInfo) -> float | None:
    """The score of a wholly right answer: the best there can be, where a reply had it."""
    known = [score for arm in arms for run in arm.runs for score in run.scores if score is not None]
    return metric.best if metric.best in known else None


__all__ = ["gather_samples"]
