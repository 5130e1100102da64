"""BLEU of sacrebleu, 0 to 1; of a single text, as sentences are scored."""

from typing import Any

import datasets
import evaluate
import sacrebleu


class Bleu(evaluate.Metric):
    """BLEU of sacrebleu, 0 to 1; of a single text, as sentences are scored."""

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
        bleu = sacrebleu.BLEU(**options).corpus_score(predictions, [references])
        return {"bleu": bleu.score / 100}
