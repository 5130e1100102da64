"""All that the analysis concluded about one study."""

from __future__ import annotations

from dataclasses import dataclass

from harness.findings.arms import ArmSummary, BreakEven, MemoryEstimate
from harness.findings.classes import ArmClasses
from harness.findings.confidence import ArmConfidence
from harness.findings.contrast import Contrast
from harness.findings.forgetting import Forgetting, SettingEffect, TaskDivergence, TradeOffPoint
from harness.findings.generalisation import LearningCurve, Memorisation, Overfitting
from harness.findings.judged import JudgeTrust
from harness.findings.judges import JudgeCost, JudgeUse
from harness.findings.next_step import NextStep
from harness.findings.search import Retuning, SearchSummary, TuningGain
from harness.findings.slices import Slicing
from harness.findings.verdict import Claim, Effort, NotCovered, PlanLock, Sensitivity, Verdict


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything the analysis says of one study."""

    verdict: Verdict
    """The decision."""
    primary: Contrast | None
    """The contrast that decides; None where no two arms could be compared."""
    secondary: tuple[Contrast, ...]
    """The secondary contrasts; in a study of prompts only they are one family with the primary one.
    """
    arms: tuple[ArmSummary, ...]
    """The table of arms, in the order of the experiment file."""
    forgetting: tuple[Forgetting, ...]
    """What each fine-tuned arm forgot; empty without a general suite."""
    overfitting: tuple[Overfitting, ...]
    """Gaps between train, validation and test, of the arms with a test result."""
    break_even: tuple[BreakEven, ...]
    """After how many requests each fine-tuned arm is repaid against the prompt arm."""
    trade_off: tuple[TradeOffPoint, ...]
    """Candidates in the plane of learning against forgetting."""
    references: tuple[Contrast, ...] = ()
    """Contrasts of the arm that the verdict is about with each arm without a language model, a
    family of their own."""
    general_unscored: tuple[str, ...] = ()
    """Tasks of the general suite that the base has no score on."""
    task_divergence: tuple[TaskDivergence, ...] = ()
    """How far training moved each arm on the task's own inputs."""
    tuning: tuple[TuningGain, ...] = ()
    """What tuning gained, of the arms with a search space."""
    curves: tuple[LearningCurve, ...] = ()
    """Learning curves, of the arms that were trained on fewer examples too."""
    memorisation: tuple[Memorisation, ...] = ()
    """Memorisation of training texts, of the fine-tuned arms."""
    effects: tuple[SettingEffect, ...] = ()
    """How hyperparameters go with the general change."""
    sensitivity: Sensitivity | None = None
    """What the verdict hangs on; None where nothing was compared or it was not asked for."""
    memory: tuple[MemoryEstimate, ...] = ()
    """Estimated training memory by kind of arm and size of model."""
    claims: tuple[Claim, ...] = ()
    """Claims of guides to fine-tuning, checked; empty in a study without a fine-tuned arm."""
    searches: tuple[SearchSummary, ...] = ()
    """The course of every search."""
    effort: tuple[Effort, ...] = ()
    """How hard each fine-tuned arm was tried."""
    retuning: tuple[Retuning, ...] = ()
    """Spread between searches, of the arms that were searched more than once."""
    plan: PlanLock | None = None
    """The plan as it was locked; None where the study has none."""
    judges: tuple[JudgeUse, ...] = ()
    """The judges whose marks are metrics."""
    judge_cost: JudgeCost | None = None
    """What judges took; None without a judge."""
    not_covered: tuple[NotCovered, ...] = ()
    """Sources of chance that no interval covers."""
    slicing: Slicing | None = None
    """The primary contrast on parts of the test items; None where nothing was compared."""
    classes: tuple[ArmClasses, ...] = ()
    """What each arm with a test result made of every class; empty where answers have none."""
    confidence: tuple[ArmConfidence, ...] = ()
    """How sure the arms are that choose among all allowed answers."""
    trust: tuple[JudgeTrust, ...] = ()
    """The judges whose marks are metrics, held against people."""
    next_steps: tuple[NextStep, ...] = ()
    """What to do next, at most three steps, the one that matters most first."""


__all__ = [
    "Findings",
]
