"""The modules of ``evaluate`` that come with the product, with what is known of their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("modules")


@dataclass(frozen=True, slots=True)
class BundledModule:
    """One of them."""

    meaning: str
    """A sentence's end, for the reader."""
    bounds: tuple[float | None, float | None] = (0.0, 1.0)
    """Least and greatest value; None where there is none."""
    higher_is_better: bool = True
    """Whether greater values are better."""
    per_item: bool = True
    """Whether an item by itself has a value."""


def _classes(what: str, lowest: float = 0.0) -> BundledModule:
    return BundledModule(f"{what}, of all items together; 1 is best", (lowest, 1.0), per_item=False)


BUNDLED: Mapping[str, BundledModule] = {
    "accuracy": BundledModule("share of replies that equal the reference; 1 is best"),
    "bleu": BundledModule("BLEU of sacrebleu, word sequences shared; 1 is best"),
    "chrf": BundledModule(
        "chrF of sacrebleu, character sequences shared; 100 is best", (0.0, 100.0)
    ),
    "f1": _classes("F1 averaged over the classes"),
    "mae": BundledModule(
        "distance of two numbers; lower is better", (0.0, None), higher_is_better=False
    ),
    "matthews_correlation": _classes("Matthews' correlation with the right classes", -1.0),
    "mse": BundledModule(
        "squared distance of two numbers; lower is better", (0.0, None), higher_is_better=False
    ),
    "precision": _classes("precision averaged over the classes"),
    "recall": _classes("recall averaged over the classes"),
    "rouge": BundledModule("ROUGE of rouge-score, words shared with the reference; 1 is best"),
    "sacrebleu": BundledModule(
        "BLEU of sacrebleu, word sequences shared; 100 is best", (0.0, 100.0)
    ),
    "ter": BundledModule(
        "edits for each hundred words of the reference; lower is better",
        (0.0, None),
        higher_is_better=False,
    ),
}

__all__ = ["BUNDLED", "FOLDER", "BundledModule"]
