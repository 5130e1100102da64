"""The reference of the metrics as Markdown: what each means, from the code, and an example.

What an example scores is not written here: the program scores it as it scores a reply in a study.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from harness.answers import (
    KINDS,
    Answer,
    CallsAnswer,
    JsonAnswer,
    LabelAnswer,
    LabelsAnswer,
    NumberAnswer,
    TextAnswer,
)
from harness.answers.metrics import METRICS, MetricInfo, macro_f1

_ADDRESS = JsonAnswer.model_validate(
    {
        "kind": "json",
        "columns": {"city": "city", "zip": "zip"},
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "zip": {"type": "string"}},
        },
    }
)
_TEAM = LabelAnswer(kind="label", column="team", labels=("refund", "repair"))
_TOPICS = LabelsAnswer(kind="labels", column="topics", labels=("a", "b", "c"), separator=";")
_PRICE = NumberAnswer(kind="number", column="price")
_WORDS = TextAnswer(kind="text", column="answer")
_WEATHER = CallsAnswer.model_validate(
    {
        "kind": "calls",
        "column": "calls",
        "tools": [
            {
                "name": "weather",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                },
            }
        ],
    }
)


class Example(NamedTuple):
    """A right answer, and a reply to be scored against it."""

    answer: Answer
    right: str
    reply: str


EXAMPLES = {
    "exact_match": Example(_TEAM, "refund", "Refund."),
    "valid": Example(_TEAM, "refund", "repair"),
    "valid_json": Example(
        _ADDRESS, '{"city": "Bonn", "zip": "53111"}', 'Sure: {"city": "Bonn", "zip": "53111"}'
    ),
    "field_f1": Example(
        _ADDRESS, '{"city": "Bonn", "zip": "53111"}', '{"city": "Bonn", "zip": "5311"}'
    ),
    "set_f1": Example(_TOPICS, '["a", "b"]', "a, c"),
    "jaccard": Example(_TOPICS, '["a", "b"]', "a, c"),
    "argument_f1": Example(
        _WEATHER,
        '[{"name": "weather", "arguments": {"city": "Bonn", "days": 3}}]',
        '[{"name": "weather", "arguments": {"city": "Bonn", "days": 2}}]',
    ),
    "right_functions": Example(
        _WEATHER,
        '[{"name": "weather", "arguments": {"city": "Bonn", "days": 3}}]',
        '[{"name": "weather", "arguments": {"city": "Bonn", "days": 2}}]',
    ),
    "absolute_error": Example(_PRICE, "80", "It costs 72 euros."),
    "relative_error": Example(_PRICE, "80", "It costs 72 euros."),
    "chrf": Example(_WORDS, "It arrives on Monday.", "It arrives Monday."),
    "rouge_l": Example(_WORDS, "It arrives on Monday.", "It arrives Monday."),
}
"""Metric with a value per reply -> an example of it."""

IN_WORDS = {
    "acc": "Of 44 questions with four choices the right choice was the likeliest 33 times: 0.75.",
    "acc_norm": "The choices `yes` and `certainly not` differ in length: the likelihood of each is "
    "divided by its number of bytes before the likeliest is taken.",
    "bits_per_byte": "A text of 1,000 bytes that the model gives the probability 2^-900 has 0.9.",
    "byte_perplexity": "0.9 bits a byte are 2^0.9 = 1.87 equally likely bytes.",
    "word_perplexity": "A text of 10 words with the probability 2^-60 has 2^6 = 64.",
    "kl_to_base": "Where the base gives two tokens 0.5 each and the model 0.9 and 0.1, it is "
    "0.5 ln (0.5 / 0.9) + 0.5 ln (0.5 / 0.1) = 0.51 nats.",
    "verbatim": "Of 64 training texts one has its second half written word for word: 0.016.",
    "confidence": "Of the allowed answers `yes` has likelihood 0.06 and `no` 0.02: 0.75.",
}
"""Metric of the suites and of whole models -> an example of it."""


def metric_reference() -> str:
    """A section per metric: meaning, direction, range, kinds of answers, and an example."""
    return "\n\n".join(_section(metric) for metric in METRICS.values()) + "\n"


def _section(metric: MetricInfo) -> str:
    return "\n".join((f"## {metric.name}", "", *_lines(metric)))


def _lines(metric: MetricInfo) -> Iterator[str]:
    meaning = metric.meaning[0].upper() + metric.meaning[1:]
    yield f"**{metric.label[0].upper() + metric.label[1:]}.** {meaning}."
    yield ""
    better = "higher" if metric.higher_is_better else "lower"
    each = "" if metric.per_item else "; computed from all items together"
    yield f"- Range: from {metric.lowest:g}{_up_to(metric.highest)}; {better} is better{each}."
    kinds = [kind.name() for kind in KINDS.values() if metric in kind.metrics]
    if kinds:
        yield f"- Kinds of answer: {_code(kinds)}."
    yield f"- Example: {_example(metric)}"


def _up_to(value: float) -> str:
    return " on, without bound" if math.isinf(value) else f" to {value:g}"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _example(metric: MetricInfo) -> str:
    if metric.name in IN_WORDS:
        return IN_WORDS[metric.name]
    if metric.name == "macro_f1":
        return _of_classes()
    answer, right, reply = EXAMPLES[metric.name]
    value = answer.reader()(right, reply).metrics[metric.name]
    return f"right is `{right}`, the reply `{reply}`: {value:.3g}."


def _of_classes() -> str:
    """Four replies, of which the rare class is missed."""
    pairs = (("refund", "refund"),) * 3 + (("repair", "refund"),)
    value = macro_f1([_TEAM.reader()(right, reply).classes for right, reply in pairs])
    return (
        "three of four messages are `refund`, one is `repair`, and every reply is `refund`: "
        f"{value:.3g}, where exact match is 0.75."
    )


__all__ = ["metric_reference"]
