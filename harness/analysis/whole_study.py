"""The analysis of a study from end to end: one pure function, records in, findings out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np

from harness.analysis import caveats as course
from harness.analysis.ability_caveats import ability_caveats
from harness.analysis.arms.classes import class_scores
from harness.analysis.arms.cost import break_evens, unit_cost_of
from harness.analysis.arms.decoding import with_decoding
from harness.analysis.arms.judged import people_of
from harness.analysis.arms.latency import timed_trials
from harness.analysis.arms.making import trials_to_make
from harness.analysis.arms.memory_estimate import estimate_memory
from harness.analysis.arms.table import Sides, short_of_budget, summarise_arm, validation_worths
from harness.analysis.brought_caveats import untried_caveats
from harness.analysis.claims.facts import ClaimFacts
from harness.analysis.claims.guides import check_claims
from harness.analysis.diagnostics import Diagnostics
from harness.analysis.forgetting.abilities import MeasuredAbilities, measure_abilities
from harness.analysis.forgetting.unseen import general_scores, searched_items
from harness.analysis.generalisation.leakage import (
    abilities_beside_flagged,
    beside_flagged,
    flagged_on_test,
    without_items,
)
from harness.analysis.judge_trust import trust_caveats
from harness.analysis.judge_use import judge_caveats, judge_cost, judge_uses
from harness.analysis.not_covered import not_covered
from harness.analysis.search_caveats import search_caveats
from harness.analysis.searches.selection import current
from harness.analysis.searches.summary import summarise_searches
from harness.analysis.slice_caveats import slice_caveats
from harness.analysis.statistics.bootstrap import named_generator
from harness.analysis.statistics.paired import Comparison, compare, conclude_primary
from harness.analysis.statistics.repeats import without_seed
from harness.analysis.statistics.scores import DOMAIN, Scores
from harness.analysis.statistics.side_by_side import each
from harness.analysis.steps.choose import next_steps
from harness.analysis.tuning_caveats import effort_caveats
from harness.analysis.verdict.decision import Judgement, Measured, judge
from harness.analysis.verdict.declaration import plan_lock
from harness.analysis.verdict.effort import assess_effort
from harness.analysis.verdict.evidence import Evidence
from harness.analysis.verdict.sensitivity import assess_sensitivity
from harness.analysis.worth_caveats import worth_caveats
from harness.errors import StoreError
from harness.findings import ArmSummary, Contrast, CostSummary, Findings
from harness.records import ScoreVector, Study, items_of

# Resamples for the verdict without one seed, which is read off and not reported with an interval.
COARSE = 2_000


def analyse(
    study: Study, *, resamples: int = 10_000, seed: int = 0, sensitivity: bool = True
) -> Findings:
    """Everything the analysis says of one study, whole or incomplete.

    What cannot be compared is named in the verdict's caveats and left out; a study without a
    primary contrast gets an inconclusive verdict that says what is missing. The same study, seed
    and number of resamples give the same findings, and adding an arm changes no other arm's
    random numbers.

    Args:
        study: the study as read from the store.
        resamples: draws of every bootstrap; p-values cannot fall below 2 / (resamples + 1).
        seed: seed of the bootstrap.
        sensitivity: whether to find what the verdict hangs on, too, which decides hundreds of times
            again.
    """
    work = _Work(current(study), resamples, seed)
    everyone, apart = work.arms(), work.experiment.reference_arms()
    arms = {name: arm for name, arm in everyone.items() if name not in apart}
    shown = work.diagnostics()
    unscored = shown.general_unscored()
    curves = shown.curves()
    effort = cache(
        partial(assess_effort, work.scores, work.experiment, {curve.arm: curve for curve in curves})
    )
    measured = Measured(
        experiment=work.experiment,
        arms=arms,
        unit_costs=work.unit_costs(),
        worths=validation_worths(work.scores, work.experiment),
        compare=work.comparison,
        abilities=work.abilities(work.experiment.trained_arms()),
        effort=effort,
        references={name: everyone[name] for name in apart},
    )
    judgement = judge(measured, work.experiment)
    sides, verdict = judgement.sides, judgement.verdict
    forgetting = shown.diverged(judgement.evidence.forgetting)
    primary, secondary = work.evidence_described(judgement.evidence, everyone)
    judgement = replace(judgement, evidence=replace(judgement.evidence, secondary=secondary))
    references = work.described(judgement.evidence.references, everyone)
    efforts = tuple(effort(arm, sides.prompt) for arm in work.experiment.trained_arms())
    hangs_on = (
        assess_sensitivity(measured, judgement, primary, partial(work.without_seed, judgement))
        if sensitivity
        else None
    )
    overfitting = shown.overfitting(arms)
    tuning, memorisation = shown.tuning(), shown.memorisation()
    trade_off = shown.trade_off(forgetting)
    searches = summarise_searches(work.scores, work.experiment)
    slicing = shown.slicing(primary)
    judges = judge_uses(study, work.experiment)
    trust = shown.trust(work.people)
    known = [
        *sorted(work.problems),  # several are met side by side
        *worth_caveats(work.scores, arms, verdict, primary),
        *slice_caveats(slicing, verdict.winner, trust),
        *course.caveats(work.scores, work.experiment, arms, sides, primary),
        *([primary.decoding] if primary and primary.decoding else []),
        *course.missing_items([*([primary] if primary else []), *secondary, *references]),
        *judge_caveats(judges, work.experiment),
        *trust_caveats(trust, primary),
        *course.leakage_caveats(study.experiment.data.audit, primary, hangs_on),
        *ability_caveats(list(forgetting.values()), unscored),
        *effort_caveats(efforts, verdict, hangs_on),
        *untried_caveats(work.experiment, verdict),
        *search_caveats(searches, arms, sides, work.experiment, verdict.winner),
        *verdict.caveats,
    ]
    findings = Findings(
        verdict=replace(verdict, caveats=tuple(dict.fromkeys(known))),
        primary=primary,
        secondary=secondary,
        references=references,
        arms=tuple(everyone.values()),
        forgetting=tuple(forgetting.values()),
        overfitting=overfitting,
        break_even=break_evens(arms, sides.prompt, work.experiment.cost.currency),
        trade_off=trade_off,
        general_unscored=unscored,
        task_divergence=shown.task_divergence(),
        tuning=tuning,
        curves=curves,
        memorisation=memorisation,
        effects=shown.effects(trade_off),
        sensitivity=hangs_on,
        memory=estimate_memory(
            tuple(arms.values()),
            work.experiment,
            study.experiment.environment.get("dtype", "float32"),
        ),
        searches=searches,
        effort=efforts,
        retuning=shown.retuning(),
        plan=plan_lock(study),
        judges=judges,
        trust=trust,
        judge_cost=judge_cost(study, work.experiment),
        not_covered=not_covered(work.experiment, study.experiment, arms, curves),
        slicing=slicing,
        classes=class_scores(work.scores),
        confidence=shown.confidence(),
    )
    if work.experiment.trained_arms():  # the claims are about fine-tuning
        findings = replace(findings, claims=check_claims(work.claim_facts(findings, sides)))
    return replace(findings, next_steps=next_steps(work.scores, findings))


@dataclass
class _Work:
    """The inputs of every part, and the problems met on the way."""

    study: Study
    """The study, without finalists of settings no longer selected."""
    resamples: int
    """Draws of every bootstrap."""
    seed: int
    """Seed of the bootstrap."""
    problems: list[str] = field(default_factory=list)
    """Sentences on what could not be measured."""

    def __post_init__(self) -> None:
        self.scores = Scores(self.study)
        self.experiment = self.scores.experiment
        audit = self.study.experiment.data.audit
        self.flagged = partial(flagged_on_test, audit)
        self.flagged_general = {task: items_of(kinds) for task, kinds in audit.general.items()}
        self.searched = searched_items(self.study, self.experiment)
        self.metric = self.experiment.task.primary_metric
        self.people = people_of(self.scores)
        self.level = self.experiment.contrast.level

    def generator(self, *names: str) -> np.random.Generator:
        return named_generator(self.seed, *names)

    def diagnostics(self) -> Diagnostics:
        return Diagnostics(
            self.scores, self.experiment, self.resamples, self.generator, self.problems
        )

    def arms(self) -> dict[str, ArmSummary]:
        short = short_of_budget(self.scores, self.experiment)

        def summary(name: str) -> ArmSummary:
            drawn = self.generator("arm", name)
            found = summarise_arm(self.scores, name, self.experiment, self.resamples, drawn)
            return replace(found, short_of_budget=name in short)

        arms = list(self.experiment.arms)
        return dict(zip(arms, each(summary, arms), strict=True))

    def unit_costs(self) -> dict[str, CostSummary]:
        return {
            name: unit_cost_of(
                trials_to_make(self.scores, name),
                self.scores.finalists(name),
                timed_trials(self.scores, name),
                self.experiment,
                name,
            )
            for name in self.experiment.arms
        }

    def test_vectors(
        self, arm: str, without: int | None = None, items: frozenset[str] = frozenset()
    ) -> list[ScoreVector]:
        """The arm's test vectors, without a seed and without some items."""
        on_test = self.scores.vectors(arm, self.metric, task=DOMAIN, split="test")
        return without_items(without_seed(on_test, without), items)

    def comparison(
        self,
        a: str,
        b: str,
        *,
        without: int | None = None,
        resamples: int = 0,
        clean: bool = False,
    ) -> Comparison | None:
        items = self.flagged(a, b) if clean else frozenset()
        try:
            found = compare(
                self.test_vectors(a, without, items),
                self.test_vectors(b, without, items),
                margin=self.experiment.contrast.margin,
                level=self.level,
                resamples=resamples or self.resamples,
                generator=self.generator("contrast", *sorted((a, b))),
                worst=self.experiment.task.primary.worst,
            )
            people = self.people.get(self.metric)
            if people is None or found is None:
                return found
            drawn = self.generator("people", *sorted((a, b)))
            return people.correct(
                found,
                resamples or self.resamples,
                drawn,
                whole=without is None and not clean,
                without=without,
            )
        except StoreError as error:
            self.problems.append(f"{a} and {b} could not be compared: {error}.")
            return None

    def described(
        self, contrasts: Iterable[Contrast | None], arms: dict[str, ArmSummary]
    ) -> tuple[Contrast, ...]:
        """The contrasts there are, with what else is to be said of each.

        It is what they are without items that share text, and whether the decoding differs.
        """
        beside = beside_flagged(
            [contrast for contrast in contrasts if contrast is not None],
            self.flagged,
            self.test_vectors,
            partial(self.comparison, clean=True),
        )
        return tuple(with_decoding(contrast, arms) for contrast in beside)

    def evidence_described(
        self, evidence: Evidence, arms: dict[str, ArmSummary]
    ) -> tuple[Contrast | None, tuple[Contrast, ...]]:
        """Primary and secondary contrasts described; of a ranking as the one family."""
        if evidence.prompts_only and evidence.primary is not None:
            first, *others = self.described([evidence.primary, *evidence.secondary], arms)
            return first, tuple(others)
        (primary,) = self.described([evidence.primary], arms) or (None,)
        return primary, self.described(evidence.secondary, arms)

    def claim_facts(self, findings: Findings, sides: Sides) -> ClaimFacts:
        return ClaimFacts(
            findings=findings,
            experiment=self.experiment,
            record=self.study.experiment,
            fine_tuned=sides.fine_tuned,
            prompt=sides.prompt,
            form=self.form(sides),
            runs={
                name: [trial.cost for trial in self.scores.finalists(name) if trial.cost]
                for name in self.experiment.arms
            },
        )

    def form(self, sides: Sides) -> Contrast | None:
        """The best arm of each kind compared in keeping the form of an answer."""
        metric = self.experiment.task.answer.form_metric.name
        try:
            comparison = compare(
                self.scores.vectors(sides.fine_tuned, metric, task=DOMAIN, split="test"),
                self.scores.vectors(sides.prompt, metric, task=DOMAIN, split="test"),
                margin=self.experiment.contrast.margin,
                level=self.level,
                resamples=self.resamples,
                generator=self.generator("form", sides.fine_tuned, sides.prompt),
            )
        except StoreError:
            return None
        return conclude_primary(comparison) if comparison else None

    def without_seed(
        self, judgement: Judgement, seed: int
    ) -> tuple[Contrast | None, list[Comparison], dict[str, MeasuredAbilities]]:
        """What decides, and abilities of the primary's arms, coarsely again without one seed."""
        few, problems_before = min(self.resamples, COARSE), len(self.problems)
        again = partial(self.comparison, without=seed, resamples=few)
        sides = (judgement.sides.fine_tuned, judgement.sides.against)
        primary = again(*sides)
        others = [found for one in judgement.evidence.deciding if (found := again(one.a, one.b))]
        trained = [arm for arm in sides if arm in self.experiment.trained_arms()]
        abilities = self.abilities(trained, without=seed, resamples=few)
        del self.problems[problems_before:]  # those of a study that did not take place
        return (conclude_primary(primary) if primary else None), others, abilities

    def abilities(
        self, arms: Iterable[str], *, without: int | None = None, resamples: int = 0
    ) -> dict[str, MeasuredAbilities]:
        if self.experiment.general is None:
            return {}
        measured: dict[str, MeasuredAbilities] = {}
        for arm in arms:
            try:
                abilities_of_arm = measure_abilities(
                    arm,
                    general_scores(self.scores, self.experiment, arm, without, self.searched),
                    resamples or self.resamples,
                    partial(self.generator, "forgetting", arm),
                )
                if abilities_of_arm is not None:
                    measured[arm] = abilities_beside_flagged(abilities_of_arm, self.flagged_general)
            except (StoreError, ValueError) as error:
                self.problems.append(f"What {arm} forgot could not be measured: {error}.")
        return measured


__all__ = ["analyse"]
