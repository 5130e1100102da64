"""What the verdict may look at, and the questions that its rules ask of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.analysis.arms.cost import total_money
from harness.findings import ArmSummary, Contrast, EffortReason, Forgetting
from harness.spec import Experiment
from harness.spec.instruction_sources import each_alone, instruction_source


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the rules may look at."""

    experiment: Experiment
    """The experiment whose assumptions hold."""
    arms: dict[str, ArmSummary]
    """The table of arms."""
    fine_tuned: str
    """The fine-tuned arm of the primary contrast; of a study of prompts only, the leader of the
    ranking, as ``prompt`` is."""
    against: str
    """The arm that ``fine_tuned`` is compared with, of either kind."""
    prompt: str
    """The best prompt arm, the same as ``against`` unless two fine-tuned arms are compared."""
    primary: Contrast | None
    """The primary contrast; None where no two arms could be compared."""
    secondary: tuple[Contrast, ...]
    """The secondary contrasts."""
    forgetting: dict[str, Forgetting]
    """Fine-tuned arm -> what it forgot."""
    excluded: dict[str, str]
    """Arm -> sentence about the limit that it breaks."""
    missing: tuple[str, ...] = ()
    """Sentences on what the primary contrast lacks."""
    general_declared: bool = True
    """The experiment asks for forgetting to be measured."""
    shortfalls: tuple[EffortReason, ...] = ()
    """Signs that ``fine_tuned`` was hardly tried; none of two fine-tuned arms."""
    challenges: tuple[Contrast, ...] = ()
    """Other fine-tuned arms that are better than the prompt arm picked, against each prompt arm
    that did better on test than that one."""
    references: tuple[Contrast, ...] = ()
    """Contrasts with arms without a language model: no rule looks at them, and they are a family
    of their own."""

    @property
    def outcome(self) -> str:
        """Outcome of the primary contrast; empty without one."""
        return self.primary.outcome if self.primary else ""

    @property
    def two_tuned(self) -> bool:
        """Both arms of the primary contrast are fine-tuned."""
        return self.against in self.experiment.trained_arms()

    @property
    def prompts_only(self) -> bool:
        """The experiment declares no fine-tuned arm: its prompts are ranked."""
        return not self.experiment.trained_arms()

    @property
    def pair(self) -> tuple[str, str]:
        """The arms of the primary contrast: the better one first where one is."""
        sides = (self.fine_tuned, self.against)
        return sides if self.outcome != "worse" else (sides[1], sides[0])

    @property
    def nothing_right(self) -> bool:
        """Whoever could be named has the worst score that the metric has, on every test item.

        In a study of prompts that is any of them, else the two that meet.
        """
        worst = self.experiment.task.primary.worst
        if self.primary is None or not math.isfinite(worst):
            return False
        met = self.arms if self.prompts_only else (self.fine_tuned, self.against)
        tested = [test for name in met if (test := self.arms[name].test) is not None]
        return bool(tested) and all(test == worst for test in tested)

    def abilities(self, arm: str) -> str:
        """The outcome of :class:`Forgetting`, or ``unmeasured``, or ``undeclared``."""
        if not self.general_declared:
            return "undeclared"
        forgetting = self.forgetting.get(arm)
        if forgetting is None or math.isnan(forgetting.mean_change):
            return "unmeasured"
        return forgetting.outcome

    def acceptable(self, arm: str) -> bool:
        """The arm's abilities were kept, or nobody asked for them."""
        return self.abilities(arm) in ("kept", "undeclared")

    def lost_too_much(self, arm: str) -> bool:
        """More than the margin was lost, on average or of a single ability."""
        return self.abilities(arm) in ("forgot", "lost_ability")

    def usable(self, arm: str) -> bool:
        """The arm breaks no limit and, if it is fine-tuned, is :meth:`acceptable`."""
        tuned = arm in self.experiment.trained_arms()
        return arm not in self.excluded and (not tuned or self.acceptable(arm))

    def replaceable(self, arm: str) -> bool:
        """Another tested arm of the same side breaks no limit, while this one does.

        Of two fine-tuned arms each is meant, so nothing stands in for either.
        """
        trained = arm in self.experiment.trained_arms()
        return (
            not self.two_tuned
            and arm in self.excluded
            and any(
                summary.test is not None
                and name not in self.excluded
                and (name in self.experiment.trained_arms()) is trained
                for name, summary in self.arms.items()
            )
        )

    def prompt_if_allowed(self) -> str:
        """The prompt arm; nothing where it breaks a limit."""
        return "" if self.prompt in self.excluded else self.prompt

    def all_lost_too_much(self) -> bool:
        """Every tested fine-tuned arm within the limits was shown to have lost too much."""
        tested = [
            name
            for name in self.experiment.trained_arms()
            if self.arms[name].test is not None and name not in self.excluded
        ]
        return bool(tested) and all(map(self.lost_too_much, tested))

    def alternative(self) -> str:
        """Another fine-tuned arm within the limits that beats the prompt and keeps abilities.

        It beats every prompt arm that did better on test than the one picked, too. Nothing where
        two fine-tuned arms are compared, or where the experiment names its arm: only that one may
        claim to have kept abilities then.
        """
        able = [
            contrast
            for contrast in self.secondary
            if not (self.two_tuned or self.experiment.contrast.fine_tuned)
            and contrast.b == self.prompt
            and contrast.outcome == "better"
            and contrast.a in self.experiment.trained_arms()
            and self.usable(contrast.a)
            and not any(
                challenge.a == contrast.a
                and challenge.b not in self.excluded
                and challenge.outcome != "better"
                for challenge in self.challenges
            )
        ]
        best = max(able, key=lambda contrast: contrast.difference, default=None)
        return best.a if best else ""

    def beats_either_alone(self, arm: str) -> bool:
        """The arm has the instruction of a prompt arm, and is better than either without the other.

        It is better than that prompt arm and the best one, and than every arm of its kind that is
        trained under an instruction of its own. As it has to beat each, in its own contrast, none
        of them is picked, and the claim is as rarely false as the least of these is (an
        intersection-union test: Berger 1982).
        """
        alone = each_alone(self.experiment.arms, arm)
        return (
            bool(alone)
            and not self.told_nothing_new(arm)
            and all(self._beats(arm, other) for other in (*alone, self.prompt))
        )

    def told_nothing_new(self, arm: str) -> bool:
        """The instruction that another arm's search selected for this one is the task's own."""
        if instruction_source(self.experiment.arms[arm]) is None:
            return False
        summary = self.arms[arm]
        # Of several searches the setting of one is known here; another may have selected otherwise.
        return summary.searches <= 1 and summary.params.get("instruction", "") is None

    @property
    def deciding(self) -> tuple[Contrast, ...]:
        """The secondary contrasts that the verdict rests on beside the primary one.

        Those of prompts that are ranked, and of an arm that is better than either alone.
        """
        several = self.prompts_only or self.beats_either_alone(self.pair[0])
        return self.secondary if several else ()

    def _beats(self, arm: str, other: str) -> bool:
        contrasts = [contrast for contrast in (self.primary, *self.secondary) if contrast]
        return any(
            (contrast.a, contrast.b, contrast.outcome)
            in ((arm, other, "better"), (other, arm, "worse"))
            for contrast in contrasts
        )

    def unbeaten(self) -> Contrast | None:
        """Fine-tuning against a prompt arm that did better on test than the one picked, not won.

        Which prompt arm meets fine-tuning is picked on validation, and a pick can be unlucky: a
        win over it alone does not show that fine-tuning beats prompting. Looking at test here can
        only take a claim back. An arm that the experiment names is taken at its word.
        """
        if self.primary is None or self.experiment.contrast.against:
            return None
        rivals = [
            contrast
            for contrast in self.secondary
            if contrast.a == self.fine_tuned
            and contrast.b in self.experiment.prompt_arms()
            and contrast.b not in self.excluded
            and contrast.outcome != "better"
            # Differences are oriented: the smaller, the better the prompt arm did.
            and contrast.difference < self.primary.difference
        ]
        return min(rivals, key=lambda contrast: contrast.difference, default=None)

    def cheaper(self) -> str:
        """The cheaper usable side over the horizon.

        The prompt where a cost is unknown or equal; of two fine-tuned arms then the one that
        leaves less to deploy.
        """
        months = self.experiment.cost.months
        sides = [arm for arm in self.pair if self.usable(arm)] or [self.against]
        money = {arm: total_money(self.arms[arm].cost, months) for arm in sides}
        known = {arm: amount for arm, amount in money.items() if amount is not None}

        def key(arm: str) -> tuple[float, bool, int, str]:
            amount = known[arm] if len(known) == len(sides) else 0.0
            tuned = arm in self.experiment.trained_arms()
            return amount, tuned, self.arms[arm].cost.artifact_bytes, arm

        return min(sides, key=key)


__all__ = ["Evidence"]
