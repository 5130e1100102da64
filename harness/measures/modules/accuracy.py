"""Share of predictions that equal their reference."""

from typing import Any

import datasets
import evaluate
from sklearn.metrics import accuracy_score


class Accuracy(evaluate.Metric):
    """Share of predictions that equal their reference."""

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
        return {"accuracy": float(accuracy_score(references, predictions, **options))}
