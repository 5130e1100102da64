"""From tokenised examples to padded batches of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from harness.prompting import TokenisedExample
from harness.prompting.shared_prefix import shared_prefix_length
from harness.training.peers import Peers

# Examples are sorted by length only within chunks of this many batches: enough to save most
# padding, little enough that each epoch's batches differ.
CHUNK_BATCHES = 16


@dataclass(frozen=True, slots=True)
class Batch:
    """Left-padded tensors of shape (examples, width), after a beginning common to all rows.

    prefix: shape (1, p), the common beginning; p is 0 where there is none worth sharing.
    attention_mask: shape (examples, p + width).
    labels: shape (examples, kept), the answer tokens at the right edge, -100 elsewhere; the
    logits of the last ``kept`` + 1 positions, but the very last, predict them.
    """

    prefix: torch.Tensor
    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    position_ids: torch.Tensor
    labels: torch.Tensor
    tokens: int
    label_tokens: int

    def to(self, device: str | torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(
            self.prefix.to(device),
            self.input_ids.to(device),
            self.attention_mask.to(device),
            self.position_ids.to(device),
            self.labels.to(device),
            self.tokens,
            self.label_tokens,
        )


def collate(
    examples: Sequence[TokenisedExample], pad: int, *, share_beginning: bool = True
) -> Batch:
    """Pad on the left, so that the answers of all examples end together.

    Logits are then needed only for the last few positions of the batch, which saves most of the
    work of a large vocabulary.
    """
    # The token before the answer predicts its first one, so it stays with the rows.
    prompts = [example.prompt for example in examples]
    shared = shared_prefix_length(prompts) if share_beginning else 0
    rows = [example.prompt[shared:] + example.answer for example in examples]
    width = max(map(len, rows))
    kept = max(len(example.answer) for example in examples)
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), shared + width), dtype=torch.long)
    mask[:, :shared] = 1
    labels = torch.full((len(rows), kept), -100, dtype=torch.long)
    for index, (row, example) in enumerate(zip(rows, examples, strict=True)):
        ids[index, width - len(row) :] = torch.tensor(row)
        mask[index, shared + width - len(row) :] = 1
        labels[index, kept - len(example.answer) :] = torch.tensor(example.answer)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, shared:]
    return Batch(
        torch.tensor([examples[0].prompt[:shared]], dtype=torch.long),
        ids,
        mask,
        positions,
        labels,
        tokens=sum(example.length for example in examples),
        label_tokens=sum(len(example.answer) for example in examples),
    )


def own_batches(
    examples: Sequence[TokenisedExample], size: int, pad: int, peers: Peers
) -> Iterator[Batch]:
    """This process's share of the examples, ``size`` at once.

    Where processes must go in step, a beginning that only some of their batches share is not
    computed apart, and a process whose share is through goes on with batches without labels,
    whose loss is 0.
    """
    mine = peers.share(examples)
    starts = range(0, len(mine), size)
    for start in starts:
        yield collate(mine[start : start + size], pad, share_beginning=not peers.in_step)
    for _ in range(peers.rounds(len(examples), size) - len(starts)):
        batch = collate(examples[:1], pad, share_beginning=False)
        yield replace(batch, labels=torch.full_like(batch.labels, -100), tokens=0, label_tokens=0)


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
