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

    missing: sentences on what the primary contrast lacks. excluded: arm -> limit it breaks.
    general_declared: the experiment asks for forgetting to be measured.
    """

    experiment: Experiment
    arms: dict[str, ArmSummary]
    fine_tuned: str
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

    def abilities(self, arm: str) -> str:
        """``kept``, ``forgot``, ``inconclusive``, ``unmeasured``, or ``undeclared``."""
        if not self.general_declared:
            return "undeclared"
        found = self.forgetting.get(arm)
        if found is None or math.isnan(found.mean_change):
            return "unmeasured"
        return found.outcome

    def replaceable(self, arm: str) -> bool:
        """Another tested arm of the same side breaks no limit, while this one does."""
        trained = arm in self.experiment.trained_arms()
        return arm in self.excluded and any(
            summary.test is not None
            and name not in self.excluded
            and (name in self.experiment.trained_arms()) is trained
            for name, summary in self.arms.items()
        )

    def prompt_if_allowed(self) -> str:
        """The prompt arm; nothing where it breaks a limit."""
        return "" if self.prompt in self.excluded else self.prompt

    def acceptable(self, arm: str) -> bool:
        """The arm's abilities were kept, or nobody asked for them."""
        return self.abilities(arm) in ("kept", "undeclared")

    def alternative(self) -> str:
        """Another fine-tuned arm within the limits that beats the prompt and keeps abilities."""
        able = [
            contrast
            for contrast in self.secondary
            if contrast.b == self.prompt
            and contrast.outcome == "better"
            and contrast.a in self.experiment.trained_arms()
            and contrast.a not in self.excluded
            and self.acceptable(contrast.a)
        ]
        best = max(able, key=lambda contrast: contrast.difference, default=None)
        return best.a if best else ""

    def unbeaten(self) -> Contrast | None:
        """Fine-tuning against a prompt arm that did better on test than the one picked, not won.

        Which prompt arm meets fine-tuning is picked on validation, and a pick can be unlucky: a
        win over it alone does not show that fine-tuning beats prompting. Looking at test here can
        only take a claim back. A prompt arm that the experiment names is taken at its word.
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
        """The cheaper side over the horizon; the prompt where a cost is unknown or equal."""
        if not self.acceptable(self.fine_tuned):
            return self.prompt
        months = self.experiment.cost.months
        trained = total_money(self.arms[self.fine_tuned].cost, months)
        prompted = total_money(self.arms[self.prompt].cost, months)
        if trained is None or prompted is None:
            return self.prompt
        return self.fine_tuned if trained < prompted else self.prompt


__all__ = ["Evidence"]
