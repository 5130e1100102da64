"""scikit-learn's f1 by class, averaged over classes unless told otherwise."""

from typing import Any

import datasets
import evaluate
from sklearn.metrics import f1_score


class F1(evaluate.Metric):
    """scikit-learn's f1 by class, averaged over classes unless told otherwise."""

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
        options = {"average": "macro", "zero_division": 0, **options}
        return {"f1": float(f1_score(references, predictions, **options))}
