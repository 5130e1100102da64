"""Hyperparameter search: ask and tell. Sole importer of optuna."""

from harness.search.pruning import Judge
from harness.search.study import ArmSearch, PastTrial, Proposal

__all__ = ["ArmSearch", "Judge", "PastTrial", "Proposal"]
