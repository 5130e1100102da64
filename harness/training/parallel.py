"""How processes that train together exchange gradients: copies of the weights, or parts of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import reduce

T = TypeVar("T")

RENDEZVOUS = "rendezvous"
# Gradients are summed so many at a time: few calls, little memory beside the weights.
BUCKET = 2**24


class DataParallel:
    """Each process holds all weights: gradients are summed after the passes (data parallel).

    accelerate joins the processes: by NCCL on GPUs, by Gloo on CPUs.
    """

    in_step = False

    def __init__(self, folder: Path, rank: int, count: int, device: str) -> None:
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
        os.environ.update(WORLD_SIZE=str(count), LOCAL_WORLD_SIZE=str(count))
        # A file to meet at needs no free port.
        where = f"file://{(folder / RENDEZVOUS).resolve()}"
        cpu = not device.startswith("cuda")
        self._state = PartialState(cpu=cpu, init_method=where, rank=rank, world_size=count)
        self.rank, self._count = rank, count
        self.first = rank == 0

    def share(self, whole: Sequence[T]) -> Sequence[T]:
        """Every count-th element: batches are sorted by length, so shares are alike."""
        return whole[self.rank :: self._count]

    def rounds(self, length: int, size: int) -> int:
        """As many passes as the largest share takes."""
        return -(-length // (self._count * size))

    def backward(self, loss: torch.Tensor) -> None:
        """Add this process's part of the sum; :meth:`add_gradients` adds the others'."""
        loss.backward()

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Sum each gradient over all processes, in float32."""
        bucket: list[torch.nn.Parameter] = []
        size = 0
        for parameter in parameters:
            if not parameter.requires_grad:
                continue
            if parameter.grad is None:  # nothing of the batch fell to this process
                parameter.grad = torch.zeros_like(parameter)
            bucket.append(parameter)
            size += parameter.numel()
            if size >= BUCKET:
                _sum_together(bucket)
                bucket, size = [], 0
        if bucket:
            _sum_together(bucket)

    def totals(self, values: Sequence[float]) -> list[float]:
        """Each value summed over all processes, in float64."""
        mine = torch.tensor(values, dtype=torch.float64, device=self._state.device)
        return [float(value) for value in reduce(mine, "sum")]

    def divide_again(self, model: Any) -> None:
        """Do nothing: every process holds all weights."""

    def part(self) -> None:
        """Leave the other processes."""
        self._state.destroy_process_group()


class FullyShardedParallel(DataParallel):
    """Each process holds a part of every weight, gradient and optimiser state (fully sharded).

    Layers are put together for a pass and taken apart after it (Zhao et al. 2023, "PyTorch FSDP";
    torch's ``fully_shard``, the second edition of it). Passes exchange weights, so the processes
    go in step.
    """

    in_step = True

    def divide(self, model: Any) -> None:
        """Leave this process its part of ``model``: layer by layer, then what is in none."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

        mesh = init_device_mesh(self._state.device.type, (self._count,))
        in_float32 = MixedPrecisionPolicy(reduce_dtype=torch.float32)
        names = set(model._no_split_modules or ())
        for layer in [m for m in model.modules() if type(m).__name__ in names]:
            fully_shard(layer, mesh=mesh, mp_policy=in_float32)
        fully_shard(model, mesh=mesh, mp_policy=in_float32)

    def backward(self, loss: torch.Tensor) -> None:
        """Add to the gradients, undoing the mean over processes that sharding takes."""
        (loss * self._count).backward()

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Give zeros where a step learnt nothing: the gradients were summed on the way."""

    def divide_again(self, model: Any) -> None:
        """Let go of the others' parts, which a pass without gradients leaves in place."""
        from torch.distributed.fsdp import FSDPModule

        for module in model.modules():
            if isinstance(module, FSDPModule):
                module.reshard()


def _sum_together(parameters: Sequence[torch.nn.Parameter]) -> None:
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten().float() for gradient in gradients])
    start = 0
    summed: torch.Tensor = reduce(flat, "sum")
    for gradient in gradients:
        end = start + gradient.numel()
        gradient.copy_(summed[start:end].view_as(gradient))
        start = end
