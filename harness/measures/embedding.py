"""Embedding models in a folder: sentence-transformers' and model2vec's, read from safetensors."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.records import content_hash, file_sha256

Vector = NDArray[np.float64]
Embed = Callable[[str], Vector]
"""The vector of a text; raises :class:`TooLongError`."""
# Files that decide what a text's vector is.
_READ = {".json", ".safetensors", ".txt", ".model"}
_POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
}
# Folders of ours are small; another process may hold another.
_KEPT = 2


class TooLongError(Exception):
    """A text is longer than the model reads."""


def fingerprint_of(folder: Path) -> str:
    """Hash of the folder's files that decide what a text's vector is.

    Raises:
        ValueError: it is no folder, or holds no safetensors.
    """
    if not folder.is_dir():
        raise ValueError(f"no such folder: {folder}; give that of an embedding model")
    files = sorted(path for path in folder.rglob("*") if path.suffix in _READ and path.is_file())
    if not any(path.suffix == ".safetensors" for path in files):
        raise ValueError(
            f"{folder} holds no weights in safetensors, the only form that is read: others may "
            "run code; save the model so"
        )
    return content_hash([[p.relative_to(folder).as_posix(), file_sha256(p)] for p in files], 40)


@lru_cache(maxsize=_KEPT)
def embedder(folder: Path, fingerprint: str) -> Embed:
    """What gives the vector of a text.

    Raises:
        ValueError: the folder is not what its fingerprint says, or no model that is known.
    """
    if fingerprint_of(folder) != fingerprint:
        raise ValueError(f"{folder} is not the embedding model that the study was planned with")
    config = _json(folder / "config.json")
    read = _static if config.get("model_type") == "model2vec" else _sentence_transformer
    try:
        embed = read(folder)
    except (OSError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"{folder} cannot be read as an embedding model: {type(error).__name__}: {error}"
        ) from error
    return lru_cache(maxsize=4096)(embed)


def cosine(one: Vector, other: Vector) -> float:
    """Cosine of the angle between two vectors; 0 where one has no length."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else 0.0


def _static(folder: Path) -> Embed:
    """Of model2vec: the mean of its tokens' vectors."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    tensors = load_file(folder / "model.safetensors")
    unknown = set(tensors) - {"embeddings", "weights", "mapping"}
    if unknown:
        raise ValueError(f"{folder} holds tensors that are not known: {', '.join(sorted(unknown))}")
    table = tensors["embeddings"].astype(np.float64)
    mapping = tensors.get("mapping", np.arange(len(table)))
    weights = tensors.get("weights", np.ones(len(mapping))).astype(np.float64)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    absent = _unknown_token(folder / "tokenizer.json", tokenizer)

    def embed(text: str) -> Vector:
        tokens = [n for n in tokenizer.encode(text, add_special_tokens=False).ids if n != absent]
        if not tokens:
            return np.zeros(table.shape[1])
        vectors: Vector = table[mapping[tokens]] * weights[tokens][:, None]
        mean: Vector = vectors.mean(axis=0)
        return mean

    return embed


def _unknown_token(path: Path, tokenizer: Any) -> int | None:
    """The token for what is not in the vocabulary, which model2vec leaves out."""
    model = _json(path).get("model", {})
    name = model.get("unk_token")
    if name is None and model.get("unk_id") is not None:
        return int(model["unk_id"])
    return None if name is None else tokenizer.token_to_id(name)


def _sentence_transformer(folder: Path) -> Embed:
    """Of sentence-transformers: a transformer whose tokens' vectors are pooled."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    inner, pooling = _modules(folder)
    rules = _json(inner / "sentence_bert_config.json")
    tokenizer: Any = AutoTokenizer.from_pretrained(inner)
    model: Any = AutoModel.from_pretrained(inner, use_safetensors=True, dtype=torch.float32)
    model.eval()
    places = getattr(model.config, "max_position_embeddings", None)
    longest = rules.get("max_seq_length") or places or tokenizer.model_max_length
    described = _json(folder / "config_sentence_transformers.json")
    lead = (described.get("prompts") or {}).get(described.get("default_prompt_name") or "", "")

    def embed(text: str) -> Vector:
        text = lead + (text.lower() if rules.get("do_lower_case") else text)
        given = tokenizer(text, return_tensors="pt", truncation=False)
        size = given["input_ids"].shape[1]
        if size > longest:
            raise TooLongError(f"a text of {size} tokens is longer than the {longest} it reads")
        with torch.inference_mode():
            states = model(**given).last_hidden_state[0].double().numpy()
        if pooling == "cls":
            return np.asarray(states[0])
        return np.asarray(states.max(axis=0) if pooling == "max" else states.mean(axis=0))

    return embed


def _modules(folder: Path) -> tuple[Path, str]:
    """The folder of the transformer, and how its tokens' vectors are pooled."""
    listed = _json(folder / "modules.json")
    kinds = {str(one["type"]).rpartition(".")[2]: folder / one["path"] for one in listed or ()}
    strange = set(kinds) - {"Transformer", "Pooling", "Normalize"}
    if strange:
        raise ValueError(f"{folder} has parts that are not read here: {', '.join(sorted(strange))}")
    pooling = _json(kinds["Pooling"] / "config.json") if "Pooling" in kinds else {}
    if "pooling_mode" in pooling:
        named = [str(pooling["pooling_mode"])]
    else:
        named = [kind for key, kind in _POOLINGS.items() if pooling.get(key)] or ["mean"]
    others = [key for key, on in pooling.items() if key.startswith("pooling_mode_") and on is True]
    if len(named) > 1 or set(named) - set(_POOLINGS.values()) or set(others) - set(_POOLINGS):
        raise ValueError(f"{folder} pools in a way that is not read here; mean, cls and max are")
    return kinds.get("Transformer", folder), named[0]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


__all__ = ["TooLongError", "cosine", "embedder", "fingerprint_of"]
