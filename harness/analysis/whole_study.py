"""The analysis of a study from end to end: one pure function, records in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from harness.analysis import caveats as course
from harness.analysis.arms import Sides, short_of_budget, summarise_arm, validation_worths
from harness.analysis.bootstrap import named_generator
from harness.analysis.claim_facts import ClaimFacts, form_metric
from harness.analysis.claims import check_claims
from harness.analysis.cost import break_even, unit_cost
from harness.analysis.decision import Measured, judge
from harness.analysis.diagnostics import Diagnostics
from harness.analysis.forgetting import GeneralScores, assess_forgetting
from harness.analysis.leakage import (
    beside_flagged,
    forgetting_beside_flagged,
    read_leaks,
    without_items,
)
from harness.analysis.memory_estimate import estimate_memory
from harness.analysis.paired import Comparison, compare, conclude_primary
from harness.analysis.scores import BASE, DOMAIN, Scores
from harness.analysis.search_course import summarise_search
from harness.analysis.selection import current
from harness.analysis.sensitivity import assess_sensitivity
from harness.errors import StoreError
from harness.findings import (
    ArmSummary,
    BreakEven,
    Contrast,
    CostSummary,
    Findings,
    Forgetting,
)
from harness.records import ScoreVector, Study
from harness.spec import Experiment
from harness.spec.endpoint import endpoints

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
        study: as read from the store.
        resamples: draws of every bootstrap; p-values cannot fall below 2 / (resamples + 1).
        seed: of the bootstrap.
        sensitivity: also find what the verdict hangs on, which decides hundreds of times again.
    """
    work = _Work(current(study), resamples, seed)
    arms = work.arms()
    unscored = work.general_unscored()
    shown = work.diagnostics()
    forgetting = shown.diverged(work.forgetting(work.experiment.trained_arms()))
    measured = Measured(
        experiment=work.experiment,
        arms=arms,
        unit_costs=work.unit_costs(),
        worths=validation_worths(work.scores, work.experiment),
        compare=work.comparison,
        forgetting=forgetting,
    )
    judgement = judge(measured, work.experiment)
    sides, verdict = judgement.sides, judgement.verdict
    (primary,) = work.beside_flagged([judgement.evidence.primary]) or (None,)
    secondary = work.beside_flagged(judgement.evidence.secondary)
    hangs_on = (
        assess_sensitivity(measured, judgement, primary, partial(work.without_seed, sides))
        if sensitivity
        else None
    )
    overfitting = shown.overfitting(arms)
    tuning, curves, memorisation = shown.tuning(), shown.curves(), shown.memorisation()
    trade_off = shown.trade_off(forgetting)
    searches = tuple(summarise_search(work.scores, a, work.experiment) for a in arms)
    known = [
        *work.problems,
        *course.caveats(work.scores, work.experiment, arms, sides, primary),
        *course.missing_items(_left_out([*([primary] if primary else []), *secondary])),
        *course.leakage_caveats(work.leaks, primary, list(forgetting.values()), hangs_on),
        *course.general_caveats(list(forgetting.values()), unscored, work.accuracy_tasks()),
        *course.search_caveats(searches),
        *verdict.caveats,
    ]
    findings = Findings(
        verdict=replace(verdict, caveats=tuple(dict.fromkeys(known))),
        primary=primary,
        secondary=secondary,
        arms=tuple(arms.values()),
        forgetting=tuple(forgetting.values()),
        overfitting=overfitting,
        break_even=_break_even(arms, sides, work.experiment),
        trade_off=trade_off,
        general_unscored=unscored,
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
    )
    return replace(findings, claims=check_claims(work.claim_facts(findings, sides)))


@dataclass
class _Work:
    """The inputs of every part, and the problems met on the way."""

    study: Study
    resamples: int
    seed: int
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.experiment = Experiment.model_validate(self.study.experiment.spec)
        self.scores = Scores(self.study)
        self.leaks = read_leaks(self.study)
        self.metric = self.experiment.task.primary_metric
        self.level = self.experiment.contrast.level

    def generator(self, *names: str) -> np.random.Generator:
        return named_generator(self.seed, *names)

    def diagnostics(self) -> Diagnostics:
        return Diagnostics(
            self.scores, self.experiment, self.resamples, self.generator, self.problems
        )

    def arms(self) -> dict[str, ArmSummary]:
        short = short_of_budget(self.scores, self.experiment)
        return {
            name: replace(
                summarise_arm(
                    self.scores, name, self.experiment, self.resamples, self.generator("arm", name)
                ),
                short_of_budget=name in short,
            )
            for name in self.experiment.arms
        }

    def unit_costs(self) -> dict[str, CostSummary]:
        asked = endpoints(self.experiment)
        return {
            name: unit_cost(
                self.scores.trials(name, "search"),
                self.scores.finalists(name),
                self.metric,
                asked.get(name),
            )
            for name in self.experiment.arms
        }

    def test_vectors(
        self, arm: str, without: int | None = None, *, clean: bool = False
    ) -> list[ScoreVector]:
        on_test = _without(
            self.scores.vectors(arm, self.metric, task=DOMAIN, split="test"), without
        )
        return without_items(on_test, self.leaks.test) if clean else on_test

    def comparison(
        self,
        a: str,
        b: str,
        *,
        without: int | None = None,
        resamples: int = 0,
        clean: bool = False,
    ) -> Comparison | None:
        try:
            return compare(
                self.test_vectors(a, without, clean=clean),
                self.test_vectors(b, without, clean=clean),
                margin=self.experiment.contrast.margin,
                level=self.level,
                resamples=resamples or self.resamples,
                generator=self.generator("contrast", *sorted((a, b))),
            )
        except StoreError as error:
            self.problems.append(f"{a} and {b} could not be compared: {error}.")
            return None

    def beside_flagged(self, contrasts: Iterable[Contrast | None]) -> tuple[Contrast, ...]:
        """The contrasts there are, with what they are without items that share text."""
        return beside_flagged(
            [contrast for contrast in contrasts if contrast is not None],
            self.leaks.test,
            self.test_vectors,
            partial(self.comparison, clean=True),
        )

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
        metric = form_metric(self.experiment)
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

    def accuracy_tasks(self) -> list[str]:
        tasks = self.study.experiment.general_tasks
        return [name for name, reading in tasks.items() if reading.accuracy]

    def general_unscored(self) -> tuple[str, ...]:
        return tuple(
            name
            for name, reading in self.study.experiment.general_tasks.items()
            if not self.scores.vectors(
                BASE, reading.metric, suite="general", task=name, split="test"
            )
        )

    def without_seed(
        self, sides: Sides, seed: int
    ) -> tuple[Contrast | None, dict[str, Forgetting]]:
        """The primary contrast and forgetting of its arms again, coarsely, without one seed."""
        few, told = min(self.resamples, COARSE), len(self.problems)
        comparison = self.comparison(sides.fine_tuned, sides.against, without=seed, resamples=few)
        trained = [
            arm
            for arm in (sides.fine_tuned, sides.against)
            if arm in self.experiment.trained_arms()
        ]
        forgetting = self.forgetting(trained, without=seed, resamples=few)
        del self.problems[told:]  # those of a study that did not take place
        return conclude_primary(comparison) if comparison else None, forgetting

    def general(self, arm: str, without: int | None = None) -> Iterator[GeneralScores]:
        for name, reading in self.study.experiment.general_tasks.items():
            mine, base = (
                self.scores.vectors(who, reading.metric, suite="general", task=name, split="test")
                for who in (arm, BASE)
            )
            if mine and base:
                yield GeneralScores(name, reading, tuple(_without(mine, without)), tuple(base[:1]))

    def forgetting(
        self, arms: Iterable[str], *, without: int | None = None, resamples: int = 0
    ) -> dict[str, Forgetting]:
        if self.experiment.general is None:
            return {}
        found: dict[str, Forgetting] = {}
        for arm in arms:
            scores = list(self.general(arm, without))
            try:
                one = assess_forgetting(
                    arm,
                    scores,
                    margin=self.experiment.general.margin,
                    level=self.level,
                    resamples=resamples or self.resamples,
                    generator=self.generator("forgetting", arm),
                )
                if one is not None:
                    found[arm] = forgetting_beside_flagged(
                        one,
                        scores,
                        self.leaks.general,
                        resamples=resamples or self.resamples,
                        generator=self.generator("forgetting", arm, "without flagged items"),
                    )
            except (StoreError, ValueError) as error:
                self.problems.append(f"What {arm} forgot could not be measured: {error}.")
        return found


def _without(vectors: list[ScoreVector], seed: int | None) -> list[ScoreVector]:
    # An arm with one seed stays as it is: without it there would be nothing to compare.
    return [v for v in vectors if v.seed != seed] if len(vectors) > 1 else vectors


def _left_out(contrasts: list[Contrast]) -> list[tuple[str, str, int, int]]:
    return [(c.a, c.b, c.left_out, c.unscored) for c in contrasts]


def _break_even(
    arms: dict[str, ArmSummary], sides: Sides, experiment: Experiment
) -> tuple[BreakEven, ...]:
    prompt = arms.get(sides.prompt)
    if prompt is None or prompt.test is None:
        return ()
    return tuple(
        break_even(name, arm.cost, sides.prompt, prompt.cost, experiment.cost.currency)
        for name, arm in arms.items()
        if arm.kind != "prompt" and arm.test is not None
    )


__all__ = ["analyse"]
