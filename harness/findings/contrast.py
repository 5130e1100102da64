"""The difference between two arms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

# Above this share a few items that say the same are no groups to speak of.
OWN_GROUPS = 0.9
ContrastOutcome = Literal["better", "worse", "equivalent", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval at ``level`` (0.95 is 95 %)."""

    low: float
    """Lower bound, in the unit of the estimate."""
    high: float
    """Upper bound, in the unit of the estimate."""
    level: float = 0.95
    """Confidence level, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Arm ``a`` against arm ``b``, paired item by item."""

    a: str
    """Name of the first arm."""
    b: str
    """Name of the second arm."""
    task: str
    """Task on which they are compared."""
    split: str
    """Split on which they are compared."""
    metric: str
    """Metric in which they are compared."""
    primary: bool
    """This is the primary contrast."""
    items: int
    """Number of items that both arms scored."""
    clusters: int
    """Number of independent groups among these items."""
    seeds_a: int
    """Number of seeds of ``a``."""
    seeds_b: int
    """Number of seeds of ``b``."""
    mean_a: float
    """Mean score of ``a`` over items and seeds, in the metric's own direction."""
    mean_b: float
    """Mean score of ``b`` over items and seeds, in the metric's own direction."""
    difference: float
    """Mean of a - b, positive when a is better."""
    interval: Interval
    """Confidence interval of ``difference``."""
    p_value: float
    """Two-sided p-value against no difference."""
    p_adjusted: float
    """``p_value`` Holm-corrected over the family; uncorrected for the primary one, but in a study
    of prompts only, whose contrasts are one family with the primary one in it."""
    test: str
    """The method that gave ``p_value`` (two-sided)."""
    margin: float
    """Differences inside +-margin count as equivalent."""
    outcome: ContrastOutcome
    """What the interval says of ``a`` against ``b``."""
    minimum_detectable: float
    """Smallest true difference found with 80 % power at this design; of a contrast of a family at
    the strictest level that the correction may ask of it."""
    items_needed: int | None
    """Items that would settle the observed difference with 80 % power, at the same level; None when
    settled, or when no number of items would with these seeds."""
    equivalence_interval: Interval | None = None
    """The interval at 1 - 2 (1 - level), 90 % for a level of 95 %; the arms are equivalent where it
    lies within +-margin."""
    left_out: int = 0
    """Number of test items that one of the arms lacks."""
    unscored: int = 0
    """Number of items that one of the arms could not score. Neither kind is in the comparison."""
    unscored_as_worst: float | None = None
    """``difference`` with the worst value of the metric for each reply that could not be scored;
    None where all were scored."""
    corrected: bool = False
    """Whether means, difference and interval are a judge's marks as people's marks correct them."""
    rests_on_missing: bool = False
    """Whether that comes out otherwise, so that the contrast counts as inconclusive."""
    flagged: int = 0
    """Number of items compared that share text with training."""
    without_flagged: WithoutFlagged | None = None
    """The contrast without flagged items; None where there are none, or too few items are left."""
    family: int = 0
    """Number of contrasts over which the p-value is corrected together; 0 for the primary one."""
    label: str = ""
    """The metric as a reader sees it, where the study brings it; empty for the product's own."""
    decoding: str = ""
    """How the two answer, a sentence, where they answer in different ways; empty where they answer
    alike."""

    @property
    def groups_needed(self) -> int | None:
        """Groups that the items needed are of, as more items of the same groups settle nothing;
        None where none are needed, or nearly each item is a group of its own."""
        if self.items_needed is None or self.clusters > OWN_GROUPS * self.items:
            return None
        return math.ceil(self.items_needed * self.clusters / self.items)


@dataclass(frozen=True, slots=True)
class WithoutFlagged:
    """A contrast again, on the items that the leakage audit did not flag."""

    items: int
    """Number of items left."""
    mean_a: float
    """Mean score of ``a`` on them, in the metric's own direction."""
    mean_b: float
    """Mean score of ``b`` on them, in the metric's own direction."""
    difference: float
    """Mean of a - b on them, positive when a is better."""
    interval: Interval
    """Confidence interval of ``difference``."""
    outcome: ContrastOutcome
    """What that interval says of ``a`` against ``b``."""


__all__ = [
    "Contrast",
    "ContrastOutcome",
    "Interval",
    "WithoutFlagged",
]
