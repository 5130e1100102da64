"""The base that a final run started from, as it lies here, where it runs, what is known of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath

from harness.errors import InputError, UnknownReferenceError
from harness.packaged.catalogue import ASSETS
from harness.records import ResolvedModel, Runtime
from harness.spec import ModelSpec

UNKNOWN = "unknown"


def base_here(base: ResolvedModel) -> ResolvedModel:
    """The base where it lies now: fetched or converted again if its folder is gone.

    Raises:
        InputError: it cannot be found, or is not the one that the study used.
    """
    from harness.models.resolve import folder_fingerprint, resolve_model

    if (Path(base.path) / "config.json").is_file():
        fingerprint, model = folder_fingerprint(Path(base.path)), base
    else:
        asked = ModelSpec(
            reference=base.reference,
            revision=base.revision,
            trust_remote_code=base.trust_remote_code,
        )
        try:
            model = resolve_model(asked)
        except UnknownReferenceError as error:
            raise InputError(
                f"the base {base.reference} is not at {base.path} any more, and cannot be had "
                f"again: {error}"
            ) from error
        fingerprint = model.fingerprint
    if fingerprint != base.fingerprint:
        raise InputError(
            f"{model.path} is not the base {base.reference} that the study used: its files were "
            "changed since; put back what was there"
        )
    return model


def runtime_here(runtime: Runtime) -> Runtime:
    """The run's runtime; on the CPU where its device is not on this machine."""
    import torch

    if runtime.device.startswith("cuda") and not torch.cuda.is_available():
        return replace(runtime, device="cpu")
    return runtime


def public_name(base: ResolvedModel) -> str:
    """The base's id on the hub; empty where it did not come from there."""
    return base.reference if base.revision else ""


def short_name(base: ResolvedModel) -> str:
    """The base's id on the hub, or its own name: where its folder lies is nobody's business."""
    return public_name(base) or PurePath(base.reference).name


def licence_of(base: ResolvedModel) -> str:
    """The base's licence as its own model card or this program's catalogue names it."""
    from huggingface_hub import ModelCard

    if base.reference in ASSETS:
        return ASSETS[base.reference].distribution.licence
    card = Path(base.path) / "README.md"
    if not card.is_file():
        return UNKNOWN
    try:
        licence = ModelCard.load(card, ignore_metadata_errors=True).data.license
    except (ValueError, OSError):
        # A card whose metadata cannot be read says nothing of a licence.
        return UNKNOWN
    return licence if isinstance(licence, str) and licence else UNKNOWN


__all__ = ["UNKNOWN", "base_here", "licence_of", "public_name", "runtime_here", "short_name"]
