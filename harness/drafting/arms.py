"""Which ways of doing the task are worth comparing, with this model on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.analysis.memory_estimate import bytes_per_parameter
from harness.data.infer_form import AnswerForm
from harness.drafting.machine import Machine, ModelSize

MIB = 2**20
# Below this many weights the best rates are higher than the defaults, which suit larger models.
SMALL = 500_000_000
# Activations, the optimiser's scratch space and other programs need the rest.
_USABLE = 0.7
# Weights that take less of the memory than this are no burden, and packing them saves nothing.
_BURDEN = 0.15
_ADAPTERS = 0.01
_SHOTS = (2, 4, 8)


@dataclass(frozen=True, slots=True)
class ChosenArm:
    """An arm to write. values: its keys. why: a sentence's end. shots: in its first setting."""

    name: str
    kind: str
    values: Mapping[str, Any]
    why: str
    searched: bool = True
    shots: int = 0
    answering: str = "generate"


@dataclass(frozen=True, slots=True)
class ArmChoice:
    """arms: to compare. left_out: name -> why it is not among them."""

    arms: tuple[ChosenArm, ...]
    left_out: Mapping[str, str]


def choose_arms(
    form: AnswerForm,
    finite: int | None,
    constrained: bool,
    shot_tokens: float,
    training: Mapping[str, Any],
    model: ModelSize,
    machine: Machine,
) -> ArmChoice:
    """The arms for answers of this form.

    Args:
        finite: number of valid answers, where they are a short closed list. constrained: whether
            a reply can be kept to the answer's schema. shot_tokens: of one worked example.
        training: keys that every fine-tuning arm gets.
    """
    prompts, left_out = _prompt_arms(form, finite, constrained, shot_tokens, model)
    trained, unfit = _trained_arms(training, model, machine)
    return ArmChoice((*prompts, *trained), {**left_out, **unfit})


def _prompt_arms(
    form: AnswerForm, finite: int | None, constrained: bool, shot_tokens: float, model: ModelSize
) -> tuple[list[ChosenArm], dict[str, str]]:
    arms = [ChosenArm("zero-shot", "prompt", {"kind": "prompt"}, "the instruction alone", False)]
    left_out = {}
    # Half of what the model can read is for the item itself and for its answer.
    room = (model.context or 2048) / 2
    shots = [n for n in _SHOTS if n * shot_tokens <= room] or ([1] if shot_tokens <= room else [])
    default = shots[min(1, len(shots) - 1)] if shots else 0
    selection = {"choices": ["random", "balanced", "nearest"], "default": "balanced"}
    if form.kind == "text":
        selection = {"choices": ["random", "nearest"], "default": "random"}
    searched: dict[str, Any] = {
        "shots": {"choices": shots, "default": default},
        "selection": selection,
    }
    if shots:
        values = {"kind": "prompt"} | searched
        arms.append(
            ChosenArm(
                "few-shot", "prompt", values, "worked examples before each item", True, default
            )
        )
    else:
        left_out["few-shot"] = "one worked example would fill half of what the model can read"
    if finite and shots:
        choices = {**searched, "shots": {"choices": [0, *shots], "default": default}}
        values = {"kind": "prompt", "answering": "choice"} | choices
        why = f"scores each of the {finite} valid answers and takes the likeliest"
        arms.append(ChosenArm("choice", "prompt", values, why, True, default, "choice"))
    elif constrained and shots:
        values = {"kind": "prompt", "answering": "constrained"} | searched
        why = "can only write what the answer's schema allows"
        arms.append(ChosenArm("constrained", "prompt", values, why, True, default))
    return arms, left_out


def _trained_arms(
    training: Mapping[str, Any], model: ModelSize, machine: Machine
) -> tuple[list[ChosenArm], dict[str, str]]:
    arms, left_out = list[ChosenArm](), dict[str, str]()
    usable = machine.available_mib * _USABLE
    small = model.parameters is not None and model.parameters < SMALL
    needs = {
        kind: (model.parameters or 0) * bytes_per_parameter(kind, machine.dtype, _ADAPTERS) / MIB
        for kind in ("lora", "full", "qlora")
    }
    weights = needs["lora"]
    why = {
        "lora": "a small adapter on the frozen model",
        "full": "every weight is trained",
        "qlora": "the adapter on a model shrunk to 4 bits, for its memory",
    }
    rates = {
        "full": {"low": 2e-5, "high": 4e-4, "log": True, "default": 1e-4},
        "lora": {"low": 2e-4, "high": 4e-3, "log": True, "default": 1e-3},
    }
    rates["qlora"] = rates["lora"]
    for kind in ("lora", "qlora", "full"):
        if needs[kind] > usable:
            left_out[kind] = (
                f"weights and optimiser alone take about {needs[kind] / 1024:.1f} GiB and "
                f"{machine.available_mib / 1024:.1f} are free"
            )
        elif kind == "qlora" and model.parameters and weights < _BURDEN * machine.available_mib:
            slower = "" if machine.is_gpu else "; without a GPU it is slower, too"
            left_out[kind] = (
                f"it saves the memory of weights, and these take {weights / 1024:.1f} of "
                f"{machine.available_mib / 1024:.1f} GiB{slower}"
            )
        else:
            values = {"kind": kind, **training}
            if small:
                values["learning_rate"] = rates[kind]
            arms.append(ChosenArm(kind, kind, values, why[kind]))
    return arms, left_out
