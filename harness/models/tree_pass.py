"""One pass of a model through a tree of sequences (:mod:`harness.prompting.token_tree`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.prompting.token_tree import TokenTree, token_tree

if TYPE_CHECKING:
    import torch

# Two sequences with a common beginning, and one that ends as the first does after another one.
PROBE = ((5, 3, 8, 4, 9, 7, 6, 3), (5, 3, 8, 4, 7, 9, 3, 8, 5))
ELSEWHERE = (9, 6, 7, 5, 3, 4, 6, 3)


def tree_inputs(model: Any, tree: TokenTree) -> dict[str, Any]:
    """What the model is called with: ids, positions, mask; a batch of one row, on the CPU.

    The mask is added to attention scores. Where layers see only so many tokens back, theirs says
    so too; where they differ in that, there is one mask for each kind, by its name in the model's
    configuration.

    Raises:
        ValueError: layers attend in a way that no mask describes.
    """
    import torch

    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    if window is None or not getattr(config, "use_sliding_window", True):
        window, only = len(tree.tokens), "full_attention"
    else:
        only = "sliding_attention"
    kinds = set(getattr(config, "layer_types", None) or [only])
    if not kinds <= {"full_attention", "sliding_attention"}:
        raise ValueError(f"no mask describes layers of {', '.join(sorted(kinds))}")
    back = tree.depths[:, None] - tree.depths[None, :]
    masks = {
        kind: _added(tree.visible if kind == "full_attention" else tree.visible & (back < window),
                     model.dtype)
        for kind in kinds
    }  # fmt: skip
    return {
        "input_ids": torch.from_numpy(tree.tokens)[None],
        "position_ids": torch.from_numpy(tree.depths)[None],
        "attention_mask": masks if len(masks) > 1 else next(iter(masks.values())),
    }


def _added(visible: Any, dtype: torch.dtype) -> torch.Tensor:
    import torch

    mask = torch.zeros(visible.shape, dtype=dtype)
    return mask.masked_fill_(torch.from_numpy(~visible), torch.finfo(dtype).min)[None, None]


def takes_trees(model: Any) -> bool:
    """Whether the model computes the sequences of a tree as it computes them alone.

    Most do. Those do not that recur over a row, that derive positions from a mask, or that ignore
    the mask they are given. The model is asked, on three short rows: the tree may move logits by
    a tenth, at most, of what another context before the same token does.
    """
    import torch

    tree = token_tree(PROBE)
    was_training = model.training
    model.eval()
    try:
        inputs = tree_inputs(model, tree)
        with torch.no_grad():
            found = model(**to_device(inputs, model.device), use_cache=False).logits[0].float()
            alone, elsewhere = (
                model(input_ids=torch.tensor([row], device=model.device), use_cache=False)
                .logits[0]
                .float()
                for row in (PROBE[0], ELSEWHERE)
            )
    except (TypeError, ValueError, RuntimeError, IndexError, KeyError):
        # Whatever a foreign architecture says to such a call, it does not take it.
        return False
    finally:
        model.train(was_training)
    moved = (found[tree.paths[0].tolist()] - alone).abs().max()
    return bool(moved <= (elsewhere[-1] - alone[-1]).abs().max() / 10)


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
