"""Chooses the arms that are worth comparing, with this model on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.analysis.arms.memory_estimate import bytes_per_parameter
from harness.answers import Answer
from harness.drafting.machine import Machine, ModelSize
from harness.spec.kinds import CLASSIFIER, PROMPT, TRAINED_KINDS
from harness.wording import mebibytes

MIB = 2**20
# Below this many weights the best rates are higher than the defaults, which suit larger models.
SMALL = 500_000_000
_RATES = {"low": 2e-5, "high": 4e-4, "log": True, "default": 1e-4}
_ADAPTER_RATES = {"low": 2e-4, "high": 4e-3, "log": True, "default": 1e-3}
# Activations, the optimiser's scratch space and other programs need the rest.
_USABLE = 0.7
# Weights that take less of the memory than this are no burden, and packing them saves nothing.
_BURDEN = 0.15
_ADAPTERS = 0.01
_SHOTS = (2, 4, 8)
# More worked examples than these are for a search to find worth their time.
_MOST_BY_DEFAULT = 8


@dataclass(frozen=True, slots=True)
class ChosenArm:
    """An arm to write."""

    name: str
    """Name of the arm in the experiment file."""
    kind: str
    """Name of the arm's kind."""
    values: Mapping[str, Any]
    """Keys of the arm in the experiment file, ``kind`` included, each with its value or what a
    search may choose."""
    why: str
    """Why it is compared, or what it does, as the end of a sentence."""
    searched: bool = True
    """Whether a search chooses its settings."""
    shots: int = 0
    """Number of worked examples in its first setting."""
    answering: tuple[str, ...] = ("generate",)
    """Ways of answering in which each of its search trials is scored."""


@dataclass(frozen=True, slots=True)
class ArmChoice:
    """Arms that are compared, and arms that are not."""

    arms: tuple[ChosenArm, ...]
    """The arms to compare."""
    left_out: Mapping[str, str]
    """Name of an arm -> why it is not compared, as the end of a sentence."""

    @property
    def most_shots(self) -> int:
        """The largest number of worked examples that a search may try; 0 where there are none."""
        return max((n for arm in self.arms for n in _choices(arm.values.get("shots"))), default=0)


def _choices(setting: Any) -> Sequence[int]:
    return setting["choices"] if setting else ()


def choose_arms(
    form: Answer,
    finite: int | None,
    constrained: bool,
    shot_tokens: float,
    training: Mapping[str, Any],
    model: ModelSize,
    machine: Machine,
    most_shots: int | None = None,
) -> ArmChoice:
    """The arms for answers of this form.

    Args:
        form: how the answers are read.
        finite: number of valid answers; None where they are no short closed list.
        constrained: whether a reply can be kept to the answer's schema.
        shot_tokens: tokens of one worked example.
        training: keys that every fine-tuning arm gets.
        model: the base model.
        machine: where the study will run.
        most_shots: number of worked examples that its prompts have room for, as counted; None
            where nothing was counted.
    """
    # As many as there are labels show each of them once.
    shots = sorted({*_SHOTS, finite} if finite else _SHOTS)
    if most_shots is not None:
        shots = [n for n in shots if n <= most_shots] or [1] * (most_shots > 0)
    prompts, left_out = _prompt_arms(form, finite, constrained, shots, shot_tokens, model)
    if most_shots == 0:
        left_out["few-shot"] = "with one worked example a prompt is longer than the model can read"
    trained, unfit = _trained_arms(training, _ways(finite, constrained), model, machine)
    references = []
    if not form.why_not_classified():
        values = {"kind": CLASSIFIER.name}
        references = [ChosenArm(CLASSIFIER.name, CLASSIFIER.name, values, CLASSIFIER.why)]
    return ArmChoice((*prompts, *trained, *references), {**left_out, **unfit})


def without_shots(arms: ArmChoice, why: str) -> ArmChoice:
    """The arms but for those that show worked examples, and why these are left out."""
    shown = [arm for arm in arms.arms if arm.shots]
    kept = tuple(arm for arm in arms.arms if not arm.shots)
    return ArmChoice(kept, {**arms.left_out, **{arm.name: why for arm in shown}})


def _prompt_arms(
    form: Answer,
    finite: int | None,
    constrained: bool,
    numbers: list[int],
    shot_tokens: float,
    model: ModelSize,
) -> tuple[list[ChosenArm], dict[str, str]]:
    arms = [ChosenArm("zero-shot", PROMPT.name, {"kind": PROMPT.name}, PROMPT.why, False)]
    left_out = {}
    # Half of what the model can read is for the item itself and for its answer.
    room = (model.context or 2048) / 2
    shots = [n for n in numbers if n * shot_tokens <= room]
    if numbers and not shots and shot_tokens <= room:
        shots = [1]
    default = shots[min(1, len(shots) - 1)] if shots else 0
    if finite and finite in shots and finite <= _MOST_BY_DEFAULT:
        default = finite
    selection = {"choices": ["random", "balanced", "nearest"], "default": "balanced"}
    if form.is_free_text:
        selection = {"choices": ["random", "nearest"], "default": "random"}
    searched: dict[str, Any] = {
        "shots": {"choices": shots, "default": default},
        "selection": selection,
    }
    if shots:
        values = {"kind": PROMPT.name} | searched
        arms.append(
            ChosenArm(
                "few-shot", PROMPT.name, values, "worked examples before each item", True, default
            )
        )
    else:
        left_out["few-shot"] = "one worked example would fill half of what the model can read"
    if finite and shots:
        choices = {**searched, "shots": {"choices": [0, *shots], "default": default}}
        values = {"kind": PROMPT.name, "answering": "choice"} | choices
        why = f"scores each of the {finite} valid answers and takes the likeliest"
        arms.append(ChosenArm("choice", PROMPT.name, values, why, True, default, ("choice",)))
    elif constrained and shots:
        values = {"kind": PROMPT.name, "answering": "constrained"} | searched
        why = "can only write what the answer's schema allows"
        arms.append(ChosenArm("constrained", PROMPT.name, values, why, True, default))
    return arms, left_out


def _ways(finite: int | None, constrained: bool) -> tuple[str, ...]:
    """Ways of answering for fine-tuned arms, which try them all on the same trained weights."""
    if finite:
        return ("generate", "choice")
    return ("generate", "constrained") if constrained else ("generate",)


def _trained_arms(
    training: Mapping[str, Any], ways: tuple[str, ...], model: ModelSize, machine: Machine
) -> tuple[list[ChosenArm], dict[str, str]]:
    arms, left_out = list[ChosenArm](), dict[str, str]()
    usable = machine.available_mib * _USABLE
    small = model.parameters is not None and model.parameters < SMALL
    needs = {
        kind: (model.parameters or 0)
        * bytes_per_parameter(kind.name, machine.dtype, _ADAPTERS)
        / MIB
        for kind in TRAINED_KINDS
    }
    unpacked = max(need for kind, need in needs.items() if kind.adapts)
    for kind, need in sorted(needs.items(), key=lambda pair: not pair[0].adapts):
        if need > usable:
            left_out[kind.name] = (
                f"weights and optimiser alone take about {mebibytes(need)} and "
                f"{mebibytes(machine.available_mib)} are free"
            )
        elif kind.quantises and model.parameters and unpacked < _BURDEN * machine.available_mib:
            slower = "" if machine.is_gpu else "; without a GPU it is slower, too"
            left_out[kind.name] = (
                f"it saves the memory of weights, and these take {mebibytes(unpacked)} of "
                f"{mebibytes(machine.available_mib)}{slower}"
            )
        else:
            values = {"kind": kind.name, **training}
            if len(ways) > 1:
                values["answering"] = {"choices": list(ways), "default": ways[0]}
            if small:
                values["learning_rate"] = _ADAPTER_RATES if kind.adapts else _RATES
            arms.append(ChosenArm(kind.name, kind.name, values, kind.why, answering=ways))
    return arms, left_out
