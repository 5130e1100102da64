"""A stored study for other programs: optuna-dashboard and MLflow."""

from harness.export.mlflow_runs import export_mlflow
from harness.export.optuna_studies import export_optuna

__all__ = ["export_mlflow", "export_optuna"]
