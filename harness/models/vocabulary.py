"""Tokens for which a model has no row in its embedding, found before anything is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import TrialError


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a tokenizer may turn a text into."""

    ids: Mapping[str, int]
    """Token -> its id."""
    control: Collection[str]
    """Tokens that only their own name in a text gives, such as one that stands for an image."""
    written: str
    """Text in which names of control tokens are looked for, such as the chat template: those that
    stand in it are met all the same."""

    def problem(self, rows: int) -> str | None:
        """What is wrong where the embedding has so many rows; None if nothing is."""
        reachable = {
            token: number
            for token, number in self.ids.items()
            if number >= rows and (token not in self.control or token in self.written)
        }
        if not reachable:
            return None
        token, last = max(reachable.items(), key=lambda item: item[1])
        return (
            f"its tokenizer gives ids up to {last} ({token!r}), but the embedding has {rows} rows, "
            f"for ids 0 to {rows - 1}: use the tokenizer that the model was trained with, or give "
            f"the model rows (model.resize_token_embeddings({last + 1})) and save it again"
        )

    @classmethod
    def of(cls, tokenizer: Any) -> Vocabulary:
        """The vocabulary of a tokenizer in memory."""
        added = getattr(tokenizer, "added_tokens_decoder", {}).values()
        marks = (tokenizer.bos_token, tokenizer.eos_token, tokenizer.chat_template)
        return cls(
            tokenizer.get_vocab(),
            {str(token) for token in added if token.special} | {tokenizer.pad_token},
            "".join(map(str, marks)),
        )


def tokens_apart(folder: Path, other: Path) -> list[str]:
    """Tokens of the tokenizer in a folder that are none, or have another id, in that of another.

    None of them where the files of either do not tell.
    """
    mine, theirs = (read_json(place / "tokenizer.json") for place in (folder, other))
    if not (isinstance(mine, dict) and isinstance(theirs, dict)):
        return []
    ids, others = _described(mine)[0], _described(theirs)[0]
    return sorted(token for token, number in ids.items() if others.get(token) != number)


def folder_problem(folder: Path) -> str | None:
    """What is wrong by a model's files, without loading anything; None if they do not tell."""
    config = read_json(folder / "config.json")
    described = read_json(folder / "tokenizer.json")
    if not (isinstance(config, dict) and isinstance(described, dict)):
        return None
    part = config.get("text_config")
    sizes = part if isinstance(part, dict) else config
    rows, pad = sizes.get("vocab_size"), sizes.get("pad_token_id")
    if not isinstance(rows, int):
        return None
    if isinstance(pad, int) and pad >= rows:
        return (
            f"config.json names {pad} as the id that pads, but the embedding has {rows} rows, for "
            f"ids 0 to {rows - 1}; correct pad_token_id there, or leave it out"
        )
    settings = read_json(folder / "tokenizer_config.json")
    settings = settings if isinstance(settings, dict) else {}
    template = folder / "chat_template.jinja"
    marks = [settings.get(name) for name in ("bos_token", "eos_token", "chat_template")]
    if template.is_file():
        marks.append(template.read_text(encoding="utf-8", errors="replace"))
    ids, control = _described(described)
    return Vocabulary(ids, control, json.dumps(marks, ensure_ascii=False)).problem(rows)


def guard_embedding(model: Any, tokenizer: Any) -> None:
    """Say which token, or position, has no row, where one is met: not a bare index error."""
    embedding = model.get_input_embeddings()
    for path, layer in model.named_modules():
        if isinstance(layer, type(embedding)) and re.search(r"wpe|pos", path):
            layer.register_forward_pre_hook(_position_guard(path))
    rows = embedding.weight.shape[0]
    if max(tokenizer.get_vocab().values(), default=0) < rows:
        return

    def check(module: Any, inputs: tuple[Any, ...]) -> None:
        highest = int(inputs[0].max()) if inputs and inputs[0].numel() else 0
        if highest >= rows:
            token = tokenizer.convert_ids_to_tokens(highest)
            raise TrialError(
                "error",
                f"a text holds the token {token!r}, id {highest}, for which the model's embedding "
                f"of {rows} rows has none; take it out of the data",
            )

    embedding.register_forward_pre_hook(check)


def _position_guard(path: str) -> Callable[[Any, tuple[Any, ...]], None]:
    def check(layer: Any, inputs: tuple[Any, ...]) -> None:
        highest, rows = int(inputs[0].max()) if inputs else 0, layer.weight.shape[0]
        if highest >= rows:
            raise TrialError(
                "error",
                f"a text needs position {highest} of {path}, which has {rows}, for positions 0 to "
                f"{rows - 1}: it is longer than the model can read; take fewer shots, shorter "
                "texts, or a model with more room",
            )

    return check


def set_padding(tokenizer: Any, rows: int | None = None) -> None:
    """Give the tokenizer a token to pad with, if it has none, or none that the embedding knows.

    Any will do: padding is masked, and no part of a reply.
    """
    known = range(rows) if rows is not None else range(2**63)
    candidates = (
        tokenizer.pad_token_id,
        tokenizer.eos_token_id,
        tokenizer.unk_token_id,
        tokenizer.bos_token_id,
        0,
    )
    tokenizer.pad_token_id = next(
        candidate for candidate in candidates if candidate is not None and candidate in known
    )


def _described(tokenizer: Mapping[str, Any]) -> tuple[dict[str, int], set[str]]:
    """Ids and control tokens of a tokenizer.json."""
    core = tokenizer.get("model")
    listed = core.get("vocab") if isinstance(core, dict) else None
    ids: dict[str, int] = {}
    if isinstance(listed, dict):
        ids = {token: number for token, number in listed.items() if isinstance(number, int)}
    elif isinstance(listed, list):
        ids = {str(pair[0]): number for number, pair in enumerate(listed) if pair}
    control = set()
    for token in tokenizer.get("added_tokens") or ():
        ids[str(token.get("content"))] = int(token.get("id", 0))
        if token.get("special"):
            control.add(str(token.get("content")))
    return ids, control


def read_json(path: Path) -> Any:
    """What the file holds; None where it cannot be read: loading says what is wrong with it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
