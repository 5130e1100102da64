"""What the analysis concluded: the values that the report is written from.

Differences are always ``a - b`` in the metric's own unit and oriented so that positive is
better for ``a``, whatever the metric's direction.
"""

from harness.findings.arms import (
    ArmSummary,
    BreakEven,
    CostSummary,
    Latency,
    MemoryEstimate,
    TimedTurn,
)
from harness.findings.classes import (
    ArmClasses,
    ClassScore,
    Confusion,
)
from harness.findings.comparison import (
    ComparedStudy,
    PairedAcross,
    Part,
    Refusal,
    RefusalReason,
    SettingDifference,
    StudyComparison,
    UnpairedAcross,
)
from harness.findings.confidence import (
    Abstention,
    ArmConfidence,
    ConfidenceBin,
)
from harness.findings.contrast import (
    Contrast,
    ContrastOutcome,
    Interval,
    WithoutFlagged,
)
from harness.findings.forgetting import (
    AbilitiesWithoutFlagged,
    Forgetting,
    ForgettingOutcome,
    GeneralDelta,
    NotCounted,
    SettingEffect,
    TaskDivergence,
    TradeOffPoint,
)
from harness.findings.generalisation import (
    CurvePoint,
    LearningCurve,
    Memorisation,
    Overfitting,
)
from harness.findings.judged import (
    ArmBias,
    CorrectedContrast,
    JudgeTrust,
)
from harness.findings.judges import JudgeCost, JudgeUse
from harness.findings.next_step import NextStep
from harness.findings.samples import (
    ArmSamples,
    RunSamples,
    Samples,
)
from harness.findings.search import (
    EarlyStop,
    EdgeSetting,
    PicturedSetting,
    PicturedTrial,
    Retuning,
    RisingSearch,
    SearchChoice,
    SearchEnd,
    SearchPicture,
    SearchSummary,
    TuningGain,
)
from harness.findings.slices import (
    Slice,
    Slicing,
    ValiditySlice,
)
from harness.findings.study import (
    Findings,
)
from harness.findings.verdict import (
    OUTCOME_LABELS,
    Claim,
    ClaimStatus,
    Effort,
    EffortReason,
    Flip,
    NotCovered,
    Perturbation,
    PlanLock,
    Sensitivity,
    Shortfall,
    Verdict,
    VerdictOutcome,
)

__all__ = [
    "OUTCOME_LABELS",
    "AbilitiesWithoutFlagged",
    "Abstention",
    "ArmBias",
    "ArmClasses",
    "ArmConfidence",
    "ArmSamples",
    "ArmSummary",
    "BreakEven",
    "Claim",
    "ClaimStatus",
    "ClassScore",
    "ComparedStudy",
    "ConfidenceBin",
    "Confusion",
    "Contrast",
    "ContrastOutcome",
    "CorrectedContrast",
    "CostSummary",
    "CurvePoint",
    "EarlyStop",
    "EdgeSetting",
    "Effort",
    "EffortReason",
    "Findings",
    "Flip",
    "Forgetting",
    "ForgettingOutcome",
    "GeneralDelta",
    "Interval",
    "JudgeCost",
    "JudgeTrust",
    "JudgeUse",
    "Latency",
    "LearningCurve",
    "Memorisation",
    "MemoryEstimate",
    "NextStep",
    "NotCounted",
    "NotCovered",
    "Overfitting",
    "PairedAcross",
    "Part",
    "Perturbation",
    "PicturedSetting",
    "PicturedTrial",
    "PlanLock",
    "Refusal",
    "RefusalReason",
    "Retuning",
    "RisingSearch",
    "RunSamples",
    "Samples",
    "SearchChoice",
    "SearchEnd",
    "SearchPicture",
    "SearchSummary",
    "Sensitivity",
    "SettingDifference",
    "SettingEffect",
    "Shortfall",
    "Slice",
    "Slicing",
    "StudyComparison",
    "TaskDivergence",
    "TimedTurn",
    "TradeOffPoint",
    "TuningGain",
    "UnpairedAcross",
    "ValiditySlice",
    "Verdict",
    "VerdictOutcome",
    "WithoutFlagged",
]
