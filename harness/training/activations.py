"""What a pass keeps for its backward pass, measured without keeping it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes that a forward pass keeps for the backward pass."""

    total: int
    """Bytes in all."""
    largest_block: int
    """Bytes that the block of the model which keeps most keeps."""
    inputs: int
    """Bytes of what goes into the blocks."""
    outside: int
    """Bytes of what is in no block: embeddings, final norm, and the logits with their softmax, in
    the main."""

    @property
    def peak(self) -> int:
        """Bytes at the height of the backward pass.

        It begins with everything kept, and adds the gradients of what it works on: of the logits,
        in float32 and in the model's type, or of one block, each about as much as those keep.
        """
        return self.total + max(self.largest_block, 2 * self.outside)

    @property
    def peak_recomputing(self) -> int:
        """Bytes at that height under checkpointing, when one block keeps more than its input."""
        return self.inputs + self.outside + 2 * max(self.largest_block, self.outside)


def kept_by(model: Any, loss: Callable[[], torch.Tensor]) -> Kept:
    """Measure what ``loss``, a forward pass of ``model``, keeps.

    What autograd would keep is counted and dropped at once, so that this takes little more memory
    than a pass without gradients, and a pass can be measured that does not fit. Memory that several
    tensors share counts once; weights and buffers, which are there anyway, do not count. Random
    numbers that dropout draws are given back.
    """
    seen = {_memory_of(tensor) for part in (model.parameters(), model.buffers()) for tensor in part}
    count = _Count()

    def drop(tensor: torch.Tensor) -> None:
        memory = _memory_of(tensor)
        if memory not in seen:
            seen.add(memory)
            count.total += tensor.untyped_storage().nbytes()

    def refuse(_: None) -> torch.Tensor:
        raise RuntimeError("a pass that was only measured has no backward pass")

    on_gpu = [model.device] if model.device.type == "cuda" else []
    was_training = model.training
    model.train()
    try:
        with (
            torch.random.fork_rng(devices=on_gpu),
            torch.enable_grad(),
            _by_block(model, count),
            torch.autograd.graph.saved_tensors_hooks(drop, refuse),
        ):
            loss()
    finally:
        model.train(was_training)
    return Kept(
        count.total,
        max(count.blocks, default=0),
        count.inputs,
        count.total - sum(count.blocks),
    )


@dataclass(slots=True)
class _Count:
    """Bytes kept so far."""

    total: int = 0
    """Bytes of all that was kept."""
    inputs: int = 0
    """Bytes of the inputs of the blocks that were passed."""
    blocks: list[int] = field(default_factory=list)
    """Bytes that each block kept, of those that were passed."""
    depth: int = 0
    """Number of blocks, one within another, that are being passed."""
    before: int = 0
    """``total`` at the start of the present block."""


def _memory_of(tensor: torch.Tensor) -> StorageWeakRef:
    # Weak, so that nothing is kept; yet its address is not given to another while this is held.
    return StorageWeakRef(tensor.untyped_storage())


@contextmanager
def _by_block(model: Any, count: _Count) -> Iterator[None]:
    """Take down what each block keeps: the entries of the model's outermost lists of modules."""

    def enter(_: Any, inputs: tuple[Any, ...]) -> None:
        if count.depth == 0:
            count.before = count.total
            # The other inputs, masks and positions, are the same for all blocks.
            count.inputs += inputs[0].untyped_storage().nbytes() if inputs else 0
        count.depth += 1

    def leave(*_: Any) -> None:
        count.depth -= 1
        if count.depth == 0:
            count.blocks.append(count.total - count.before)

    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    blocks = [block for module_list in lists for block in module_list]
    handles = [block.register_forward_pre_hook(enter) for block in blocks]
    handles += [block.register_forward_hook(leave, always_call=True) for block in blocks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
