"""Chooses arms and size of the first study, so that it ends in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.drafting.arms import ArmChoice, choose_arms, without_shots
from harness.drafting.request import DraftRequest
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
from harness.wording import rough_duration

# Rows below which the test part, which decides, gets as much as training.
FEW_ROWS = 500
_LENGTHS = (1024, 2048, 4096, 8192, 16384, 32768)
# Parts of the longest text that a template and a long answer add.
_MARGIN = 1.15
# A model whose size is not known is taken to be of the usual small kind.
_USUAL = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Sizing:
    """Arms and size of a study, with its rough duration."""

    arms: ArmChoice
    """The arms to compare, and those left out."""
    shares: Mapping[str, float]
    """Split -> its share of the rows, 0 to 1; empty where the test rows are a file of their own."""
    size: Size
    """Trials, seeds and items, no more than there are."""
    limits: Mapping[str, int]
    """Split -> number of its examples that are used; only splits that are cut."""
    seconds: float
    """Seconds of the study at this size: measured on this machine, or a rough sum."""
    thorough_seconds: float
    """Seconds of the study at the largest size, likewise."""
    measured: bool
    """Whether they rest on what this machine was measured to do."""
    too_long: bool
    """Whether not even the smallest size ends in time."""
    longest: int
    """Tokens of the longest row, roughly, with its prompt and its answer."""
    max_length: int | None
    """Most tokens of an example in training; None where the arms' default is enough."""

    @property
    def is_thorough(self) -> bool:
        """Whether nothing was cut for time."""
        return (self.size.trials, self.size.seeds) == (THOROUGH.trials, THOROUGH.seeds)


def size_study(
    request: DraftRequest,
    counts: Mapping[str, int] | None = None,
    pace: float | None = None,
    most_shots: int | None = None,
) -> Sizing:
    """Choose arms, division and size.

    Args:
        counts: split -> examples, where the data have been divided already.
        pace: how many times as long as the rough sum a study takes here, as measured; None where
            nothing was measured.
        most_shots: number of worked examples that prompts have room for, as counted; None where
            nothing was counted.
    """
    form = request.form
    texts = [request.columns[name] for name in request.texts]
    answers = [request.columns[name] for name in request.answers]
    text = sum(column.mean_length for column in texts)
    answer = max(1.0, sum(_mean_characters(column.values) for column in answers))
    finite = None if form.why_not_chosen() else len(form.finite_answers() or ()) or None
    prompts = prompts_of(text, len(request.instruction), answer, finite or 0)
    longest = round(_longest_tokens(request) * _MARGIN)
    max_length = next((n for n in _LENGTHS if n >= longest), _LENGTHS[-1])
    if request.model.context:
        max_length = min(max_length, request.model.context)
    shares = _shares(request)
    counts = counts or {name: round(share * request.rows) for name, share in shares.items()}

    def arms_for(size: Size) -> ArmChoice:
        training: dict[str, Any] = {} if size.epochs == 2 else {"epochs": size.epochs}
        if max_length > _LENGTHS[0]:
            training["max_length"] = max_length
        arms = choose_arms(
            form,
            finite,
            not form.why_not_constrained(),
            prompts.shot,
            training,
            request.model,
            request.machine,
            most_shots,
        )
        talks = request.conversations
        if talks is not None and talks.systems > 1:
            return without_shots(
                arms, "conversations with different system messages cannot show each other"
            )
        if form.row_tools or (talks is not None and talks.tools > 1):
            return without_shots(
                arms,
                "rows with tools of their own can show each other only in a template with them",
            )
        return arms

    seconds_by_size = [
        (size, (pace or 1.0) * _seconds(size, arms_for(size), prompts, request))
        for size in (option.within(**_capped(counts)) for option in SIZES)
    ]
    size, seconds = fitting(seconds_by_size, request.minutes)
    return Sizing(
        arms=arms_for(size),
        shares={} if request.test else shares,
        size=size,
        limits={
            name: getattr(size, name)
            for name in ("train", "validation", "test")
            if getattr(size, name) < counts[name]
        },
        seconds=seconds,
        thorough_seconds=seconds_by_size[0][1],
        measured=pace is not None,
        too_long=_is_longer(seconds, 60 * request.minutes),
        longest=longest,
        max_length=max_length if max_length > _LENGTHS[0] else None,
    )


def _is_longer(seconds: float, allowed: float) -> bool:
    """Whether a study takes longer than is allowed, as far as rounded times can tell."""
    return seconds > allowed and rough_duration(seconds) != rough_duration(allowed)


def _capped(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: max(1, counts[name]) for name in ("train", "validation", "test")}


def _seconds(size: Size, arms: ArmChoice, prompts: Prompts, request: DraftRequest) -> float:
    parameters = request.model.parameters or _USUAL
    return seconds_of(size, arms.arms, prompts, parameters, request.machine)


def _shares(request: DraftRequest) -> dict[str, float]:
    if request.rows < FEW_ROWS:
        return {"train": 0.4, "validation": 0.2, "test": 0.4}
    return {"train": 0.6, "validation": 0.15, "test": 0.25}


def _longest_tokens(request: DraftRequest) -> float:
    texts = [request.columns[name].texts for name in request.texts]
    answers = [request.columns[name].values for name in request.answers]
    longest = sum(max(map(len, column), default=0) for column in texts)
    longest += sum(max((len(str(value)) for value in column), default=0) for column in answers)
    return (longest + len(request.instruction)) / CHARACTERS


def _mean_characters(values: tuple[Any, ...]) -> float:
    return sum(len(str(value)) for value in values) / max(1, len(values))
