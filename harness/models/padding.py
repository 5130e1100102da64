"""What padding does to a model: whether prompts of different lengths can share a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from harness.models.tree_pass import FOREIGN_ERRORS, PROBE, ROUNDING, asked_once, probe_sequences

if TYPE_CHECKING:
    import torch

_ANSWERS: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
# Tokens that the model writes after the padded probe: what a cache keeps of padding shows there.
WRITTEN = 3


def pads_on_the_left(model: Any) -> bool:
    """Whether padding before a prompt, masked, changes nothing in what the model then writes.

    It does where a layer carries a state along the row and takes no mask, or counts positions from
    the row's beginning. The model is asked, on a short prompt: what masked padding moves its
    logits by is compared with what the same tokens, seen, would.

    A model is asked once: neither training nor an adapter changes the answer.
    """
    return asked_once(model, _writes_alike, _ANSWERS)


def padded_together(model: Any, prompts: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Which prompts of a batch are padded to one length: all, or none where padding is seen."""
    lengths = [len(prompt) for prompt in prompts]
    if len(set(lengths)) == 1 or pads_on_the_left(model):
        return [list(range(len(prompts)))]
    return [
        [index for index, length in enumerate(lengths) if length == width]
        for width in sorted(set(lengths), reverse=True)
    ]


def _writes_alike(model: Any) -> bool:
    import torch

    padding, prompt = (row[:PROBE] for row in probe_sequences(model)[:2])
    row, seen = torch.tensor([padding + prompt]), torch.ones((1, 2 * PROBE), dtype=torch.long)
    hidden = seen.clone()
    hidden[:, :PROBE] = 0
    try:
        alone = _written(model, row[:, PROBE:], seen[:, PROBE:])
        moved, unmasked = (
            float((_written(model, row, mask) - alone).square().mean().sqrt())
            for mask in (hidden, seen)
        )
    except FOREIGN_ERRORS:
        return False
    return moved <= unmasked * ROUNDING


def _written(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Logits of the tokens that are written after a row, shape (WRITTEN, vocabulary), float32."""
    import torch

    with torch.inference_mode():
        generated = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=WRITTEN,
            min_new_tokens=WRITTEN,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
    return torch.cat(generated.logits).float()
