"""ROUGE of rouge-score: shared words, word pairs and longest common sequences, 0 to 1."""

from typing import Any

import datasets
import evaluate
from rouge_score.rouge_scorer import RougeScorer


class Rouge(evaluate.Metric):
    """ROUGE of rouge-score: shared words, word pairs and longest common sequences, 0 to 1."""

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
        names = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
        scorer = RougeScorer(names, **options)
        scores = [scorer.score(r, p) for r, p in zip(references, predictions, strict=True)]
        return {name: sum(one[name].fmeasure for one in scores) / len(scores) for name in names}
