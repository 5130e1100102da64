"""What the verdict may look at, and the questions that its rules ask of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.analysis.cost import total_money
from harness.findings import ArmSummary, Contrast, Forgetting
from harness.spec import Experiment


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the rules may look at.

    against: the arm that ``fine_tuned`` is compared with, of either kind. prompt: the best prompt
    arm, the same as ``against`` unless two fine-tuned arms are compared.
    missing: sentences on what the primary contrast lacks. excluded: arm -> limit it breaks.
    general_declared: the experiment asks for forgetting to be measured.
    """

    experiment: Experiment
    arms: dict[str, ArmSummary]
    fine_tuned: str
    against: str
    prompt: str
    primary: Contrast | None
    secondary: tuple[Contrast, ...]
    forgetting: dict[str, Forgetting]
    excluded: dict[str, str]
    missing: tuple[str, ...] = ()
    general_declared: bool = True

    @property
    def outcome(self) -> str:
        """Outcome of the primary contrast; empty without one."""
        return self.primary.outcome if self.primary else ""

    @property
    def two_tuned(self) -> bool:
        """Both arms of the primary contrast are fine-tuned."""
        return self.against in self.experiment.trained_arms()

    @property
    def pair(self) -> tuple[str, str]:
        """The arms of the primary contrast: the better one first where one is."""
        sides = (self.fine_tuned, self.against)
        return sides if self.outcome != "worse" else (sides[1], sides[0])

    def abilities(self, arm: str) -> str:
        """``kept``, ``forgot``, ``inconclusive``, ``unmeasured``, or ``undeclared``."""
        if not self.general_declared:
            return "undeclared"
        found = self.forgetting.get(arm)
        if found is None or math.isnan(found.mean_change):
            return "unmeasured"
        return found.outcome

    def acceptable(self, arm: str) -> bool:
        """The arm's abilities were kept, or nobody asked for them."""
        return self.abilities(arm) in ("kept", "undeclared")

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

    def all_forgot(self) -> bool:
        """Every tested fine-tuned arm within the limits was shown to have lost too much."""
        tested = [
            name
            for name in self.experiment.trained_arms()
            if self.arms[name].test is not None and name not in self.excluded
        ]
        return bool(tested) and all(self.abilities(name) == "forgot" for name in tested)

    def alternative(self) -> str:
        """Another fine-tuned arm within the limits that beats the prompt and keeps abilities.

        Nothing where two fine-tuned arms are compared.
        """
        able = [
            contrast
            for contrast in self.secondary
            if not self.two_tuned
            and contrast.b == self.prompt
            and contrast.outcome == "better"
            and contrast.a in self.experiment.trained_arms()
            and self.usable(contrast.a)
        ]
        best = max(able, key=lambda contrast: contrast.difference, default=None)
        return best.a if best else ""

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
