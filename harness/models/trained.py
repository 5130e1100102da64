"""Whole models out of what a trial trained: loaded from a folder, or an adapter merged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import UnknownReferenceError
from harness.models.adapters import each_adapter
from harness.models.base_cache import BaseCache
from harness.models.brought import brought_model, itself
from harness.models.load import LoadedModel, load_arms_base, load_base, load_tokenizer
from harness.records import ResolvedModel, Runtime
from harness.spec.settings import (
    AdapterSettings,
    FullSettings,
    OutsideSettings,
    Settings,
    quantisation_of,
)


def load_whole(folder: Path, runtime: Runtime) -> LoadedModel:
    """A whole model with its tokenizer, in the runtime's dtype.

    Raises:
        UnknownReferenceError: the folder holds no model in safetensors, or no tokenizer.
    """
    return load_base(itself(folder), runtime)


@contextmanager
def trained_model(
    base: ResolvedModel, runtime: Runtime, settings: Settings, folder: Path, bases: BaseCache
) -> Iterator[LoadedModel]:
    """What a trial trained and left in ``folder``, in the form that it was scored in.

    Args:
        bases: lends the base that an adapter is put on.

    Raises:
        UnknownReferenceError: the folder holds no such weights for this base.
    """
    if isinstance(settings, OutsideSettings):
        with brought_model(base, runtime, settings, folder, bases) as loaded:
            yield loaded
        return
    if isinstance(settings, FullSettings):
        whole = replace(base, reference=str(folder), path=str(folder), revision="")
        bases.make_room(runtime)
        # A trial keeps weights only: the tokenizer stays the base's.
        loaded = load_base(whole, runtime, tokenizer_of=base)
        yield replace(loaded, form="full", beside_mib=bases.mib)
        return
    with bases.lent(base, runtime, settings) as lent:
        yield from each_adapter(lent, [folder])


def merged_model(
    base: ResolvedModel,
    runtime: Runtime,
    settings: AdapterSettings | OutsideSettings,
    folder: Path,
    dtype: str,
) -> LoadedModel:
    """The adapter of ``folder`` merged into its base: a plain model with weights in ``dtype``.

    The base is the one that was scored, in the type of ``runtime``. A quantised one is
    de-quantised: the adapter was trained on top of its rounding, which the original weights do
    not have.

    The product of the adapter's halves is added in float32, and the sum is rounded once.

    Raises:
        UnknownReferenceError: the folder holds no adapter for this base, or one that cannot be
            merged.
    """
    import torch

    loaded = load_arms_base(base, runtime, settings)
    if quantisation_of(settings) is not None:
        loaded = replace(loaded, model=loaded.model.dequantize(getattr(torch, runtime.dtype)))
    target = getattr(torch, dtype)
    loaded.model.to(target)
    for adapted in each_adapter(loaded, [folder]):
        if _changes_what_is_tied(adapted.model):
            raise UnknownReferenceError(
                f"{folder}: its adapter changes the input embedding or the output layer, which are "
                "one weight in this base, so that merged it would change both; use the adapter as "
                "it is (harness export model --form trained)"
            )
        try:
            # What the adapter is taken off at the end holds it by then.
            adapted.model.merge_and_unload()
        except (RuntimeError, ValueError, NotImplementedError) as error:
            raise UnknownReferenceError(
                f"{folder}: its adapter cannot be merged: {error}; use it as it is (harness export "
                "model --form trained)"
            ) from error
    loaded.model.config.dtype = target
    return replace(loaded, form="merged")


def _changes_what_is_tied(model: Any) -> bool:
    """Whether an adapter lies on one of two layers that have one weight."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    bases = [end.get_base_layer() if isinstance(end, BaseTunerLayer) else end for end in ends]
    adapted = any(isinstance(end, BaseTunerLayer) for end in ends)
    return adapted and bases[0].weight is bases[1].weight


def with_own_tokenizer(loaded: LoadedModel, folder: Path) -> LoadedModel:
    """The model with the tokenizer that ``folder`` holds.

    Raises:
        UnknownReferenceError: the folder holds none.
    """
    return replace(loaded, tokenizer=load_tokenizer(itself(folder)))
