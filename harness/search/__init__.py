"""Hyperparameter search: ask and tell. Sole importer of optuna."""

from harness.search.study import ArmSearch, PastTrial, Proposal

__all__ = ["ArmSearch", "PastTrial", "Proposal"]
