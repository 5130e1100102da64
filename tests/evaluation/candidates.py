"""The tiny model as its base and with adapters, and requests as lm-eval makes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.instance import Instance

from harness.models.adapters import make_trainable
from harness.models.load import LoadedModel
from tests.settings import trained
from tests.tiny_model import load_tiny

MODELS = ["base", "adapter"]


@cache
def loaded_as(folder: Path, kind: str, dtype: str = "float32") -> LoadedModel:
    """One copy of the model for all tests; the adapter's weights are random and large."""
    loaded = load_tiny(folder, dtype)
    if kind == "adapter":
        loaded = make_trainable(loaded, trained("lora"), seed=0)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for name, weight in loaded.model.named_parameters():
                if "lora_B" in name:
                    weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
        loaded.model.eval()
    return loaded


def instances(kind: str, arguments: Sequence[tuple[Any, ...]]) -> list[Instance]:
    """A request of ``kind`` for each tuple of arguments."""
    return [Instance(kind, {}, argument, index) for index, argument in enumerate(arguments)]
