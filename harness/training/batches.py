"""From tokenised examples to padded batches of like length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from harness.prompting import TokenisedExample

# Examples are sorted by length only within chunks of this many batches: enough to save most
# padding, little enough that each epoch's batches differ.
CHUNK_BATCHES = 16


@dataclass(frozen=True, slots=True)
class Batch:
    """Left-padded tensors of shape (examples, width).

    labels: shape (examples, kept), the answer tokens at the right edge, -100 elsewhere; the
    logits of the last ``kept`` + 1 positions, but the very last, predict them.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    position_ids: torch.Tensor
    labels: torch.Tensor
    tokens: int
    label_tokens: int

    def to(self, device: str | torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(
            self.input_ids.to(device),
            self.attention_mask.to(device),
            self.position_ids.to(device),
            self.labels.to(device),
            self.tokens,
            self.label_tokens,
        )


def collate(examples: Sequence[TokenisedExample], pad: int) -> Batch:
    """Pad on the left, so that the answers of all examples end together.

    Logits are then needed only for the last few positions of the batch, which saves most of the
    work of a large vocabulary.
    """
    width = max(example.length for example in examples)
    kept = max(len(example.answer) for example in examples)
    ids = torch.full((len(examples), width), pad, dtype=torch.long)
    mask = torch.zeros((len(examples), width), dtype=torch.long)
    labels = torch.full((len(examples), kept), -100, dtype=torch.long)
    for row, example in enumerate(examples):
        ids[row, width - example.length :] = torch.tensor(example.prompt + example.answer)
        mask[row, width - example.length :] = 1
        labels[row, kept - len(example.answer) :] = torch.tensor(example.answer)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    return Batch(
        ids,
        mask,
        positions,
        labels,
        tokens=sum(example.length for example in examples),
        label_tokens=sum(len(example.answer) for example in examples),
    )


def epoch_batches(
    lengths: Sequence[int], batch_size: int, rng: np.random.Generator
) -> list[list[int]]:
    """Indices of every example once, in shuffled batches of like length."""
    order = rng.permutation(len(lengths))
    batches: list[list[int]] = []
    span = batch_size * CHUNK_BATCHES
    for start in range(0, len(order), span):
        chunk = sorted(order[start : start + span].tolist(), key=lambda i: lengths[i])
        batches.extend(chunk[i : i + batch_size] for i in range(0, len(chunk), batch_size))
    return [batches[i] for i in rng.permutation(len(batches)).tolist()]
