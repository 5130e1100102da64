"""What a model's folder may hold before anything of it is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import UnknownReferenceError
from harness.models.vocabulary import folder_problem, read_json

INDEX = "model.safetensors.index.json"
# Heads that fill gaps or classify.
_NO_WRITER = re.compile(
    r"For(MaskedLM|PreTraining|QuestionAnswering|MultipleChoice|NextSentencePrediction"
    r"|\w*Classification|RewardModel)$"
)
# Where a configuration may name the code that computes attention.
_ATTENTION = ("attn_implementation", "_attn_implementation")


def check_folder(reference: str, folder: Path, *, trusted: bool) -> None:
    """Refuse a folder whose weights could run code when read, or lie elsewhere.

    Args:
        reference: the model as the user named it.
        trusted: whether the experiment says ``trust_remote_code``.

    Raises:
        UnknownReferenceError: no configuration; weights in another form than safetensors, not
            whole, or outside the folder; an adapter without its base; compiled code from a hub; no
            causal language model; a tokenizer of another vocabulary.
    """
    wrong = (
        _first_problem(folder, trusted=trusted)
        or _index_problem(folder)
        or torn_file(folder)
        or _other_kind(read_json(folder / "config.json"))
        or folder_problem(folder)
    )
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
    for kernel in () if trusted else _kernels(read_json(folder / "config.json")):
        return (
            f"config.json computes attention by {kernel!r}, compiled code from a hub; remove "
            "attn_implementation from it, or say trust_remote_code: true if you trust its source"
        )
    return None


def _index_problem(folder: Path) -> str | None:
    """What is wrong where an index spreads the weights over files; else None."""
    for name in dict.fromkeys(_indexed(folder / INDEX)):
        if Path(name).name != name or not name.endswith(".safetensors"):
            return (
                f"{INDEX} names {name!r}, which is no .safetensors file of this folder; save the "
                "model again with safe_serialization=True"
            )
        if not (folder / name).is_file():
            return f"{INDEX} names {name}, which is not there; fetch the model again, whole"
    return None


def torn_file(folder: Path) -> str | None:
    """What is wrong where a file of weights is not whole by its own header; else None."""
    from safetensors import SafetensorError, safe_open

    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="numpy"):
                pass
        except (SafetensorError, OSError) as error:
            return (
                f"{path.name} is no whole file of safetensors ({error}): fetch it again (by `git "
                "lfs pull` where git fetched it), or save it again"
            )
    return None


def _indexed(path: Path) -> Iterator[str]:
    """Names of the files that an index spreads the weights over; none without an index."""
    index = read_json(path)
    weights = index.get("weight_map") if isinstance(index, dict) else None
    if isinstance(weights, dict):
        yield from map(str, weights.values())


def _other_kind(config: Any) -> str | None:
    """What is wrong where a model writes no text, or only after another one; else None."""
    if not isinstance(config, dict):
        return None
    heads = [str(name) for name in config.get("architectures") or ()]
    others = [f"a {name}" for name in heads if _NO_WRITER.search(name)]
    if config.get("is_encoder_decoder"):
        others = [f"an encoder-decoder model ({config.get('model_type')})"]
    if not others:
        return None
    return f"its config.json describes {others[0]}, not a causal language model; name one of those"


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
