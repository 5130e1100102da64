"""What the claims are checked on, looked up and compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t

from harness.findings import ArmSummary, ClaimStatus, Contrast, Findings, Interval
from harness.records import ExperimentRecord, TrialCost
from harness.spec import Experiment


@dataclass(frozen=True, slots=True)
class ClaimFacts:
    """What the claims are checked on.

    findings: all but the claims. fine_tuned, prompt: the best arm of each kind. form: those two
    compared in keeping the form of an answer. runs: arm -> costs of its final runs, one a seed.
    """

    findings: Findings
    experiment: Experiment
    record: ExperimentRecord
    fine_tuned: str
    prompt: str
    form: Contrast | None
    runs: Mapping[str, Sequence[TrialCost]]

    def arm(self, name: str) -> ArmSummary | None:
        """The summary of an arm."""
        return next((arm for arm in self.findings.arms if arm.arm == name), None)

    def best(self, kind: str) -> ArmSummary | None:
        """The tested arm of a kind that did best on validation."""
        arms = [arm for arm in self.findings.arms if arm.kind == kind and arm.test is not None]
        return max(arms, key=lambda arm: arm.validation or -math.inf, default=None)

    def between(self, a: str, b: str) -> Contrast | None:
        """The contrast of two arms, turned to read a against b."""
        primary = self.findings.primary
        for contrast in (*([primary] if primary else []), *self.findings.secondary):
            if (contrast.a, contrast.b) == (a, b):
                return contrast
            if (contrast.a, contrast.b) == (b, a):
                return _turned(contrast)
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rule found; see :class:`harness.findings.Claim`."""

    status: ClaimStatus
    why: str
    measured: str = ""
    interval: Interval | None = None


def form_metric(experiment: Experiment) -> str:
    """The metric that tells whether an answer has the form, or style, that was asked for."""
    match experiment.task.answer.kind:
        case "json":
            return "valid_json"
        case "label":
            return "valid"
        case _:
            return "chrf"


def by_outcome(
    contrast: Contrast,
    *,
    better: tuple[ClaimStatus, str],
    worse: tuple[ClaimStatus, str],
    equivalent: tuple[ClaimStatus, str],
) -> tuple[ClaimStatus, str]:
    """Status and reason for each outcome of a contrast; an open one is inconclusive."""
    settled = {"better": better, "worse": worse, "equivalent": equivalent}
    return settled.get(contrast.outcome, ("inconclusive", "The difference is not settled."))


def memory_saved(
    facts: ClaimFacts, one: str, other: str
) -> tuple[float, Interval | None, str] | None:
    """Share of peak memory saved, with Welch's interval on the logarithm, and where measured."""
    runs = [facts.runs.get(name, ()) for name in (one, other)]
    device = all(r and all(c.peak_device_mib for c in r) for r in runs)
    peaks = [
        np.log([(c.peak_device_mib if device else c.peak_memory_mib) or math.nan for c in r])
        for r in runs
    ]
    if any(len(peak) == 0 or not np.isfinite(peak).all() for peak in peaks):
        return None
    change = float(peaks[0].mean() - peaks[1].mean())
    where = "device" if device else "host"
    if any(len(peak) < 2 for peak in peaks):
        return 1 - math.exp(change), None, where
    parts = [float(peak.var(ddof=1)) / len(peak) for peak in peaks]
    level = facts.experiment.contrast.level
    spread = 0.0
    if sum(parts) > 0:
        shares = [part**2 / (len(peak) - 1) for part, peak in zip(parts, peaks, strict=True)]
        degrees = sum(parts) ** 2 / sum(shares)
        spread = float(t.ppf((1 + level) / 2, degrees)) * math.sqrt(sum(parts))
    low, high = 1 - math.exp(change + spread), 1 - math.exp(change - spread)
    return 1 - math.exp(change), Interval(low, high, level), where


def _turned(contrast: Contrast) -> Contrast:
    outcome = {"better": "worse", "worse": "better"}.get(contrast.outcome, contrast.outcome)
    interval = contrast.interval
    return replace(
        contrast,
        a=contrast.b,
        b=contrast.a,
        seeds_a=contrast.seeds_b,
        seeds_b=contrast.seeds_a,
        mean_a=contrast.mean_b,
        mean_b=contrast.mean_a,
        difference=0.0 - contrast.difference,
        interval=Interval(-interval.high, -interval.low, interval.level),
        outcome=outcome,  # type: ignore[arg-type]
    )


__all__ = ["Answer", "ClaimFacts", "by_outcome", "form_metric", "memory_saved"]
