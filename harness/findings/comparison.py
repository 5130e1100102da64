"""Several studies beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.findings.arms import ArmSummary
from harness.findings.contrast import Contrast, Interval
from harness.findings.forgetting import Forgetting
from harness.findings.verdict import Verdict

Part = Literal["model", "data", "task", "arms", "search", "measuring", "judging", "machine"]
RefusalReason = Literal[
    "unfinished", "metric", "task", "test_items", "scores", "general_unmeasured", "general_suite"
]


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """A setting, or a fact about what was used, that is not the same in all studies."""

    part: Part
    """The part of the experiment that the setting belongs to."""
    setting: str
    """Dotted name of the setting or fact."""
    values: tuple[object, ...]
    """One value a study, in their order; None where a study has no such setting."""


@dataclass(frozen=True, slots=True)
class ComparedStudy:
    """One of several studies."""

    label: str
    """The study's name; the name of its folder where two studies share a name."""
    name: str
    """Name of the experiment."""
    experiment_id: str
    """Id of the experiment in the store."""
    created_at: str
    """When the experiment was declared, ISO 8601."""
    metric: str
    """The study's primary metric."""
    metric_label: str
    """The same as a reader sees it."""
    verdict: Verdict
    """The study's own verdict."""
    arms: tuple[ArmSummary, ...]
    """The study's table of arms."""
    fine_tuned: str
    """Its best fine-tuned arm, picked on validation unless declared; empty where none was tested.
    """
    prompt: str
    """Its best prompt arm, picked on validation unless declared; empty where none was tested."""
    untested: tuple[str, ...]
    """Names of the arms without a test result."""
    items: int
    """Number of test items that were scored."""
    forgetting: tuple[Forgetting, ...]
    """What its fine-tuned arms forgot, each against the study's own base."""


@dataclass(frozen=True, slots=True)
class PairedAcross:
    """An arm of one study against an arm of the reference, on the test items that both answered."""

    study: str
    """Label of the study."""
    reference: str
    """Label of the reference."""
    arm: str
    """Arm of ``study``; ``base`` is its untouched base model."""
    reference_arm: str
    """Arm of ``reference`` that it is compared with."""
    leading: bool
    """Both arms are what their study picked as the best of a kind."""
    contrast: Contrast
    """The contrast of the two, positive when ``study`` is better; its p-values are Holm-corrected
    over all such differences, as none was declared beforehand."""


@dataclass(frozen=True, slots=True)
class UnpairedAcross:
    """An arm of one study against an arm of the reference, tested on different items.

    The difference holds what the items changed along with what the settings changed.
    """

    study: str
    """Label of the study."""
    reference: str
    """Label of the reference."""
    arm: str
    """Arm of ``study``; ``base`` is its untouched base model."""
    reference_arm: str
    """Arm of ``reference`` that it is compared with."""
    leading: bool
    """Both arms are what their study picked as the best of a kind."""
    metric: str
    """The primary metric of both studies."""
    label: str
    """The same as a reader sees it."""
    items: int
    """Number of items in the sample of ``arm``."""
    reference_items: int
    """Number of items in the sample of ``reference_arm``."""
    common_items: int
    """Number of items that both studies have; they count as different ones here and so widen the
    interval."""
    mean: float
    """Mean score of ``arm``, in the metric's own direction."""
    reference_mean: float
    """Mean score of ``reference_arm``, in the metric's own direction."""
    difference: float
    """Difference of the two means, positive when ``study`` is better."""
    interval: Interval
    """Confidence interval of ``difference``, at the reference's level."""
    p_value: float
    """Two-sided p-value against no difference."""
    p_adjusted: float
    """``p_value`` Holm-corrected over all differences of the comparison, paired and unpaired."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is not compared, why, and what would make it comparable."""

    studies: tuple[str, ...]
    """Labels of the one study that is compared with none, or of the two that are not compared."""
    what: Literal["scores", "pairing", "general"]
    """What is refused: ``scores`` are not compared at all; ``pairing``: they are compared only
    unpaired; ``general``: what was forgotten is not set side by side."""
    reason: RefusalReason
    """The kind of obstacle."""
    sentence: str
    """The obstacle in words."""
    remedy: str
    """What to change so that the studies can be compared."""


@dataclass(frozen=True, slots=True)
class StudyComparison:
    """Several studies: what differs in the setting, and what in the score where that can be said.

    The first study is the reference that the others are compared with.
    """

    studies: tuple[ComparedStudy, ...]
    """The studies in the order given, the reference first."""
    settings: tuple[SettingDifference, ...]
    """Settings and facts that differ between the studies."""
    paired: tuple[PairedAcross, ...]
    """Differences on items that both studies were tested on."""
    unpaired: tuple[UnpairedAcross, ...]
    """Differences between studies that were tested on different items."""
    refusals: tuple[Refusal, ...]
    """What could not be compared; empty where all could."""
    general: tuple[str, ...]
    """Labels of the studies whose general suite is the reference's, the reference among them."""
    margin: float
    """The reference's margin, within which differences count as equivalent."""
    level: float
    """The reference's confidence level (0.95 is 95 %)."""


__all__ = [
    "ComparedStudy",
    "PairedAcross",
    "Part",
    "Refusal",
    "RefusalReason",
    "SettingDifference",
    "StudyComparison",
    "UnpairedAcross",
]
