"""About how much a study computes, and sizes of study from thorough to short.

A rough sum for choosing a size before anything is measured: tokens that pass through the model,
times the operations each takes. `harness plan` counts and measures instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.drafting.arms import ChosenArm
from harness.drafting.machine import Machine

# Characters of a token: in English about four, in other languages fewer.
CHARACTERS = 3.5
# Tokens of a chat template, and of the words around a worked example.
_AROUND = 30
_AROUND_SHOT = 12
# Operations for a weight and a token: forward 2; backward through frozen weights 2 more, and 2
# for their own gradients. Unpacking 4-bit weights about doubles them.
_TRAINING = {"full": 6.0, "lora": 4.5, "qlora": 9.0}
_FORWARD = 2.0
# A token written alone in a batch costs more than one read with its neighbours.
_WRITTEN = 3.0
# Of a prompt, what is not a beginning that all items share and that is read once.
_OWN, _OWN_SHOTS = 0.7, 0.35
# Embeddings are looked up, and the output layer is computed only where an answer stands.
_COMPUTING = 0.8
# How many finalists a searched arm has for each seed: the default setting is tested, too, where
# another was selected.
_FINALS = 1.6
_GENERAL_TASKS, _GENERAL_TOKENS = 9, 45
# Seconds to start a process, import and load, for each trial.
_START = {True: 15.0, False: 10.0}
# A model's layers reach this share of what one large matrix product does.
_REACHED = {True: 0.2, False: 0.45}
# A step is never faster than its kernels can be started.
_STEP_SECONDS = {True: 0.06, False: 0.0}


@dataclass(frozen=True, slots=True)
class Prompts:
    """Tokens of one item: asked without examples, of a worked example, of an answer.

    candidates: valid answers, where they are few.
    """

    asked: float
    shot: float
    answer: float
    candidates: int


@dataclass(frozen=True, slots=True)
class Size:
    """How much a study does. general: items of each general task; None for all (about 200)."""

    trials: int
    seeds: int
    train: int
    validation: int
    test: int
    epochs: int
    general: int | None

    def within(self, train: int, validation: int, test: int) -> Size:
        """The same with no more examples than there are."""
        return Size(
            self.trials,
            self.seeds,
            min(self.train, train),
            min(self.validation, validation),
            min(self.test, test),
            self.epochs,
            self.general,
        )


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
    gpu = machine.is_gpu
    operations, trials, steps = 0.0, 1.0, 0.0
    general = _GENERAL_TASKS * _GENERAL_TOKENS * (size.general or 200) * _FORWARD
    operations += general
    for arm in arms:
        searched = size.trials if arm.searched else 1
        finals = size.seeds * (_FINALS if arm.searched and size.trials > 1 else 1)
        asked = _per_item(arm, prompts)
        operations += asked * (searched * size.validation + finals * size.test)
        trials += searched + finals
        steps += (searched * size.validation + finals * size.test) / 32 * prompts.answer
        if arm.kind == "prompt":
            continue
        shown = size.train * (prompts.asked + prompts.answer) * size.epochs
        operations += (searched + finals) * shown * _TRAINING[arm.kind]
        steps += (searched + finals) * size.train * size.epochs / 8 * 6
        checked = size.validation * (prompts.asked + prompts.answer) * _FORWARD * size.epochs
        operations += searched * checked
        operations += searched * _GENERAL_TASKS * 16 * _GENERAL_TOKENS * _FORWARD
        # Training items are scored as the test items are, to measure overfitting.
        operations += finals * (asked * min(size.train, size.test) + general)
    reached = machine.flops * _REACHED[gpu]
    return (
        operations * parameters * _COMPUTING / reached
        + steps * _STEP_SECONDS[gpu]
        + trials * _START[gpu]
    )


def _per_item(arm: ChosenArm, prompts: Prompts) -> float:
    """Operations for a weight to answer one item."""
    read = _OWN * prompts.asked + _OWN_SHOTS * arm.shots * prompts.shot
    if arm.answering == "choice":
        # Valid answers often begin alike, and a beginning is read once.
        return _FORWARD * (read + prompts.candidates * prompts.answer / 2)
    return _FORWARD * (read + _WRITTEN * prompts.answer)


def prompts_of(text: float, instruction: float, answer: float, candidates: int) -> Prompts:
    """Tokens, from mean characters of a text, of the instruction and of an answer."""
    return Prompts(
        asked=(text + instruction) / CHARACTERS + _AROUND,
        shot=(text + answer) / CHARACTERS + _AROUND_SHOT,
        answer=answer / CHARACTERS + 1,
        candidates=candidates,
    )
