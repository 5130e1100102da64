"""What a study shows beside its verdict, arm by arm: looked up in the study, then measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from harness.analysis.arms.confidence import arm_confidence
from harness.analysis.arms.judged import HumanMarks, judge_trust
from harness.analysis.arms.slices import slice_contrast
from harness.analysis.forgetting.divergence import task_divergence, with_divergence
from harness.analysis.forgetting.setting_effects import setting_effects
from harness.analysis.forgetting.trade_off import trade_off_points, with_fronts
from harness.analysis.generalisation.learning_curve import SizeScores, assess_curve
from harness.analysis.generalisation.memorisation import Completions, assess_memorisation
from harness.analysis.generalisation.overfitting import assess_overfitting
from harness.analysis.searches.tuning_gain import assess_tuning
from harness.analysis.statistics.repeats import assess_retuning, by_search
from harness.analysis.statistics.scores import BASE, DOMAIN, Scores
from harness.answers.metrics import BITS_PER_BYTE, KL_TO_BASE, VERBATIM
from harness.errors import StoreError
from harness.findings import (
    ArmConfidence,
    ArmSummary,
    Contrast,
    Forgetting,
    JudgeTrust,
    LearningCurve,
    Memorisation,
    Overfitting,
    Retuning,
    SettingEffect,
    Slicing,
    TaskDivergence,
    TradeOffPoint,
    TuningGain,
)
from harness.records import Phase, ScoreVector
from harness.spec import BroughtArm, Experiment, PromptArm
from harness.spec.kinds import kind_info
from harness.spec.names import MEMORISATION, own_memorisation
from harness.spec.starts import started_from

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What a study shows beside its verdict: each method gives a finding for every arm it can."""

    scores: Scores
    """The scores of the study."""
    experiment: Experiment
    """The experiment as declared."""
    resamples: int
    """Draws of every bootstrap."""
    generator: Callable[..., np.random.Generator]
    """Names of a part -> its random numbers."""
    problems: list[str]
    """Sentences on what could not be measured; the methods add to them."""

    def overfitting(self, arms: Mapping[str, ArmSummary]) -> tuple[Overfitting, ...]:
        """Gaps of the arms that have a test result."""

        def of(arm: str) -> Overfitting:
            return assess_overfitting(
                arm,
                train=self._domain(arm, "train"),
                validation=self._domain(arm, "validation"),
                test=self._domain(arm, "test"),
                selected=arms[arm].validation,
                level=self._level,
                resamples=self.resamples,
                generator=self.generator("overfitting", arm),
            )

        tested = [name for name, summary in arms.items() if summary.test is not None]
        return self._each("Overfitting", tested, of)

    def tuning(self) -> tuple[TuningGain, ...]:
        """What tuning gained, of arms with a search space and finalists."""

        def of(arm: str) -> TuningGain | None:
            finalists = self.scores.finalists(arm)
            first = [trial for trial in self.scores.trials(arm, "search") if trial.number == 0]
            if not finalists or not first:
                return None
            default = first[0].params
            # A study may have been extended: what was the default then need not be it now.
            same = {t.trial_id for t in self.scores.complete(arm, "default")
                    if t.params == default}  # fmt: skip
            # A search that kept the default has tested it with its own final runs.
            kept = {t.trial_id for t in finalists if t.params == default}
            changed = next((t.params for t in finalists if t.params != default), default)
            return assess_tuning(
                arm,
                default_params=default,
                selected_params=changed,
                default=sorted(
                    [
                        *self._domain(arm, "test", phase="default", trial_ids=same),
                        *(self._domain(arm, "test", trial_ids=kept) if changed != default else ()),
                    ],
                    key=lambda vector: vector.seed,
                ),
                selected=self._domain(arm, "test"),
                margin=self.experiment.contrast.margin,
                level=self._level,
                resamples=self.resamples,
                generator=self.generator("tuning", arm),
            )

        tuned = [name for name, arm in self.experiment.arms.items() if arm.search_space()]
        return self._each("The gain of tuning", tuned, of)

    def slicing(self, primary: Contrast | None) -> Slicing | None:
        """The primary contrast on parts of its items; None where there is none."""
        if primary is None:
            return None
        try:
            return slice_contrast(
                self.scores, primary, resamples=self.resamples, generator=self.generator
            )
        except StoreError as error:
            self.problems.append(f"Parts of the test could not be compared: {error}.")
            return None

    def confidence(self) -> tuple[ArmConfidence, ...]:
        """Confidence of the arms that choose among all allowed answers."""

        def of(arm: str) -> ArmConfidence | None:
            return arm_confidence(self.scores, arm, level=self._level, generator=self.generator)

        return self._each("The confidence", self.experiment.arms, of)

    def general_unscored(self) -> tuple[str, ...]:
        """Tasks of the general suite that the base has no score on."""
        return tuple(
            name
            for name, reading in self.scores.study.experiment.general_tasks.items()
            if not self.scores.vectors(
                BASE, reading.metric, suite="general", task=name, split="test"
            )
        )

    def trust(self, people: Mapping[str, HumanMarks]) -> tuple[JudgeTrust, ...]:
        """The judges whose marks are metrics, held against people.

        Args:
            people: metric -> people's marks, after the contrasts were corrected by them.
        """
        primary = self.experiment.task.primary_metric
        return tuple(
            judge_trust(
                marks,
                primary=metric == primary,
                level=self._level,
                resamples=self.resamples,
                generator=self.generator,
            )
            for metric, marks in people.items()
        )

    def retuning(self) -> tuple[Retuning, ...]:
        """Spread between searches, of arms that were searched more than once."""

        def of(arm: str) -> Retuning | None:
            runs = self.scores.runs(
                arm, self.experiment.task.primary_metric, task=DOMAIN, split="test"
            )
            groups = by_search(self.experiment, arm, [run.seed for run in runs])
            return assess_retuning(
                arm, [[run for run in runs if run.seed in seeds] for seeds in groups]
            )

        repeated = [arm for arm in self.experiment.arms if self.experiment.repeats_of(arm) > 1]
        return self._each("The spread of tuning", repeated, of)

    def curves(self) -> tuple[LearningCurve, ...]:
        """Learning curves, of arms trained on fewer examples too, with the setting now selected."""

        def of(arm: str) -> LearningCurve | None:
            return assess_curve(
                arm,
                self._sizes(arm),
                level=self._level,
                resamples=self.resamples,
                generator=self.generator("curve", arm),
            )

        return self._each("The learning curve", self.experiment.arms, of)

    def memorisation(self) -> tuple[Memorisation, ...]:
        """Memorisation of training texts, of fine-tuned arms.

        Of one that goes on from an adapter also that of the texts that the adapter was trained on.
        """
        starts = started_from(self.experiment.arms)

        def of(arm: str, whose: str) -> Memorisation | None:
            spec = self.experiment.arms[whose]
            return assess_memorisation(
                arm,
                self._completions(arm, whose, VERBATIM.name),
                self._completions(arm, whose, BITS_PER_BYTE.name),
                level=self._level,
                resamples=self.resamples,
                generator=self.generator("memorisation", *dict.fromkeys((arm, whose))),
                rows=spec.trained_on if isinstance(spec, BroughtArm) else None,
            )

        return (
            *self._each("Memorisation", self.experiment.trained_arms(), lambda arm: of(arm, arm)),
            *self._each("Memorisation before", starts, lambda arm: of(arm, starts[arm])),
        )

    def diverged(self, forgetting: Mapping[str, Forgetting]) -> dict[str, Forgetting]:
        """What arms forgot, with the divergence of each arm that has one."""

        def of(arm: str) -> Forgetting:
            return with_divergence(
                forgetting[arm],
                self.scores.vectors(arm, KL_TO_BASE.name, suite="divergence", split="test"),
                level=self._level,
                resamples=self.resamples,
                generator=self.generator("divergence", arm),
            )

        measured = self._each("Divergence from the base", forgetting, of)
        return {**forgetting, **{change.arm: change for change in measured}}

    def task_divergence(self) -> tuple[TaskDivergence, ...]:
        """Divergence on the task's own inputs, of fine-tuned arms."""

        def of(arm: str) -> TaskDivergence | None:
            return task_divergence(
                arm,
                self.scores.vectors(arm, KL_TO_BASE.name, suite="divergence", split="validation"),
                level=self._level,
                resamples=self.resamples,
                generator=self.generator("task divergence", arm),
            )

        trained = self.experiment.trained_arms()
        return self._each("Divergence from the base on the task's inputs", trained, of)

    def trade_off(self, forgetting: Mapping[str, Forgetting]) -> tuple[TradeOffPoint, ...]:
        """Candidates in the plane of learning and forgetting; none where that was not measured."""

        def of(arm: str) -> list[TradeOffPoint] | None:
            trained = arm in self.experiment.trained_arms()
            if trained and arm not in forgetting:
                return None
            spec = self.experiment.arms[arm]
            if not kind_info(spec.kind).language_model:
                # There is nothing that it could forget.
                return None
            if isinstance(spec, PromptArm) and spec.asks_another_model:
                # Its general abilities are another model's, and were not measured.
                return None
            readings = self.scores.study.experiment.general_tasks
            deltas = forgetting[arm].tasks if trained else ()
            counted = {d.task: readings[d.task] for d in deltas if d.kept is not None}
            metric = self.experiment.task.primary_metric
            return trade_off_points(self.scores, arm, metric, counted, changes_model=trained)

        arms = self.experiment.arms if forgetting else ()
        candidates = self._each("The place in the plane of learning and forgetting", arms, of)
        return with_fronts([point for points in candidates for point in points])

    def effects(self, points: Iterable[TradeOffPoint]) -> tuple[SettingEffect, ...]:
        """Effects of settings, of fine-tuned arms, over the search trials among ``points``."""
        known = list(points)
        return tuple(
            effect
            for name, arm in self.experiment.trained_arms().items()
            for effect in setting_effects(
                name,
                known,
                list(arm.search_space()),
                level=self._level,
                resamples=self.resamples,
                generator=self.generator("effects", name),
            )
        )

    @property
    def _level(self) -> float:
        return self.experiment.contrast.level

    def _domain(
        self,
        arm: str,
        split: str,
        *,
        phase: Phase | None = None,
        trial_ids: set[str] | None = None,
    ) -> list[ScoreVector]:
        metric = self.experiment.task.primary_metric
        return self.scores.vectors(
            arm, metric, task=DOMAIN, split=split, phase=phase, trial_ids=trial_ids
        )

    def _sizes(self, arm: str) -> list[SizeScores]:
        """The sizes of an arm's curve and the whole split; none where it has no curve."""
        repeat_of = partial(self.experiment.repeat_of, arm)
        selected = {repeat_of(trial.seed): trial.params for trial in self.scores.finalists(arm)}
        everything = self.scores.study.experiment.splits.get("train")
        trials: dict[int, set[str]] = {}
        for trial in self.scores.complete(arm, "curve"):
            setting = selected.get(repeat_of(trial.seed))
            if trial.train_items is not None and trial.params == setting:
                trials.setdefault(trial.train_items, set()).add(trial.trial_id)
        sizes = [
            SizeScores(
                size,
                tuple(self._domain(arm, "train", phase="curve", trial_ids=ids)),
                tuple(self._domain(arm, "validation", phase="curve", trial_ids=ids)),
            )
            for size, ids in trials.items()
            if everything is None or size < everything
        ]
        if not sizes or everything is None:
            return sizes
        full = [tuple(self._domain(arm, split)) for split in ("train", "validation")]
        return [*sizes, SizeScores(everything, full[0], full[1], full=True)]

    def _completions(self, arm: str, whose: str, metric: str) -> Completions:
        def on(who: str, split: str) -> tuple[ScoreVector, ...]:
            return tuple(
                self.scores.vectors(who, metric, suite="memorisation", task=task, split=split)
            )

        # Texts of its own go before those that arms have in common.
        task = own_memorisation(whose)
        task = task if whose != arm or on(arm, "train") else MEMORISATION
        parts = [on(who, split) for who in (arm, BASE) for split in ("train", "validation")]
        return Completions(*parts)

    def _each(
        self, what: str, arms: Iterable[str], measure: Callable[[str], T | None]
    ) -> tuple[T, ...]:
        measured = []
        for arm in arms:
            try:
                value = measure(arm)
            except (StoreError, ValueError) as error:
                self.problems.append(f"{what} of {arm} could not be measured: {error}.")
                continue
            if value is not None:
                measured.append(value)
        return tuple(measured)


__all__ = ["Diagnostics"]
