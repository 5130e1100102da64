"""The verdict again without a part of the evidence: a seed, flagged items, the picked prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from harness.analysis.forgetting.abilities import MeasuredAbilities
from harness.analysis.forgetting.judgement import judge_abilities, judge_without_flagged
from harness.analysis.statistics.paired import Comparison, conclude_family
from harness.analysis.statistics.repeats import by_search
from harness.analysis.verdict.decision import Judgement, Measured, judge
from harness.analysis.verdict.evidence import Evidence
from harness.analysis.verdict.sentences import decide
from harness.findings import ArmSummary, Contrast, Perturbation, Verdict
from harness.spec import Experiment
from harness.wording import agreeing, listed

# Seed to leave out -> primary contrast, what else decides, and abilities of the primary's arms
# without it.
WithoutSeed = Callable[
    [int], tuple[Contrast | None, Sequence[Comparison], Mapping[str, MeasuredAbilities]]
]
MOST_SEEDS = 5
FLAGGED_ITEMS = "items flagged by the leakage audit"
SHORTFALLS = "the signs that fine-tuning was hardly tried"


def decision_of(verdict: Verdict) -> tuple[str, str]:
    """What makes two verdicts the same: outcome and winner."""
    return verdict.outcome, verdict.winner


def perturbations(
    measured: Measured, judgement: Judgement, primary: Contrast, without_seed: WithoutSeed
) -> Iterator[Perturbation]:
    """One verdict for each seed, for flagged items, for the second-best prompt arm, for effort.

    Left out where there is one seed or more than ``MOST_SEEDS``, no result without flagged items,
    no other prompt arm, or where the verdict is not that fine-tuning was hardly tried. Prompts that
    are ranked are only tried without flagged items. Arguments as of
    :func:`harness.analysis.verdict.sensitivity.assess_sensitivity`.
    """
    evidence, verdict = judgement.evidence, judgement.verdict

    def told(left_out: str, other: Verdict) -> Perturbation:
        changed = decision_of(other) != decision_of(verdict)
        return Perturbation(left_out, other.outcome, other.winner, changed)

    sides = () if evidence.prompts_only else (evidence.fine_tuned, evidence.against)
    for seed, named in _seeds(measured.arms, sides, measured.experiment).items():
        contrast, deciding, abilities = without_seed(seed)
        if contrast is not None:
            known = judge_abilities({**measured.abilities, **abilities}, measured.experiment)
            other = replace(evidence, primary=contrast, forgetting=known)
            if evidence.deciding:
                other = replace(other, secondary=conclude_family(deciding))
            yield told(named, decide(other))
    cleaned = _without_flagged(measured, evidence, primary)
    if cleaned is not None:
        yield told(FLAGGED_ITEMS, decide(cleaned))
    second = [arm for arm in judgement.sides.prompts if arm != evidence.against]
    if second and not evidence.two_tuned and not evidence.prompts_only:
        other_judgement = judge(measured, measured.experiment, against=second[0])
        yield told(
            f"{evidence.against}, with {second[0]} compared in its place", other_judgement.verdict
        )
    if verdict.outcome == "hardly_tried":
        yield told(SHORTFALLS, decide(replace(evidence, shortfalls=())))


def _seeds(
    arms: Mapping[str, ArmSummary], sides: Iterable[str], experiment: Experiment
) -> dict[int, str]:
    """Seeds to leave out, each with what goes with it: all runs of a search have its setting."""
    groups = [by_search(experiment, arm, arms[arm].seeds) for arm in sides]
    several = [searches for searches in groups if len(searches) > 1]
    if any(len(searches) > MOST_SEEDS for searches in several):
        return {}
    together: dict[int, tuple[int, ...]] = {}
    for seeds in sorted(seeds for searches in several for seeds in searches):
        together[seeds[0]] = max(together.get(seeds[0], ()), seeds, key=len)
    return {
        first: f"{agreeing(len(seeds), 'seed', 'seeds')} {listed(map(str, seeds))}"
        for first, seeds in together.items()
    }


def _without_flagged(measured: Measured, evidence: Evidence, primary: Contrast) -> Evidence | None:
    forgetting = judge_without_flagged(measured.abilities, measured.experiment)
    deciding = evidence.deciding
    if not forgetting and not any(one.without_flagged for one in (primary, *deciding)):
        return None
    secondary = tuple(map(_cleaned, deciding)) or evidence.secondary
    return replace(
        evidence,
        primary=_cleaned(primary),
        secondary=secondary,
        forgetting={**evidence.forgetting, **forgetting},
    )


def _cleaned(contrast: Contrast) -> Contrast:
    """The contrast as it is without flagged items, where it has such a result."""
    clean = contrast.without_flagged
    if clean is None:
        return contrast
    return replace(
        contrast,
        items=clean.items,
        mean_a=clean.mean_a,
        mean_b=clean.mean_b,
        difference=clean.difference,
        interval=clean.interval,
        outcome=clean.outcome,
    )


__all__ = ["FLAGGED_ITEMS", "SHORTFALLS", "WithoutSeed", "decision_of", "perturbations"]
