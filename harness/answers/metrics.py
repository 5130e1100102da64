"""The metrics that the product knows by name, each with what a reader and the analysis need."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Classes = Mapping[str, tuple[str, str]]
"""Field -> (target class, replied class) of one item."""
ABSENT = "<absent>"
"""The class of a label that does not apply."""


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """One metric."""

    name: str
    """As the experiment, the suites and the store write it."""
    label: str
    """As a reader sees it."""
    meaning: str
    """A sentence's end."""
    higher_is_better: bool = True
    """Whether greater values are better."""
    lowest: float = 0.0
    """The least value that it can have."""
    highest: float = 1.0
    """The greatest value that it can have; infinite where there is none."""
    share_of: str = ""
    """What it is a share of, as in "40 % of answers valid"; empty where it is no share of items."""
    per_item: bool = True
    """Whether each item has a value, whose mean it is; else it is computed from all items."""
    of_text: bool = False
    """Whether it is of running text, in which nothing is asked that could be right or wrong."""

    @property
    def best(self) -> float:
        """The best value that it can have; infinite where there is none."""
        return self.highest if self.higher_is_better else self.lowest

    @property
    def worst(self) -> float:
        """The worst value that it can have; infinite where there is none."""
        return self.lowest if self.higher_is_better else self.highest

    @property
    def is_share(self) -> bool:
        """Whether it is a share of items, so that per cent is its natural unit."""
        return bool(self.share_of)


EXACT_MATCH = MetricInfo(
    "exact_match",
    "exact match",
    "share of answers that equal the right answer, of numbers within the tolerance; 1 is best",
    share_of="answers exactly right",
)
VALID = MetricInfo(
    "valid",
    "valid answer",
    "share of answers that the task allows (label listed, schema fulfilled, a number); 1 is best",
    share_of="answers valid",
)
VALID_JSON = MetricInfo(
    "valid_json",
    "valid JSON",
    "share of answers that can be read as JSON; 1 is best",
    share_of="answers valid JSON",
)
FIELD_F1 = MetricInfo(
    "field_f1",
    "field F1",
    "share of the answer's fields that are right, balanced over missing and surplus fields; 1 is "
    "best",
)
SET_F1 = MetricInfo(
    "set_f1",
    "set F1",
    "share of the item's labels that are right, balanced over missing and surplus ones, and 1 "
    "where none applies and none is named; 1 is best",
)
JACCARD = MetricInfo(
    "jaccard",
    "Jaccard index",
    "labels that right answer and reply share, over those that either has; 1 is best",
)
ARGUMENT_F1 = MetricInfo(
    "argument_f1",
    "argument F1",
    "share of the arguments of calls that are right, balanced over missing and surplus ones, each "
    "of the right function; 1 is best",
)
RIGHT_FUNCTIONS = MetricInfo(
    "right_functions",
    "right functions",
    "share of replies that call the right functions, each as often as is right, whatever their "
    "arguments; 1 is best",
    share_of="replies with the right functions",
)
MACRO_F1 = MetricInfo(
    "macro_f1",
    "macro F1",
    "F1 averaged over the classes, rare ones counting as much as common ones; 1 is best",
    per_item=False,
)
ABSOLUTE_ERROR = MetricInfo(
    "absolute_error",
    "absolute error",
    "distance from the right number, in its unit, where a reply without a number is as far off as "
    "the farthest number of training; lower is better",
    higher_is_better=False,
    highest=math.inf,
)
RELATIVE_ERROR = MetricInfo(
    "relative_error",
    "relative error",
    "distance from the right number as a share of it, 1 at most, as of a reply without a number; "
    "lower is better",
    higher_is_better=False,
)
CHRF = MetricInfo(
    "chrf", "chrF", "overlap of character sequences with the reference; higher is better"
)
ROUGE_L = MetricInfo(
    "rouge_l", "ROUGE-L", "longest common word sequence with the reference; higher is better"
)
# Of general suites; a suite may name others, of which nothing more is known.
ACC = MetricInfo(
    "acc",
    "accuracy",
    "share of items answered rightly; 1 is best",
    share_of="items answered rightly",
)
ACC_NORM = MetricInfo(
    "acc_norm",
    "accuracy, length-normalised",
    "accuracy where the likelihood of each choice is divided by its length; 1 is best",
    share_of="items answered rightly",
)
BITS_PER_BYTE = MetricInfo(
    "bits_per_byte",
    "bits per byte",
    "how surprised the model is by ordinary text; lower is better",
    higher_is_better=False,
    highest=math.inf,
    of_text=True,
)
BYTE_PERPLEXITY, WORD_PERPLEXITY = (
    MetricInfo(
        f"{unit}_perplexity",
        f"{unit} perplexity",
        f"among how many equally likely {unit}s the model chooses in ordinary text; lower is "
        "better",
        higher_is_better=False,
        lowest=1.0,
        highest=math.inf,
        of_text=True,
    )
    for unit in ("byte", "word")
)
KL_TO_BASE = MetricInfo(
    "kl_to_base",
    "divergence from the base",
    "nats a token by which the model's predictions have moved from the base's; lower is better",
    higher_is_better=False,
    highest=math.inf,
)
VERBATIM = MetricInfo(
    "verbatim",
    "completed word for word",
    "share of texts whose second half the model writes word for word; higher is more memorised",
    share_of="texts completed word for word",
)

CONFIDENCE = MetricInfo(
    "confidence",
    "confidence",
    "likelihood of the answer chosen, as a share of that of all allowed answers; it is no measure "
    "of quality",
)

METRICS: Mapping[str, MetricInfo] = {
    metric.name: metric
    for metric in (
        EXACT_MATCH, VALID, VALID_JSON, FIELD_F1, SET_F1, JACCARD, ARGUMENT_F1,
        RIGHT_FUNCTIONS, MACRO_F1, ABSOLUTE_ERROR, RELATIVE_ERROR, CHRF,
        ROUGE_L, ACC, ACC_NORM, BITS_PER_BYTE, BYTE_PERPLEXITY, WORD_PERPLEXITY, KL_TO_BASE,
        VERBATIM, CONFIDENCE,
    )
}  # fmt: skip


def is_share(name: str) -> bool:
    """Whether the product knows a metric of this name as a share of items."""
    return name in METRICS and METRICS[name].is_share


def mean(values: Sequence[float]) -> float:
    """Mean over items: how a metric with a value per item is aggregated."""
    return sum(values) / len(values)


def mean_of_scored(values: Sequence[float]) -> float:
    """Mean over the items that have a value; NaN where none has."""
    scored = [value for value in values if not math.isnan(value)]
    return mean(scored) if scored else math.nan


def macro_f1(items: Sequence[Classes]) -> float:
    """Mean over fields of the macro-averaged F1 over the classes that occur as targets.

    Absence is no class of its own: of labels that apply or not, the F1 of applying counts. NaN
    where there is no class, as in JSON whose fields are open.
    """
    from sklearn.metrics import f1_score

    fields = sorted({field for item in items for field in item})
    scores = []
    for field in fields:
        targets, replies = zip(*(item[field] for item in items if field in item), strict=True)
        labels = sorted({*targets} - {ABSENT})
        if not labels:
            continue
        scores.append(f1_score(targets, replies, labels=labels, average="macro", zero_division=0))
    return float(sum(scores) / len(scores)) if scores else math.nan
