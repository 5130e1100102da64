"""A hash of all that a model holds in memory, quick enough to be taken before every trial."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Words of eight bytes in a block.
BLOCK_WORDS = 2**13
# Blocks at a time: on a CPU as many as stay in its cache and are not worth a second thread.
BLOCKS = {"cpu": 2}
BLOCKS_ELSEWHERE = 2**10


def memory_fingerprint(model: Any) -> str:
    """SHA-256 over names, types, shapes and values of all parameters and buffers.

    The values x of a tensor, taken as words of 64 bits in blocks, go in as sums of c_i x_i mod 2^64
    over each block, with odd coefficients c_i drawn once. A change within one word of a block is
    always seen, as odd numbers can be divided by; any other but for one in 2^64. It is computed
    where the tensor lies, so that a GPU's weights need not be moved.
    """
    import torch

    digest = hashlib.sha256()
    for name, tensor in _values(model):
        if not isinstance(tensor, torch.Tensor):
            digest.update(f"{name} {tensor!r} ".encode())
            continue
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        for sums in _block_sums(tensor):
            digest.update(sums.cpu().numpy().tobytes())
    return digest.hexdigest()


def _values(model: Any) -> Iterator[tuple[str, Any]]:
    """All parameters and buffers, and the scales of weights in four bits, tensors or numbers."""
    for name, parameter in model.named_parameters():
        yield name, parameter.data
        state = getattr(parameter, "quant_state", None)
        if state is not None:
            for part, value in sorted(state.as_dict(packed=False).items()):
                yield f"{name}.{part}", value
    yield from model.named_buffers()


def _block_sums(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The sum of each block of the tensor, a few thousand at a time."""
    import torch

    raw = tensor.detach().contiguous().flatten().view(torch.uint8)
    whole = raw.numel() // 8
    words = raw[: 8 * whole]
    # What begins in the middle of another tensor, or of a file, may not begin at a whole word.
    askew = words.storage_offset() % 8 or words.data_ptr() % 8
    words = (words.clone() if askew else words).view(torch.int64)
    coefficients = _coefficients(str(words.device))
    rows, step = whole // BLOCK_WORDS, BLOCKS.get(words.device.type, BLOCKS_ELSEWHERE)
    for start in range(0, rows, step):
        blocks = words[start * BLOCK_WORDS : min(start + step, rows) * BLOCK_WORDS]
        yield (blocks.view(-1, BLOCK_WORDS) * coefficients).sum(dim=1)
    last = words[rows * BLOCK_WORDS :]
    yield (last * coefficients[: last.numel()]).sum(dim=0, keepdim=True)
    yield raw[8 * whole :]


@cache
def _coefficients(device: str) -> torch.Tensor:
    import torch

    drawn = torch.randint(
        -(2**63), 2**63 - 1, (BLOCK_WORDS,), generator=torch.Generator().manual_seed(0)
    )
    return (drawn | 1).to(device)
