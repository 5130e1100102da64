"""What is trainable: an arm.

Full fine-tuning, LoRA and QLoRA differ only here and in how the base is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import TrialError, UnknownReferenceError
from harness.models.load import LoadedModel
from harness.models.lora_targets import (
    ALL_LINEAR,
    left_out,
    list_of,
    missing_problem,
    refuse,
    tied_problem,
    unfit_layers,
)
from harness.spec.settings import FullSettings, Settings, TrainedSettings

# Where an adapter came from, not what it computes.
_DESCRIBING = frozenset({"base_model_name_or_path", "revision", "inference_mode", "peft_version"})


def make_trainable(
    loaded: LoadedModel, settings: Settings, seed: int, start: Path | None = None
) -> LoadedModel:
    """Mark what the setting trains, adding adapters where it has them.

    The adapter starts as the identity (Hu et al. 2021: B = 0; DoRA: the magnitude is the norm
    of the base's weight too), so the candidate scores exactly as its base before the first step.
    ``seed`` fixes the random half, A.

    The adapter is scaled by alpha / rank = ``alpha_over_rank``, or with ``rslora`` by
    alpha / sqrt(rank) = ``alpha_over_rank`` * sqrt(rank): larger by the root of the rank, so that
    ``alpha_over_rank`` 0.5 at rank 16 is then a scale of 2.

    Args:
        start: folder of an adapter that is trained further, as it is; None begins anew.

    Raises:
        UnknownReferenceError: ``start`` holds no adapter for this base.
        ValueError: it is the setting of an arm that trains no weights.
        TrialError: ``targets`` names a layer that is not there, or that takes no adapter.
    """
    import torch

    if not isinstance(settings, TrainedSettings):
        raise ValueError(f"an arm of kind {settings.kind} trains nothing here")
    if isinstance(settings, FullSettings):
        loaded.model.requires_grad_(True)
        return replace(loaded, form="full", packed=None)
    from harness.models.peft_library import peft

    if start is not None:
        return _gone_on(loaded, start, settings.dropout)
    # To peft any other string is a pattern for whole paths, which no layer name matches.
    targets = None if settings.targets == ALL_LINEAR else list_of(settings.targets)
    if targets is not None:
        refuse(tied_problem(loaded.model, targets))
    # Without adapters, whose own layers have names too.
    missing = (
        {} if targets is None else {name: missing_problem(loaded.model, [name]) for name in targets}
    )
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha_over_rank * settings.rank,
        lora_dropout=settings.dropout,
        target_modules=ALL_LINEAR if targets is None else targets,
        exclude_modules=unfit_layers(loaded.model) if targets is None else None,
        use_rslora=settings.rslora,
        use_dora=settings.dora,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = peft.get_peft_model(loaded.model, config)
        except (ValueError, NotImplementedError) as error:
            refuse(next(filter(None, missing.values()), None))
            raise TrialError("error", f"the model takes no such adapter: {error}") from error
    # Names that peft has put others in the place of are none of the model's own.
    refuse(next(filter(None, map(missing.get, config.target_modules or ())), None))
    if config.use_dora:
        _start_at_own_norm(model)
    form = _adapter_form(loaded, model)
    return replace(loaded, model=model, form=form, not_adapted=left_out(model))


def _gone_on(loaded: LoadedModel, folder: Path, dropout: float) -> LoadedModel:
    """The base under an adapter of ``folder``, which is trainable."""
    from harness.models.peft_library import peft

    try:
        config = peft.PeftConfig.from_pretrained(str(folder))
        config.lora_dropout = dropout
        model = peft.PeftModel.from_pretrained(
            loaded.model, folder, config=config, is_trainable=True
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UnknownReferenceError(f"{folder}: not an adapter of this base: {error}") from error
    form = _adapter_form(loaded, model)
    return replace(loaded, model=model, form=form, not_adapted=left_out(model))


def _adapter_form(base: LoadedModel, model: Any) -> str:
    _, _, bits = base.form.partition("base-")
    return f"adapter-on-{bits or str(model.dtype).removeprefix('torch.')}"


def _start_at_own_norm(model: Any) -> None:
    """Make DoRA's magnitude exactly the norm that its forward pass divides by.

    peft takes the norm in the type of the weights when the adapter is made, and in the type of
    the adapter, float32, when it is used. On bfloat16 weights the ratio of the two is then 1 only
    to 8 bits in each layer, which moves the logits of a model of 30 layers by about 1.
    """
    import torch
    from peft.tuners.lora.dora import DoraLinearLayer
    from peft.utils.integrations import dequantize_module_weight

    with torch.no_grad():
        for module in model.modules():
            for name, layer in getattr(module, "lora_magnitude_vector", {}).items():
                if not isinstance(layer, DoraLinearLayer):
                    continue
                change = layer.get_lora_weight(module.lora_A[name], module.lora_B[name])
                weight = dequantize_module_weight(module.get_base_layer()).to(change.dtype)
                norm = layer.get_weight_norm(weight, change, module.scaling[name])
                layer.weight.data = norm.to(layer.weight.dtype)


def trainable_parameters(model: Any) -> int:
    """Number of weights that receive gradients."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def save_trained(loaded: LoadedModel, folder: Path) -> list[Path]:
    """Write the trained weights (adapter, or whole model) as safetensors; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    loaded.model.save_pretrained(folder, safe_serialization=True)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def each_adapter(base: LoadedModel, folders: Sequence[Path]) -> Iterator[LoadedModel]:
    """The base under each of several adapters in turn: its weights are loaded once for all.

    What is yielded is good until the next one is asked for. At the end, or where the iteration is
    left, ``base`` is as it was.

    Args:
        folders: adapters as :func:`save_trained` wrote them; ranks and layers may differ.

    Raises:
        UnknownReferenceError: a folder holds no adapter in safetensors for this base.
    """
    model: Any = None
    shape: object = None
    try:
        for folder in folders:
            if not (folder / "adapter_model.safetensors").is_file():
                raise UnknownReferenceError(f"{folder}: there is no adapter_model.safetensors")
            try:
                model, shape = _next_adapter(base, folder, model, shape)
            except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
                raise UnknownReferenceError(
                    f"{folder}: not an adapter of {base.form}: {error}"
                ) from error
            form = _adapter_form(base, model)
            yield replace(base, model=model.eval(), form=form)
    finally:
        if model is not None:
            model.unload()


def _next_adapter(
    base: LoadedModel, folder: Path, before: Any, shape: object
) -> tuple[Any, dict[str, Any]]:
    """The base under the adapter, and what adapters must share to take its place.

    To put an adapter on the layers takes longer than to load a small base, so one of the same shape
    moves into the layers that are there.

    Args:
        before: the base under another one, if there is one; it is not to be used afterwards.
    """
    from harness.models.peft_library import peft

    config = peft.PeftConfig.from_pretrained(str(folder)).to_dict()
    weights = peft.load_peft_weights(str(folder), device="cpu")
    named = {
        "config": {key: value for key, value in config.items() if key not in _DESCRIBING},
        "weights": {name: tuple(weight.shape) for name, weight in weights.items()},
    }
    if before is not None and named == shape:
        peft.set_peft_model_state_dict(before, weights)
        return before, named
    if before is not None:
        before.unload()
    # Not with low_cpu_mem_usage, by which peft takes the weights through the type of the base's: in
    # bfloat16 a trained adapter would lose 16 of its 24 bits, and answer otherwise than it did.
    return peft.PeftModel.from_pretrained(base.model, folder), named
