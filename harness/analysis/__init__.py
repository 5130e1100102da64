"""From records to findings: pure functions that need no database, no GPU and no network."""

from harness.analysis.across_studies import compare_studies, distinct
from harness.analysis.rules import rules
from harness.analysis.samples import gather_samples
from harness.analysis.selection import current
from harness.analysis.whole_study import analyse

__all__ = ["analyse", "compare_studies", "current", "distinct", "gather_samples", "rules"]
