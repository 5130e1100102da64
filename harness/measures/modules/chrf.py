"""chrF of sacrebleu, 0 to 100."""

from typing import Any

import datasets
import evaluate
import sacrebleu


class Chrf(evaluate.Metric):
    """chrF of sacrebleu, 0 to 100."""

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
        return {"score": sacrebleu.CHRF(**options).corpus_score(predictions, [references]).score}
