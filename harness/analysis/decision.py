"""From measured numbers and an experiment's assumptions to the verdict: one way, for all callers.

What was measured is kept apart from what is assumed (margins, level, prices, limits), so that the
verdict under other assumptions needs no new bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from harness.analysis.arms import Sides, choose_sides
from harness.analysis.contrasts import secondary_pairs
from harness.analysis.cost import priced
from harness.analysis.evidence import Evidence
from harness.analysis.forgetting import forgetting_outcome
from harness.analysis.paired import (
    Comparison,
    conclude_family,
    conclude_primary,
    contrast_outcome,
    holm,
)
from harness.analysis.verdict import decide
from harness.findings import ArmSummary, Contrast, CostSummary, Forgetting, Verdict
from harness.spec import Experiment

Pair = tuple[str, str]


@dataclass
class Measured:
    """What no assumption changes, and what was concluded of it as declared.

    arms: the table of arms. unit_costs: arm -> cost at a price of 1 an hour. worths: arm -> worth
    on validation. compare: two arms on the test items, None where they cannot be paired.
    forgetting: by arm, at the declared level, which other levels leave as it is.
    """

    experiment: Experiment
    arms: Mapping[str, ArmSummary]
    unit_costs: Mapping[str, CostSummary]
    worths: Mapping[str, float]
    compare: Callable[[str, str], Comparison | None]
    forgetting: Mapping[str, Forgetting]
    _comparisons: dict[Pair, Comparison | None] = field(default_factory=dict)
    _primaries: dict[Pair, Contrast] = field(default_factory=dict)
    _families: dict[tuple[Pair, ...], tuple[Contrast, ...]] = field(default_factory=dict)

    def comparison(self, a: str, b: str) -> Comparison | None:
        """The comparison of two arms, made once."""
        if (a, b) not in self._comparisons:
            self._comparisons[a, b] = self.compare(a, b)
        return self._comparisons[a, b]

    def primary(self, a: str, b: str, experiment: Experiment) -> Contrast | None:
        """The primary contrast; its outcome under the experiment's margin and level."""
        comparison = self.comparison(a, b)
        if comparison is None:
            return None
        if (a, b) not in self._primaries:
            self._primaries[a, b] = conclude_primary(comparison)
        return self._under([self._primaries[a, b]], [comparison], experiment)[0]

    def family(self, pairs: tuple[Pair, ...], experiment: Experiment) -> tuple[Contrast, ...]:
        """The secondary contrasts; their outcomes under the experiment's margin and level."""
        comparisons = [c for a, b in pairs if (c := self.comparison(a, b)) is not None]
        if pairs not in self._families:
            self._families[pairs] = conclude_family(comparisons)
        return self._under(self._families[pairs], comparisons, experiment)

    def _under(
        self,
        contrasts: tuple[Contrast, ...] | list[Contrast],
        comparisons: list[Comparison],
        experiment: Experiment,
    ) -> tuple[Contrast, ...]:
        """Outcomes anew where margin or level differ; what it would take stays as declared."""
        margin, level = experiment.contrast.margin, experiment.contrast.level
        declared = self.experiment.contrast
        if (margin, level) == (declared.margin, declared.level):
            return tuple(contrasts)
        outside = [
            max(c.sampling.p_above(-margin), c.sampling.p_below(margin)) for c in comparisons
        ]
        found = []
        for contrast, comparison, p_outside in zip(
            contrasts, comparisons, holm(outside), strict=True
        ):
            interval = comparison.sampling.interval(level)
            outcome = contrast_outcome(
                interval, p=contrast.p_adjusted, p_outside=p_outside, level=level
            )
            found.append(replace(contrast, interval=interval, margin=margin, outcome=outcome))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict under some assumptions, and what it was read from."""

    sides: Sides
    evidence: Evidence
    verdict: Verdict


def judge(measured: Measured, experiment: Experiment, *, against: str = "") -> Judgement:
    """The verdict on what was measured, under the assumptions of ``experiment``.

    Args:
        measured: the numbers.
        experiment: the declared one, or one that differs in what only judges the results.
        against: prompt arm to compare with in place of the one that validation picked.
    """
    arms = {
        name: replace(arm, cost=priced(measured.unit_costs[name], experiment.cost))
        for name, arm in measured.arms.items()
    }
    sides = choose_sides(measured.worths, arms, experiment)
    if against:
        sides = replace(sides, against=against, prompt=against)
    primary = measured.primary(sides.fine_tuned, sides.against, experiment)
    pairs = tuple(
        (a, b) for a, b in secondary_pairs(sides, arms) if measured.comparison(a, b) is not None
    )
    evidence = Evidence(
        experiment=experiment,
        arms=arms,
        fine_tuned=sides.fine_tuned,
        against=sides.against,
        prompt=sides.prompt,
        primary=primary,
        secondary=measured.family(pairs, experiment),
        forgetting=_forgetting(measured.forgetting, experiment),
        excluded=sides.excluded,
        missing=() if primary else tuple(_missing(arms, sides, experiment)),
        general_declared=experiment.general is not None,
    )
    return Judgement(sides, evidence, decide(evidence))


def _forgetting(
    measured: Mapping[str, Forgetting], experiment: Experiment
) -> dict[str, Forgetting]:
    if experiment.general is None:
        return {}
    margin = experiment.general.margin
    return {
        arm: found
        if found.margin == margin
        else replace(found, margin=margin, outcome=forgetting_outcome(found.interval, margin))
        for arm, found in measured.items()
    }


def _missing(arms: dict[str, ArmSummary], sides: Sides, experiment: Experiment) -> Iterator[str]:
    for side, chosen, declared in (
        ("fine-tuned", sides.fine_tuned, experiment.trained_arms()),
        ("prompt", sides.against, experiment.prompt_arms()),
    ):
        if chosen:
            if arms[chosen].test is None:
                yield f"{chosen} has no test result: its final runs are missing or failed."
        elif declared:
            yield f"No {side} arm has a test result: its final runs are missing or failed."
        else:
            yield f"The experiment declares no {side} arm."
    if all(name and arms[name].test is not None for name in (sides.fine_tuned, sides.against)):
        yield (
            f"{sides.fine_tuned} and {sides.against} could not be paired on at least two "
            "independent test items."
        )


__all__ = ["Judgement", "Measured", "judge"]
