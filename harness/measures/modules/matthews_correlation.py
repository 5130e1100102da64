"""Matthews' correlation of predicted with right classes, -1 to 1."""

from typing import Any

import datasets
import evaluate
from sklearn.metrics import matthews_corrcoef


class MatthewsCorrelation(evaluate.Metric):
    """Matthews' correlation of predicted with right classes, -1 to 1."""

    def _info(self) -> evaluate.MetricInfo:
        columns = {name: datasets.Value("string") for name in ("predictions", "references")}
        return evaluate.MetricInfo(
            description=__doc__,
            citation="",
            inputs_description="predictions and references, one of each an item",
            features=datasets.Features(columns),
        )

    def _compute(
        self, predictions: list[Any], references: list[Any], **options: Any
    ) -> dict[str, float]:
        return {
            "matthews_correlation": float(matthews_corrcoef(references, predictions, **options))
        }
