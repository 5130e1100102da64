"""How large the first study is to be, and with which arms, so that it ends in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.drafting.arms import ArmChoice, choose_arms
from harness.drafting.wishes import Wishes
from harness.drafting.workload import (
    CHARACTERS,
    SIZES,
    THOROUGH,
    Prompts,
    Size,
    fitting,
    prompts_of,
    seconds_of,
)
from harness.spec.task import enumerate_schema

# Rows below which the test part, which decides, gets as much as training.
FEW_ROWS = 500
_LENGTHS = (1024, 2048, 4096, 8192, 16384, 32768)
# Parts of the longest text that a template and a long answer add.
_MARGIN = 1.15
# A model whose size is not known is taken to be of the usual small kind.
_USUAL = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Sizing:
    """shares: split -> share, where one file is divided. size: with the limits that cut.

    limits: split -> limit, for the splits that it cuts. seconds, thorough_seconds: rough sums
    for this size and for the largest one. too_long: not even the smallest size ends in time.
    """

    arms: ArmChoice
    shares: Mapping[str, float]
    size: Size
    limits: Mapping[str, int]
    seconds: float
    thorough_seconds: float
    too_long: bool
    longest: int
    max_length: int | None

    @property
    def is_thorough(self) -> bool:
        """Whether nothing was cut for time."""
        return (self.size.trials, self.size.seeds) == (THOROUGH.trials, THOROUGH.seeds)


def size_study(wishes: Wishes, counts: Mapping[str, int] | None = None) -> Sizing:
    """Choose arms, division and size.

    Args:
        counts: split -> examples, where the data have been divided already.
    """
    form = wishes.form
    texts = [wishes.columns[name] for name in wishes.texts]
    answers = [wishes.columns[name] for name in wishes.answers]
    text = sum(column.mean_length for column in texts)
    answer = max(1.0, sum(_mean_characters(column.values) for column in answers))
    finite = _finite(wishes)
    prompts = prompts_of(text, len(wishes.instruction), answer, finite or 0)
    longest = round(_longest_tokens(wishes) * _MARGIN)
    max_length = next((n for n in _LENGTHS if n >= longest), _LENGTHS[-1])
    if wishes.model.context:
        max_length = min(max_length, wishes.model.context)
    shares = _shares(wishes)
    counts = counts or {name: round(share * wishes.rows) for name, share in shares.items()}

    def arms_for(size: Size) -> ArmChoice:
        training: dict[str, Any] = {} if size.epochs == 2 else {"epochs": size.epochs}
        if max_length > _LENGTHS[0]:
            training["max_length"] = max_length
        return choose_arms(
            form, finite, _constrains(wishes), prompts.shot, training, wishes.model, wishes.machine
        )

    found = [
        (size, _seconds(size, arms_for(size), prompts, wishes))
        for size in (one.within(**_capped(counts)) for one in SIZES)
    ]
    size, seconds = fitting(found, wishes.minutes)
    return Sizing(
        arms=arms_for(size),
        shares={} if wishes.test else shares,
        size=size,
        limits={
            name: getattr(size, name)
            for name in ("train", "validation", "test")
            if getattr(size, name) < counts[name]
        },
        seconds=seconds,
        thorough_seconds=found[0][1],
        too_long=seconds > 60 * wishes.minutes,
        longest=longest,
        max_length=max_length if max_length > _LENGTHS[0] else None,
    )


def _capped(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: max(1, counts[name]) for name in ("train", "validation", "test")}


def _seconds(size: Size, arms: ArmChoice, prompts: Prompts, wishes: Wishes) -> float:
    parameters = wishes.model.parameters or _USUAL
    return seconds_of(size, arms.arms, prompts, parameters, wishes.machine)


def _shares(wishes: Wishes) -> dict[str, float]:
    if wishes.rows < FEW_ROWS:
        return {"train": 0.4, "validation": 0.2, "test": 0.4}
    return {"train": 0.6, "validation": 0.15, "test": 0.25}


def _finite(wishes: Wishes) -> int | None:
    """Number of valid answers, where they are a short closed list."""
    if wishes.form.kind == "label":
        return len(wishes.form.labels)
    if wishes.form.schema is None:
        return None
    found = enumerate_schema(wishes.form.schema)
    return len(found) if found else None


def _constrains(wishes: Wishes) -> bool:
    """Whether decoding can be kept to the schema."""
    if wishes.form.schema is None:
        return False
    from llguidance import LLMatcher

    from harness.spec.grammar import json_grammar

    failed, messages = LLMatcher.validate_grammar_with_warnings(json_grammar(wishes.form.schema))
    return not failed and not messages


def _longest_tokens(wishes: Wishes) -> float:
    texts = [wishes.columns[name].texts for name in wishes.texts]
    answers = [wishes.columns[name].values for name in wishes.answers]
    longest = sum(max(map(len, column), default=0) for column in texts)
    longest += sum(max((len(str(value)) for value in column), default=0) for column in answers)
    return (longest + len(wishes.instruction)) / CHARACTERS


def _mean_characters(values: tuple[Any, ...]) -> float:
    return sum(len(str(value)) for value in values) / max(1, len(values))
