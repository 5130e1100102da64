"""From records to findings: pure functions that need no database, no GPU and no network."""

from harness.analysis.arms.samples import gather_samples
from harness.analysis.comparison.across_studies import compare_studies, distinct
from harness.analysis.searches.selection import current
from harness.analysis.verdict.rules import rules, rules_hash
from harness.analysis.whole_study import analyse

__all__ = [
    "analyse",
    "compare_studies",
    "current",
    "distinct",
    "gather_samples",
    "rules",
    "rules_hash",
]
