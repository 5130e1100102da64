"""What a model's folder may hold before anything of it is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import UnknownReferenceError

INDEX = "model.safetensors.index.json"
# Where a configuration may name the code that computes attention.
_ATTENTION = ("attn_implementation", "_attn_implementation")


def check_folder(reference: str, folder: Path, *, trusted: bool) -> None:
    """Refuse a folder whose weights could run code when read, or lie elsewhere.

    reference: as the user named it. trusted: the experiment says ``trust_remote_code``.

    Raises:
        UnknownReferenceError: no configuration; weights in another form than safetensors or
            outside the folder; an adapter without its base; compiled code from a hub.
    """
    wrong = _first_problem(folder, trusted=trusted)
    if wrong:
        raise UnknownReferenceError(f"model {reference!r}: {wrong}")


def _first_problem(folder: Path, *, trusted: bool) -> str | None:
    if (folder / "adapter_config.json").exists():
        return (
            f"{folder} holds an adapter, whose base may be anywhere: merge it into its base "
            "(merge_and_unload of peft), save that and name its folder"
        )
    if not (folder / "config.json").exists():
        return f"{folder} holds no config.json"
    if not list(folder.glob("*.safetensors")):
        return (
            f"{folder} holds no .safetensors; other formats can run code when read and are "
            "refused: save the model again with safe_serialization=True"
        )
    for name in _indexed(folder / INDEX):
        if Path(name).name != name or not name.endswith(".safetensors"):
            return (
                f"{INDEX} names {name!r}, which is no .safetensors file of this folder; save the "
                "model again with safe_serialization=True"
            )
    for kernel in () if trusted else _kernels(_json(folder / "config.json")):
        return (
            f"config.json computes attention by {kernel!r}, compiled code from a hub; remove "
            "attn_implementation from it, or say trust_remote_code: true if you trust its source"
        )
    return None


def _indexed(path: Path) -> Iterator[str]:
    """Names of the files that an index spreads the weights over; none without an index."""
    index = _json(path)
    weights = index.get("weight_map") if isinstance(index, dict) else None
    if isinstance(weights, dict):
        yield from map(str, weights.values())


def _kernels(config: Any) -> Iterator[str]:
    """Repositories that a configuration, or a part of it, takes its attention from."""
    if not isinstance(config, dict):
        return
    for key, value in config.items():
        if key in _ATTENTION:
            named = value.values() if isinstance(value, dict) else [value]
            yield from (str(name) for name in named if "/" in str(name))
        else:
            yield from _kernels(value)


def _json(path: Path) -> Any:
    """What the file holds; None where it cannot be read: loading says what is wrong with it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
