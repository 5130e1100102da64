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
from harness.spec.kinds import KindInfo, kind_info


@dataclass(frozen=True, slots=True)
class ClaimFacts:
    """What the claims are checked on."""

    findings: Findings
    """All findings but the claims."""
    experiment: Experiment
    """The experiment as declared."""
    record: ExperimentRecord
    """The experiment as stored."""
    fine_tuned: str
    """The best fine-tuned arm; empty where there is none."""
    prompt: str
    """The best prompt arm; empty where there is none."""
    form: Contrast | None
    """Those two compared in keeping the form of an answer; None where they could not be."""
    runs: Mapping[str, Sequence[TrialCost]]
    """Arm -> costs of its final runs, one a seed."""

    def arm(self, name: str) -> ArmSummary | None:
        """The summary of an arm."""
        return next((arm for arm in self.findings.arms if arm.arm == name), None)

    def hardly_tried(self) -> frozenset[str]:
        """Fine-tuned arms with a sign that they could do better than their study let them."""
        return frozenset(effort.arm for effort in self.findings.effort if effort.reasons)

    def best(self, kind: KindInfo) -> ArmSummary | None:
        """The tested arm of a kind that did best on validation."""
        arms = [
            arm
            for arm in self.findings.arms
            if kind_info(arm.kind) is kind and arm.test is not None
        ]
        sign = 1.0 if self.experiment.task.higher_is_better else -1.0
        worths = {
            arm.arm: -math.inf if arm.validation is None else sign * arm.validation for arm in arms
        }
        return max(arms, key=lambda arm: worths[arm.arm], default=None)

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
    """Whether the claim held."""
    why: str
    """The rule that gave the status, or why it was not tested."""
    measured: str = ""
    """What was measured, in words; empty where nothing was."""
    interval: Interval | None = None
    """Confidence interval of what was measured; None where there is none."""


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
    """Share of peak memory saved, its interval (Welch's, of the logarithm), and where measured."""
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


__all__ = ["Answer", "ClaimFacts", "by_outcome", "memory_saved"]
