"""A stored study for other programs: optuna-dashboard, MLflow, and whatever serves its winner."""

from harness.export.mlflow_runs import export_mlflow
from harness.export.model_folder import export_model
from harness.export.optuna_studies import export_optuna
from harness.export.prompt_file import export_prompt

__all__ = ["export_mlflow", "export_model", "export_optuna", "export_prompt"]
