"""Shape, order and numbering shared by all tasks of this suite."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Question:
    """One multiple-choice item before its choices have an order.

    fields: what the task's YAML puts into the prompt. right, wrong: the choices.
    cluster: items of one cluster share a fact, a frame of words or a category.
    family: items are dealt evenly over families, so that any first n are balanced.
    """

    fields: dict[str, str]
    right: str
    wrong: tuple[str, ...]
    cluster: str
    family: str = ""


def interleave(questions: Sequence[Question], rng: random.Random) -> list[Question]:
    """Shuffle, then deal family by family, so that the first n items hold each alike."""
    families: defaultdict[str, list[Question]] = defaultdict(list)
    for question in questions:
        families[question.family].append(question)
    placed: list[tuple[float, int, Question]] = []
    for name in sorted(families):
        members = families[name]
        rng.shuffle(members)
        for index, question in enumerate(members):
            placed.append(((index + rng.random()) / len(members), len(placed), question))
    return [question for _, _, question in sorted(placed, key=lambda entry: entry[:2])]


def multiple_choice(
    prefix: str, questions: Sequence[Question], rng: random.Random
) -> list[dict[str, Any]]:
    """Items as stored: ``gold`` is the index of the right choice.

    Positions are dealt in shuffled blocks, one of each, so no position is favoured in any
    first n items.
    """
    items: list[dict[str, Any]] = []
    block: list[int] = []
    for number, question in enumerate(interleave(questions, rng), start=1):
        if not block:
            block = list(range(len(question.wrong) + 1))
            rng.shuffle(block)
        gold = block.pop()
        choices = list(question.wrong)
        rng.shuffle(choices)
        choices.insert(gold, question.right)
        items.append(
            {
                "id": f"{prefix}-{number:03d}",
                "cluster": question.cluster,
                **question.fields,
                "choices": choices,
                "gold": gold,
            }
        )
    return items
