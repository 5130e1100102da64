"""What divides the test for a report: the values of the columns that the experiment names."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from harness.answers.cells import is_missing, plain_text
from harness.answers.characters import trimmed
from harness.records import Example, JsonValue

# Numbers of more values than this are no classes, and are divided in three.
MOST_NUMBERS = 10


def slice_text(value: JsonValue) -> str:
    """A cell as the value of a slice; what is nested as JSON, what is missing as empty text."""
    if is_missing(value):
        return ""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return trimmed(plain_text(value))


def slice_ids(
    examples: Sequence[Example], columns: Sequence[str]
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Column -> value -> ids of the examples that have it, values in their order.

    A column of more than ten different numbers is divided in three parts, as equal as equal
    numbers allow.
    """
    return {
        column: _divided({example.id: example.slices.get(column, "") for example in examples})
        for column in columns
    }


def _divided(values: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    numbers = {value: _number(value) for value in set(values.values()) if value}
    known = {value: number for value, number in numbers.items() if number is not None}
    if len(known) == len(numbers) > MOST_NUMBERS:
        order, values = _in_three(values, known)
    else:
        # Numbers by size before texts, and what is missing last.
        order = sorted(
            set(values.values()),
            key=lambda value: (not value, value not in known, known.get(value, 0.0), value),
        )
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for identity, value in values.items():
        ids[value].append(identity)
    return {value: tuple(ids[value]) for value in order if value in ids}


def _in_three(
    values: Mapping[str, str], numbers: Mapping[str, float]
) -> tuple[list[str], dict[str, str]]:
    """Names of three parts, that of missing values last, and the part of each id."""
    sizes = [numbers[value] for value in values.values() if value]
    low, high = (float(end) for end in np.quantile(sizes, (1 / 3, 2 / 3), method="lower"))
    names = [f"up to {low:g}", f"above {low:g}, up to {high:g}", f"above {high:g}"]
    parts = {
        identity: names[int(numbers[value] > low) + int(numbers[value] > high)] if value else ""
        for identity, value in values.items()
    }
    return [*dict.fromkeys(names), ""], parts


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


__all__ = ["slice_ids", "slice_text"]
