"""The verdict again without a part of the evidence: a seed, flagged items, the picked prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from harness.analysis.decision import Judgement, Measured, judge
from harness.analysis.evidence import Evidence
from harness.analysis.forgetting import forgetting_outcome
from harness.analysis.verdict import decide
from harness.findings import ArmSummary, Contrast, Forgetting, Perturbation, Verdict

# Seed to leave out -> primary contrast and forgetting of its arms without it.
WithoutSeed = Callable[[int], tuple[Contrast | None, Mapping[str, Forgetting]]]
MOST_SEEDS = 5
FLAGGED_ITEMS = "items flagged by the leakage audit"


def decision_of(verdict: Verdict) -> tuple[str, str]:
    """What makes two verdicts the same: outcome and winner."""
    return verdict.outcome, verdict.winner


def perturbations(
    measured: Measured, judgement: Judgement, primary: Contrast, without_seed: WithoutSeed
) -> Iterator[Perturbation]:
    """One verdict for each seed, for flagged items, and for the second-best prompt arm.

    Left out where there is one seed or more than ``MOST_SEEDS``, no result without flagged items,
    or no other prompt arm. Arguments as of :func:`harness.analysis.sensitivity.assess_sensitivity`.
    """
    evidence, verdict = judgement.evidence, judgement.verdict

    def told(left_out: str, other: Verdict) -> Perturbation:
        changed = decision_of(other) != decision_of(verdict)
        return Perturbation(left_out, other.outcome, other.winner, changed)

    for seed in _seeds(measured.arms, (evidence.fine_tuned, evidence.against)):
        contrast, forgetting = without_seed(seed)
        if contrast is not None:
            known = {**evidence.forgetting, **forgetting}
            other = replace(evidence, primary=contrast, forgetting=known)
            yield told(f"seed {seed}", decide(other))
    cleaned = _without_flagged(evidence, primary)
    if cleaned is not None:
        yield told(FLAGGED_ITEMS, decide(cleaned))
    second = [arm for arm in judgement.sides.prompts if arm != evidence.against]
    if second and not evidence.two_tuned:
        other_judgement = judge(measured, measured.experiment, against=second[0])
        yield told(
            f"{evidence.against}, with {second[0]} compared in its place", other_judgement.verdict
        )


def _seeds(arms: Mapping[str, ArmSummary], sides: Iterable[str]) -> list[int]:
    several = [arms[arm].seeds for arm in sides if len(arms[arm].seeds) > 1]
    if any(len(seeds) > MOST_SEEDS for seeds in several):
        return []
    return sorted({seed for seeds in several for seed in seeds})


def _without_flagged(evidence: Evidence, primary: Contrast) -> Evidence | None:
    clean = primary.without_flagged
    forgetting = dict(evidence.forgetting)
    for arm, found in evidence.forgetting.items():
        if found.without_flagged is not None:
            change, interval = found.without_flagged
            outcome = forgetting_outcome(interval, found.margin)
            forgetting[arm] = replace(found, mean_change=change, interval=interval, outcome=outcome)
    if clean is None and forgetting == evidence.forgetting:
        return None
    if clean is not None:
        primary = replace(
            primary,
            items=clean.items,
            mean_a=clean.mean_a,
            mean_b=clean.mean_b,
            difference=clean.difference,
            interval=clean.interval,
            outcome=clean.outcome,
        )
    return replace(evidence, primary=primary, forgetting=forgetting)


__all__ = ["FLAGGED_ITEMS", "WithoutSeed", "decision_of", "perturbations"]
