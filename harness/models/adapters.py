"""What is trainable: an arm.

Full fine-tuning, LoRA and QLoRA differ only here and in how the base is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.models.load import LoadedModel


def make_trainable(
    loaded: LoadedModel, kind: str, params: dict[str, Any], seed: int
) -> LoadedModel:
    """Mark what ``kind`` trains, adding adapters where it uses them.

    The adapter starts as the identity (Hu et al. 2021: B = 0), so the candidate scores exactly
    as its base before the first step. ``seed`` fixes the random half, A.

    Raises:
        ValueError: ``kind`` is not a fine-tuning kind, or ``targets`` names no layer.
    """
    import torch

    if kind == "full":
        loaded.model.requires_grad_(True)
        return LoadedModel(loaded.model, loaded.tokenizer, "full", loaded.total_parameters)
    if kind not in ("lora", "qlora"):
        raise ValueError(f"arms of kind {kind!r} train nothing")
    from peft import LoraConfig, get_peft_model

    targets = params["targets"]
    config = LoraConfig(
        r=params["rank"],
        lora_alpha=params["alpha_over_rank"] * params["rank"],
        lora_dropout=params["dropout"],
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = get_peft_model(loaded.model, config)
    under = "nf4" if loaded.form == "base-nf4" else str(model.dtype).removeprefix("torch.")
    return LoadedModel(model, loaded.tokenizer, f"adapter-on-{under}", loaded.total_parameters)


def trainable_parameters(model: Any) -> int:
    """Number of weights that receive gradients."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def save_trained(loaded: LoadedModel, folder: Path) -> list[Path]:
    """Write the trained weights (adapter, or whole model) as safetensors; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    loaded.model.save_pretrained(folder, safe_serialization=True)
    return sorted(path for path in folder.rglob("*") if path.is_file())
