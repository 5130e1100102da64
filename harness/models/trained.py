"""Whole models out of what a trial trained: loaded from a folder, or an adapter merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.models.adapters import each_adapter
from harness.models.load import LoadedModel, load_arms_base, load_base, load_tokenizer
from harness.records import ResolvedModel, Runtime


def load_whole(folder: Path, runtime: Runtime) -> LoadedModel:
    """A whole model with its tokenizer, in the runtime's dtype.

    Raises:
        UnknownReferenceError: the folder holds no model in safetensors, or no tokenizer.
    """
    return load_base(_itself(folder), runtime)


def merged_model(
    base: ResolvedModel,
    runtime: Runtime,
    kind: str,
    params: Mapping[str, Any],
    folder: Path,
    dtype: str,
) -> LoadedModel:
    """The adapter of ``folder`` merged into its base: a plain model with weights in ``dtype``.

    The base is the one that was scored, in the type of ``runtime``. Under ``qlora`` that is the
    quantised one, de-quantised: the adapter was trained on top of its rounding, which the original
    weights do not have.

    The product of the adapter's halves is added in float32, and the sum is rounded once.

    Raises:
        UnknownReferenceError: the folder holds no adapter for this base.
    """
    import torch

    loaded = load_arms_base(base, runtime, kind, params)
    if kind == "qlora":
        loaded = replace(loaded, model=loaded.model.dequantize(getattr(torch, runtime.dtype)))
    target = getattr(torch, dtype)
    loaded.model.to(target)
    for adapted in each_adapter(loaded, [folder]):
        # What the adapter is taken off at the end holds it by then.
        adapted.model.merge_and_unload()
    loaded.model.config.dtype = target
    return replace(loaded, form="merged")


def with_own_tokenizer(loaded: LoadedModel, folder: Path) -> LoadedModel:
    """The model with the tokenizer that ``folder`` holds.

    Raises:
        UnknownReferenceError: the folder holds none.
    """
    return replace(loaded, tokenizer=load_tokenizer(_itself(folder)))


def _itself(folder: Path) -> ResolvedModel:
    return ResolvedModel(reference=str(folder), path=str(folder), fingerprint="")
