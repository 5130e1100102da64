"""Which layers get a low-rank adapter, which cannot, and what is left without one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.errors import Problem, TrialError
from harness.records import ResolvedModel
from harness.spec import Experiment
from harness.spec.arms import LoraArm
from harness.spec.spaces import Choice
from harness.wording import per_cent

ALL_LINEAR = "all-linear"
SHOWN = 20


def unfit_layers(model: Any) -> list[str]:
    """Paths of linear layers on which an adapter would do nothing, or break them.

    Those whose weight is read past them, as the model shows in one pass; routers of experts, which
    give more than one tensor; and the last projection of a state-space layer, whose weight the
    fused kernels of a GPU read, for which reason peft refuses it.
    """
    import torch

    outputs: dict[int, Any] = {}

    def note(module: Any, inputs: Any, output: Any) -> None:
        outputs[id(module)] = output

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    try:
        with torch.inference_mode():
            model(input_ids=torch.arange(1, 9, device=model.device)[None], use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    unfit = []
    for path, layer in model.named_modules():
        if _is_linear(layer):
            # An expert that nothing was sent to was not asked as a whole.
            asked = id(model.get_submodule(path.rpartition(".")[0])) in outputs
            if asked and not isinstance(outputs.get(id(layer)), torch.Tensor):
                unfit.append(path)
        elif all(hasattr(layer, name) for name in ("conv1d", "A_log", "D", "out_proj")):
            unfit.append(f"{path}.out_proj")
    return sorted(set(unfit))


def named_layers(model: Any, targets: Sequence[str]) -> dict[str, list[str]]:
    """For each name of a list of targets, the paths of the layers that it means."""
    paths = [path for path, _ in model.named_modules() if path]
    return {
        target: [path for path in paths if path == target or path.endswith(f".{target}")]
        for target in targets
    }


def tied_problem(model: Any, targets: Sequence[str]) -> str | None:
    """What is wrong where a list of targets names a weight that two layers share; else None."""
    shared = {
        path: other
        for path, layer, other in _ends(model)
        if layer.weight is other.weight and layer is not other
    }
    for target, paths in named_layers(model, targets).items():
        if shared.keys() & set(paths):
            return (
                f"targets: {target!r} is tied: the output layer has the weight of the input "
                "embedding, so that an adapter of one would not be one of the other, and could "
                f"not be merged; leave it out, or name others ({_in_words(model)})"
            )
    return None


def missing_problem(model: Any, targets: Sequence[str]) -> str | None:
    """What is wrong where a list of targets names no layer of the model; else None."""
    unknown = [target for target, paths in named_layers(model, targets).items() if not paths]
    if not unknown:
        return None
    names = ", ".join(map(repr, sorted(unknown)))
    return f"targets: the model has no layer {names}; it has {_in_words(model)}"


def targets_problem(resolved: ResolvedModel, targets: str | Sequence[str]) -> str | None:
    """What is wrong with targets, as far as a model's files tell before weights load; else None."""
    if targets == ALL_LINEAR:
        return None
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        trust = {"trust_remote_code": resolved.trust_remote_code}
        config = AutoConfig.from_pretrained(resolved.path, **trust)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, **trust)
    except Exception:  # noqa: BLE001 - loading says what is wrong with the model
        return None
    names = list_of(targets)
    # peft knows names of layers as they were before experts were stored together.
    known = any("experts" in path for path, _ in model.named_modules())
    return tied_problem(model, names) or (None if known else missing_problem(model, names))


def problems_of_arms(experiment: Experiment, resolved: ResolvedModel) -> list[Problem]:
    """What the arms of an experiment ask of a model's layers that it cannot give."""
    problems = []
    for name, arm in experiment.arms.items():
        if not isinstance(arm, LoraArm):
            continue
        values = arm.targets.choices if isinstance(arm.targets, Choice) else [arm.targets]
        for value in values:
            if problem := targets_problem(resolved, value):
                problems.append(Problem(f"arms.{name}", problem))
    return problems


def list_of(targets: str | Sequence[str]) -> list[str]:
    """Targets as a list: a single name is a list of one."""
    return [targets] if isinstance(targets, str) else list(targets)


def left_out(model: Any) -> str:
    """What of an adapted model has no adapter, and its share of the weights; empty if nothing.

    Embeddings, the output layer and vectors (norms, biases) are not counted.
    """
    import torch

    base = model.get_base_model()
    passed = {
        id(weight)
        for layer in (base.get_output_embeddings(), *base.modules())
        if isinstance(layer, torch.nn.Embedding) or layer is base.get_output_embeddings()
        for weight in (layer.parameters() if layer is not None else ())
    }
    total = rest = 0
    names = set()
    for path, weight in base.named_parameters():
        if ".lora_" in path:
            continue
        total += _size(weight)
        if weight.dim() < 2 or id(weight) in passed or _is_adapted(base, path):
            continue
        rest += _size(weight)
        names.add(".".join(part for part in path.split(".")[-3:] if not part.isdigit()))
    if not names:
        return ""
    return f"{', '.join(sorted(names))} ({per_cent(rest / total)} of the weights)"


def refuse(problem: str | None) -> None:
    """Fail the trial if there is a problem.

    Raises:
        TrialError: there is.
    """
    if problem:
        raise TrialError("error", problem)


def _ends(model: Any) -> Iterator[tuple[str, Any, Any]]:
    """Embedding and output layer, each with its path and with the other."""
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    paths = {id(layer): path for path, layer in model.named_modules()}
    for layer, other in (ends, ends[::-1]):
        if layer is not None and other is not None:
            yield paths[id(layer)], layer, other


def _is_adapted(base: Any, path: str) -> bool:
    """Whether an adapter lies on a weight: on the layer that it is of, or on itself."""
    parts = path.split(".")
    for length in range(len(parts)):
        layer = base.get_submodule(".".join(parts[:length]))
        if not hasattr(layer, "lora_A"):
            continue
        own = getattr(layer, "parameter_name", None)
        if own is None or own == parts[-1]:
            return True
    return False


def _is_linear(layer: Any) -> bool:
    import torch
    from transformers.pytorch_utils import Conv1D

    return isinstance(layer, torch.nn.Linear | Conv1D)


def _size(weight: Any) -> int:
    state = getattr(weight, "quant_state", None)
    size: int = state.shape.numel() if state is not None else weight.numel()
    return size


def _in_words(model: Any) -> str:
    """Names of the linear layers but the output layer."""
    ends = [layer for _, layer, _ in _ends(model)]
    names = sorted(
        {
            path.rpartition(".")[2]
            for path, layer in model.named_modules()
            if _is_linear(layer) and not any(layer is end for end in ends)
        }
    )
    return ", ".join(names[:SHOWN]) + (" and more" if len(names) > SHOWN else "")
