"""One pass of a model through a tree of sequences (:mod:`harness.models.token_tree`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from harness.models.token_tree import Ints, TokenTree, token_tree

if TYPE_CHECKING:
    import torch

# Attribute of a model that is a copy: a weak reference to what it was copied from.
COPIED_FROM = "copied_from"
_ANSWERS: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
# Whatever a foreign architecture says to a call that it is not made for, it does not take it.
FOREIGN_ERRORS = (TypeError, ValueError, RuntimeError, IndexError, KeyError, AttributeError)
# Tokens of each part of the sequences that a model is asked about.
PROBE = 8
# The most that rounding may move logits by, in parts of what wrong positions or a mask that is
# ignored would. With weights in bfloat16 0 to 0.16 was measured; without either it is 1.
ROUNDING = 1 / 3


def tree_inputs(model: Any, tree: TokenTree, before: int = 0) -> dict[str, Any]:
    """What the model is called with: ids, positions, mask; a batch of one row, on the CPU.

    Args:
        before: tokens that stand in a cache and that every sequence of the tree begins with.

    Raises:
        ValueError: layers attend in a way that no mask describes.
    """
    import torch

    ahead = np.ones((len(tree.tokens), before), dtype=np.bool_)
    depths = tree.depths + before
    return {
        "input_ids": torch.from_numpy(tree.tokens)[None],
        "position_ids": torch.from_numpy(depths)[None],
        "attention_mask": attention_masks(
            model,
            np.concatenate([ahead, tree.visible], axis=1),
            depths,
            np.concatenate([np.arange(before), depths]),
        ),
    }


def attention_masks(
    model: Any, visible: NDArray[np.bool_], depths: Ints, depths_seen: Ints
) -> torch.Tensor | dict[str, torch.Tensor]:
    """What is added to attention scores, shape (1, 1, tokens, tokens seen).

    Where layers see only so many tokens back, their mask says so too; where they differ in that,
    there is one for each kind of layer, by its name in the model's configuration.

    Args:
        visible: whether a token sees another, shape (tokens, tokens seen).
        depths, depths_seen: positions of the tokens, and of those seen.

    Raises:
        ValueError: layers attend in a way that no mask describes.
    """
    masks = {}
    for kind, window in attention_windows(model).items():
        seen = visible
        if window is not None:
            seen = visible & (depths[:, None] - depths_seen[None, :] < window)
        masks[kind] = _added(seen, model.dtype)
    return masks if len(masks) > 1 else next(iter(masks.values()))


def attention_windows(model: Any) -> dict[str, int | None]:
    """How many tokens back a layer sees, by kind of layer; None where it sees all.

    Raises:
        ValueError: layers attend in a way that no mask describes.
    """
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    if not getattr(config, "use_sliding_window", True):
        window = None
    only = "full_attention" if window is None else "sliding_attention"
    kinds = set(getattr(config, "layer_types", None) or [only])
    if not kinds <= {"full_attention", "sliding_attention"}:
        raise ValueError(f"no mask describes layers of {', '.join(sorted(kinds))}")
    return {kind: window if kind == "sliding_attention" else None for kind in kinds}


def sees_all(model: Any, length: int) -> bool:
    """Whether a token of a row of so many tokens sees all before it, in every layer."""
    return all(window is None or length <= window for window in attention_windows(model).values())


def _added(visible: NDArray[np.bool_], dtype: torch.dtype) -> torch.Tensor:
    import torch

    mask = torch.zeros(visible.shape, dtype=dtype)
    return mask.masked_fill_(torch.from_numpy(~visible), torch.finfo(dtype).min)[None, None]


def takes_trees(model: Any) -> bool:
    """Whether the model computes the sequences of a tree as it computes them alone.

    Most do. Those do not that recur over a row, that derive positions from a mask, or that ignore
    the mask they are given. The model is asked, on three short sequences. What a tree moves their
    logits by is compared with what the model's ignoring the mask, and the positions, would: with
    an exact model it is rounding, a small part of either, in a format of 16 bits too.

    A model is asked once: neither training nor an adapter changes the answer.
    """
    return asked_once(model, _computes_alike, _ANSWERS)


def asked_once(
    model: Any, question: Callable[[Any], bool], answers: WeakKeyDictionary[Any, bool]
) -> bool:
    """A model's answer to a question, taken from ``answers`` where it was asked before.

    A copy (:mod:`harness.models.base_cache`) answers as what it was copied from.
    """
    core = base_of(model)
    original = vars(core).get(COPIED_FROM, lambda: None)()
    if original is not None:
        core = original
    if core not in answers:
        with evaluating(model):
            answers[core] = question(model)
    return answers[core]


def _computes_alike(model: Any) -> bool:
    import torch
    from transformers import DynamicCache

    sequences = probe_sequences(model)
    tree = token_tree(sequences)

    def logits(cache: Any = None, **inputs: Any) -> torch.Tensor:
        output: torch.Tensor = model(
            **to_device(inputs, model.device), past_key_values=cache, use_cache=cache is not None
        ).logits
        return output.float()

    try:
        inputs = tree_inputs(model, tree)
        row = torch.arange(len(tree.tokens))[None]
        # What all begin with out of a cache of keys and values, as replies and scores have it.
        rests = token_tree([sequence[PROBE:] for sequence in sequences])
        cache = DynamicCache()
        with torch.no_grad():
            alone = logits(input_ids=torch.tensor(sequences))
            laid_out = [
                logits(**inputs)[0],
                logits(**{**inputs, "position_ids": row})[0],
                logits(input_ids=inputs["input_ids"])[0],
            ]
            logits(cache, input_ids=inputs["input_ids"][:, :PROBE])
            cached = logits(cache, **tree_inputs(model, rests, PROBE))[0]
    except FOREIGN_ERRORS:
        return False
    nodes = np.stack(tree.paths)
    moved, without_positions, without_mask = (
        float((predicted[nodes] - alone).square().mean().sqrt()) for predicted in laid_out
    )
    after = float((cached[np.stack(rests.paths)] - alone[:, PROBE:]).square().mean().sqrt())
    return max(moved, after) <= min(without_positions, without_mask) * ROUNDING


def logits_at(model: Any, kept: torch.Tensor, **inputs: Any) -> torch.Tensor:
    """Logits after the positions ``kept`` of each row, shape (rows, kept, vocabulary).

    Most models compute those only; of one that cannot, they are picked out of all.
    """
    if "logits_to_keep" in signature(base_of(model).forward).parameters:
        few: torch.Tensor = model(**inputs, logits_to_keep=kept).logits
        return few
    every: torch.Tensor = model(**inputs).logits
    return every[:, kept]


def base_of(model: Any) -> Any:
    """The model itself, under an adapter if it has one."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Within this context the model does not train, and has no dropout."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def probe_sequences(model: Any) -> list[list[int]]:
    """Three sequences of 16 tokens, of which the first 8 are the same.

    Of tokens from the middle of the vocabulary: the first ones are often never trained, and what
    is computed of them is mostly rounding.
    """
    vocabulary = model.config.get_text_config().vocab_size
    low, high = vocabulary // 4, max(vocabulary // 4 + 2, 3 * vocabulary // 4)
    drawn = np.random.default_rng(0).integers(low, high, (4, PROBE)).tolist()
    return [drawn[0] + own for own in drawn[1:]]


def to_device(inputs: dict[str, Any], device: Any) -> dict[str, Any]:
    """The same inputs on another device; a mask for each kind of layer with them."""
    return {
        name: to_device(value, device) if isinstance(value, dict) else value.to(device)
        for name, value in inputs.items()
    }


def nodes_and_places(paths: list[Any]) -> tuple[Any, Any]:
    """The nodes of ``paths``, each once, rising, and where each of them stands among those."""
    if not paths:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    return np.unique(np.concatenate(paths), return_inverse=True)
