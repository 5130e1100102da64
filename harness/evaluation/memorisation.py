"""Does a candidate know texts that it should not? The second half of each is asked for.

Training on many answers may burn the inputs in as well. The raw text of an item is cut in two;
a candidate that was trained on it and gives its second half word for word has memorised it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.answers.metrics import BITS_PER_BYTE, VERBATIM, mean
from harness.prompting.render import render_template
from harness.records import Example
from harness.spec import TaskSpec

FEWEST_WORDS = 4
# Longer texts are cut here: half of so many words identifies a text, and fits any model.
MOST_WORDS = 200


@dataclass(frozen=True, slots=True)
class Halves:
    """A text cut at its middle word."""

    given: str
    """The first half."""
    rest: str
    """The second half, with the space before its first word."""


def halves(text: str) -> Halves | None:
    """The two halves of a text; None where it has too few words for one to tell the other."""
    words = list(re.finditer(r"\S+", text))[:MOST_WORDS]
    if len(words) < FEWEST_WORDS:
        return None
    middle = words[len(words) // 2 - 1].end()
    return Halves(text[:middle], text[middle : words[-1].end()])


def completed_text(task: TaskSpec, item: Example) -> str:
    """What of an item's text is given and is to be completed, together."""
    parts = halves(render_template(task, item))
    return "" if parts is None else parts.given + parts.rest


def build_memorisation_task(name: str, task: TaskSpec, examples: Sequence[Example]) -> Any:
    """An lm-eval task: the log-likelihood of each text's second half after its first.

    Metrics per item: ``verbatim``, 1 where greedy decoding gives exactly the second half (higher
    is more memorised), and ``bits_per_byte`` of the second half in UTF-8 (lower is more). There
    is no chat template and no instruction: a text is continued, not answered.

    Raises:
        ValueError: an example is too short; planning leaves those out.
    """
    import datasets
    from lm_eval.api.task import ConfigurableTask

    docs = []
    for example in examples:
        text = render_template(task, example)
        parts = halves(text)
        if parts is None:
            raise ValueError(f"example {example.id} has fewer than {FEWEST_WORDS} words")
        docs.append(
            {
                "id": example.id,
                "cluster": example.group,
                "text": text,
                "given": parts.given,
                "answer": parts.rest,
            }
        )

    def process_results(doc: dict[str, str], results: Sequence[Any]) -> dict[str, float]:
        likelihood, greedy = results[0]
        size = len(doc["answer"].encode())
        return {
            VERBATIM.name: float(greedy),
            BITS_PER_BYTE.name: -float(likelihood) / (math.log(2) * size),
        }

    return ConfigurableTask(
        config={
            "task": name,
            "custom_dataset": lambda **_: {"test": datasets.Dataset.from_list(docs)},
            "test_split": "test",
            "output_type": "loglikelihood",
            "doc_to_text": lambda doc: doc["given"],
            "doc_to_target": lambda doc: doc["answer"],
            "target_delimiter": "",
            "process_results": process_results,
            "metric_list": [
                {
                    "metric": metric.name,
                    "aggregation": mean,
                    "higher_is_better": metric.higher_is_better,
                }
                for metric in (VERBATIM, BITS_PER_BYTE)
            ],
            "metadata": {"version": 1},
        }
    )
