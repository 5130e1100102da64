"""About how much a study computes, and sizes of study from thorough to short.

For choosing a size before anything is measured: tokens that pass through the model, at nominal
prices. `harness plan` counts and measures instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.analysis.verdict.effort import FEWEST_STEPS
from harness.drafting.arms import ChosenArm
from harness.drafting.machine import Machine
from harness.forecast.cost_model import nominal_prices
from harness.records import ModelWork
from harness.spec.kinds import kind_info

# Characters of a token: in English about four, in other languages fewer.
CHARACTERS = 3.5
# Tokens of a chat template, and of the words around a worked example.
_AROUND = 30
_AROUND_SHOT = 12
# Of a prompt, what is not a beginning that all items share and that is read once.
_OWN, _OWN_SHOTS = 0.7, 0.35
# How many finalists a searched arm has for each seed: the default setting is tested, too, where
# another was selected.
_FINALS = 1.6
_GENERAL_TASKS, _GENERAL_TOKENS = 9, 45
# Items of a general task: of all there are about so many, of which a search trial is asked few.
_GENERAL_ITEMS, _GENERAL_SEARCHED = 200, 16
# Items of a scored batch; examples of a step, and passes that it comes to with the way back.
_BATCH, _STEP, _STEP_PASSES = 32, 8, 6
# Seconds to start a process, import and load, for each trial.
_START = {True: 15.0, False: 10.0}


@dataclass(frozen=True, slots=True)
class Prompts:
    """Lengths in tokens of what an average item holds."""

    asked: float
    """Tokens of its prompt without worked examples."""
    shot: float
    """Tokens of a worked example."""
    answer: float
    """Tokens of its answer."""
    candidates: int
    """Number of valid answers, where they are a short closed list; else 0."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many trials, seeds and items a study has."""

    trials: int
    """Trials of each arm's search."""
    seeds: int
    """Number of seeds of the final runs."""
    train: int
    """Number of training examples, at most."""
    validation: int
    """Number of validation examples, at most."""
    test: int
    """Number of test examples, at most."""
    epochs: int
    """Epochs of a training run."""
    general: int | None
    """Items of each general task; None for all."""

    @property
    def steps(self) -> int:
        """Optimiser steps of a training run."""
        return self.epochs * math.ceil(self.train / _STEP)

    def within(self, train: int, validation: int, test: int) -> Size:
        """The same with no more examples than there are, and training that gets under way.

        Of few examples there are more epochs: with fewer steps the verdict would say that training
        was hardly tried, whatever it came to. The best checkpoint is kept.
        """
        train = min(self.train, train)
        epochs = math.ceil(FEWEST_STEPS / math.ceil(train / _STEP))
        return replace(
            self,
            train=train,
            validation=min(self.validation, validation),
            test=min(self.test, test),
            epochs=max(self.epochs, min(epochs, MOST_EPOCHS)),
        )


# More of the same few examples teach them by heart.
MOST_EPOCHS = 8
THOROUGH = Size(8, 3, 2000, 200, 500, 2, None)
SIZES = (
    THOROUGH,
    Size(6, 3, 1000, 150, 400, 2, 100),
    Size(4, 3, 500, 100, 300, 2, 64),
    Size(3, 3, 300, 64, 240, 2, 64),
    Size(3, 1, 300, 64, 240, 2, 64),
    Size(3, 1, 160, 64, 200, 1, 48),
    Size(2, 1, 120, 48, 120, 1, 32),
    Size(1, 1, 80, 32, 80, 1, 16),
)


def fitting(seconds_of: Sequence[tuple[Size, float]], minutes: float) -> tuple[Size, float]:
    """The first size that ends in time, with its seconds; the last one where none does."""
    for size, seconds in seconds_of:
        if seconds <= 60 * minutes:
            return size, seconds
    return seconds_of[-1]


def seconds_of(
    size: Size, arms: Sequence[ChosenArm], prompts: Prompts, parameters: int, machine: Machine
) -> float:
    """About how many seconds a study of this size takes."""
    prices = nominal_prices(parameters, machine.flops, on_gpu=machine.is_gpu)
    general = ModelWork(read=_GENERAL_TASKS * _GENERAL_TOKENS)
    whole_suite = general * (size.general or _GENERAL_ITEMS)
    shown = prompts.asked + prompts.answer
    # The base is scored once.
    seconds = prices.seconds(whole_suite) + _START[machine.is_gpu]
    for arm in arms:
        kind = kind_info(arm.kind)
        searched = size.trials if arm.searched else 1
        finals = size.seeds * (_FINALS if arm.searched and size.trials > 1 else 1)
        if not kind.language_model:
            seconds += (searched + finals) * _START[machine.is_gpu]
            continue
        ways = [_answered(arm, way, prompts) for way in arm.answering]
        asked = max(ways, key=prices.seconds)
        batches = (searched * size.validation + finals * size.test) / _BATCH
        scored = sum(ways, ModelWork()) * (searched * size.validation)
        scored += asked * (finals * size.test) + ModelWork(passes=batches * prompts.answer)
        seconds += (searched + finals) * _START[machine.is_gpu]
        if kind.trains:
            trained = nominal_prices(
                parameters, machine.flops, on_gpu=machine.is_gpu, operations=kind.operations
            )
            epochs = ModelWork(size.train / _STEP * _STEP_PASSES, size.train * shown) * size.epochs
            seconds += trained.seconds(epochs * (searched + finals))
            checks = ModelWork(read=size.validation * shown * size.epochs)
            scored += (checks + general * _GENERAL_SEARCHED) * searched
            # Training items are scored as the test items are, to measure overfitting.
            scored += (asked * min(size.train, size.test) + whole_suite) * finals
        seconds += prices.seconds(scored)
    return seconds


def _answered(arm: ChosenArm, way: str, prompts: Prompts) -> ModelWork:
    """What answering one item in one way takes."""
    read = _OWN * prompts.asked + _OWN_SHOTS * arm.shots * prompts.shot
    if way == "choice":
        # Valid answers often begin alike, and a beginning is read once.
        return ModelWork(read=read + prompts.candidates * prompts.answer / 2)
    return ModelWork(read=read, written=prompts.answer)


def prompts_of(text: float, instruction: float, answer: float, candidates: int) -> Prompts:
    """Tokens, from mean characters of a text, of the instruction and of an answer."""
    return Prompts(
        asked=(text + instruction) / CHARACTERS + _AROUND,
        shot=(text + answer) / CHARACTERS + _AROUND_SHOT,
        answer=answer / CHARACTERS + 1,
        candidates=candidates,
    )
