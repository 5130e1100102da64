"""Mean absolute error of numbers; lower is better."""

from typing import Any

import datasets
import evaluate
from sklearn.metrics import mean_absolute_error


class Mae(evaluate.Metric):
    """Mean absolute error of numbers; lower is better."""

    def _info(self) -> evaluate.MetricInfo:
        columns = {name: datasets.Value("float64") for name in ("predictions", "references")}
        return evaluate.MetricInfo(
            description=__doc__,
            citation="",
            inputs_description="predictions and references, one of each an item",
            features=datasets.Features(columns),
        )

    def _compute(
        self, predictions: list[Any], references: list[Any], **options: Any
    ) -> dict[str, float]:
        return {"mae": float(mean_absolute_error(references, predictions, **options))}
