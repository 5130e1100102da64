"""BLEU of sacrebleu, 0 to 100; of a single text, as sentences are scored."""

from typing import Any

import datasets
import evaluate
import sacrebleu


class Sacrebleu(evaluate.Metric):
    """BLEU of sacrebleu, 0 to 100; of a single text, as sentences are scored."""

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
        options = {"effective_order": len(predictions) == 1, **options}
        return {"score": sacrebleu.BLEU(**options).corpus_score(predictions, [references]).score}
