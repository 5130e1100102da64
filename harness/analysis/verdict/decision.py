"""From measured numbers and an experiment's assumptions to the verdict: one way, for all callers.

What was measured is kept apart from what is assumed (margins, level, prices, limits), so that the
verdict under other assumptions needs no new bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from harness.analysis.arms.contrasts import secondary_pairs
from harness.analysis.arms.cost import priced
from harness.analysis.arms.table import Sides, choose_sides
from harness.analysis.forgetting.abilities import MeasuredAbilities
from harness.analysis.forgetting.judgement import judge_abilities
from harness.analysis.statistics.paired import (
    Comparison,
    conclude_family,
    conclude_primary,
    family_outcomes,
)
from harness.analysis.statistics.side_by_side import each
from harness.analysis.verdict.evidence import Evidence
from harness.analysis.verdict.ranking import ranking_pairs, ranking_sides
from harness.analysis.verdict.reference import beside_references, reference_pairs
from harness.analysis.verdict.sentences import decide
from harness.findings import ArmSummary, Contrast, CostSummary, Effort, Forgetting, Verdict
from harness.records import Worth
from harness.spec import Experiment
from harness.spec.instruction_sources import each_alone

Pair = tuple[str, str]


@dataclass
class Measured:
    """What no assumption changes, and what was concluded of it as declared."""

    experiment: Experiment
    """The experiment as declared."""
    arms: Mapping[str, ArmSummary]
    """The table of the candidates, by name."""
    unit_costs: Mapping[str, CostSummary]
    """Arm -> cost at a price of 1 an hour."""
    worths: Mapping[str, Worth]
    """Arm -> its worth on validation."""
    compare: Callable[[str, str], Comparison | None]
    """Compares two arms on the test items; None where they cannot be paired."""
    abilities: Mapping[str, MeasuredAbilities]
    """Fine-tuned arm -> what was measured of its general abilities."""
    effort: Callable[[str, str], Effort]
    """How hard a fine-tuned arm was tried, beside a prompt arm."""
    references: Mapping[str, ArmSummary] = field(default_factory=dict)
    """Arms without a language model, which are no candidates, by name."""
    _comparisons: dict[Pair, Comparison | None] = field(default_factory=dict)
    """Pair of arms -> their comparison, once made."""
    _primaries: dict[Pair, Contrast] = field(default_factory=dict)
    """Pair of arms -> their contrast as the primary one, as declared."""
    _families: dict[tuple[Pair, ...], tuple[Contrast, ...]] = field(default_factory=dict)
    """Pairs of arms -> their contrasts as one family, as declared."""
    _forgetting: dict[tuple[float, float], dict[str, Forgetting]] = field(default_factory=dict)
    """Margin and level -> what the arms forgot under them."""

    def comparison(self, a: str, b: str) -> Comparison | None:
        """The comparison of two arms, made once."""
        if (a, b) not in self._comparisons:
            self._comparisons[a, b] = self.compare(a, b)
        return self._comparisons[a, b]

    def prepare(self, pairs: Iterable[Pair]) -> None:
        """Make the comparisons of several pairs side by side."""
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._comparisons]
        if new:
            found = each(lambda pair: self.compare(*pair), new)
            self._comparisons.update(zip(new, found, strict=True))

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

    def forgetting(self, experiment: Experiment) -> dict[str, Forgetting]:
        """What the fine-tuned arms forgot under the experiment's margin and level."""
        if experiment.general is None:
            return {}
        key = experiment.general.margin, experiment.contrast.level
        if key not in self._forgetting:
            self._forgetting[key] = judge_abilities(self.abilities, experiment)
        return dict(self._forgetting[key])

    def widest_margin(self) -> float:
        """The widest margin of forgetting at which a loss could still be seen of every arm; or 1.

        A wider one asks nothing of the general suite.
        """
        rooms = [
            max(
                (task.room for task in arm.tasks.values() if task.scores.reading.accuracy),
                default=0,
            )
            for arm in self.abilities.values()
        ]
        return max(0.0, min(rooms, default=1.0) - 1e-9)

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
        found = family_outcomes(comparisons, margin=margin, level=level)
        return tuple(
            replace(
                contrast,
                interval=one.interval,
                margin=margin,
                outcome=one.outcome,
                rests_on_missing=one.rests_on_missing,
            )
            for contrast, one in zip(contrasts, found, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict under some assumptions, and what it was read from."""

    sides: Sides
    """The arms that met."""
    evidence: Evidence
    """What the rules looked at."""
    verdict: Verdict
    """What they decided."""


def judge(measured: Measured, experiment: Experiment, *, against: str = "") -> Judgement:
    """The verdict on what was measured, under the assumptions of ``experiment``.

    Args:
        measured: the numbers that were measured.
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
    if experiment.trained_arms():
        primary = measured.primary(sides.fine_tuned, sides.against, experiment)
        alone = {name: each_alone(experiment.arms, name) for name in experiment.arms}
        pairs = _comparable(measured, secondary_pairs(sides, arms, alone))
        secondary = measured.family(pairs, experiment)
    else:
        sides = ranking_sides(sides, arms, experiment)
        primary, secondary = _ranked(measured, sides, arms, experiment)
    held_against_a_prompt = primary is not None and sides.against in experiment.prompt_arms()
    evidence = Evidence(
        experiment=experiment,
        arms=arms,
        fine_tuned=sides.fine_tuned,
        against=sides.against,
        prompt=sides.prompt,
        primary=primary,
        secondary=secondary,
        forgetting=measured.forgetting(experiment),
        excluded=sides.excluded,
        missing=() if primary else tuple(_missing(arms, sides, experiment)),
        general_declared=experiment.general is not None,
        shortfalls=measured.effort(sides.fine_tuned, sides.prompt).reasons
        if held_against_a_prompt and sides.fine_tuned in experiment.trained_arms()
        else (),
        challenges=_challenges(measured, sides, experiment, primary, secondary)
        if primary and held_against_a_prompt
        else (),
    )
    verdict = decide(evidence)
    pairs = reference_pairs(measured.references, evidence, verdict, measured.worths)
    beside = measured.family(_comparable(measured, pairs), experiment)
    return Judgement(
        sides,
        replace(evidence, references=beside),
        beside_references(verdict, beside, measured.references),
    )


def _comparable(measured: Measured, pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    known = list(pairs)
    measured.prepare(known)
    return tuple((a, b) for a, b in known if measured.comparison(a, b) is not None)


def _challenges(
    measured: Measured,
    sides: Sides,
    experiment: Experiment,
    primary: Contrast,
    secondary: Iterable[Contrast],
) -> tuple[Contrast, ...]:
    """Fine-tuned arms that beat the picked prompt arm, against those that did better on test.

    Not corrected, as an arm has to beat all of them; they can only take a claim back.
    """
    rivals = [
        contrast.b
        for contrast in secondary
        if contrast.a == sides.fine_tuned
        and contrast.b in experiment.prompt_arms()
        and contrast.difference < primary.difference
    ]
    others = [
        contrast.a
        for contrast in secondary
        if contrast.a in experiment.trained_arms()
        and (contrast.b, contrast.outcome) == (sides.prompt, "better")
    ]
    contrasts = (measured.primary(a, b, experiment) for a in others for b in rivals)
    return tuple(contrast for contrast in contrasts if contrast is not None)


def _ranked(
    measured: Measured, sides: Sides, arms: Mapping[str, ArmSummary], experiment: Experiment
) -> tuple[Contrast | None, tuple[Contrast, ...]]:
    """Primary and secondary contrasts of a ranking, which are one family."""
    pairs = _comparable(measured, ranking_pairs(sides, arms))
    if (sides.fine_tuned, sides.against) not in pairs:
        return None, ()
    first, *others = measured.family(pairs, experiment)
    return replace(first, primary=True), tuple(others)


def _missing(arms: dict[str, ArmSummary], sides: Sides, experiment: Experiment) -> Iterator[str]:
    if not experiment.trained_arms():
        yield from _missing_of_ranking(arms, sides)
        return
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


def _missing_of_ranking(arms: Mapping[str, ArmSummary], sides: Sides) -> Iterator[str]:
    tested = [name for name, arm in arms.items() if arm.test is not None]
    if not tested:
        yield "No prompt arm has a test result: its final runs are missing or failed."
    elif len(arms) == 1:
        yield f"{tested[0]} is the only arm, so there is nothing to compare it with."
    elif sides.against and arms[sides.against].test is not None:
        yield (
            f"{sides.fine_tuned} and {sides.against} could not be paired on at least two "
            "independent test items."
        )
    else:
        yield (
            f"Only {tested[0]} has a test result: the final runs of the others are missing or "
            "failed."
            if len(tested) == 1
            else f"{sides.against} has no test result: its final runs are missing or failed."
        )


__all__ = ["Judgement", "Measured", "judge"]
