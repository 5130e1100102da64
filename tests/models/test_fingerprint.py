"""A fingerprint of memory tells any change of a model's weights or buffers."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from harness.models import fingerprint as module
from harness.models.fingerprint import memory_fingerprint
from tests.tiny_model import TinyModels, load_tiny


def holding(**tensors: torch.Tensor) -> torch.nn.Module:
    holder = torch.nn.Module()
    for name, tensor in tensors.items():
        holder.register_buffer(name, tensor)
    return holder


def slowly(name: str, tensor: torch.Tensor) -> str:
    """The definition, with whole numbers of Python."""
    coefficients = [int(c) for c in module._coefficients("cpu")]
    digest = hashlib.sha256(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
    raw = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    words = [int(word) for word in np.frombuffer(raw[: len(raw) // 8 * 8], dtype=np.int64)]
    size = module.BLOCK_WORDS
    whole = len(words) // size * size
    for start in [*range(0, whole, size), whole]:
        block = words[start : start + size] if start < whole else words[whole:]
        total = sum(c * x for c, x in zip(coefficients, block, strict=False)) % 2**64
        digest.update(total.to_bytes(8, "little"))
    digest.update(raw[len(raw) // 8 * 8 :])
    return digest.hexdigest()


@pytest.mark.parametrize("count", [0, 1, 3, 4, 63, 64, 65, 1001])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
def test_it_is_as_defined(count: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_WORDS", 32)
    module._coefficients.cache_clear()
    try:
        tensor = torch.randint(0, 200, (count,)).to(dtype)
        assert memory_fingerprint(holding(x=tensor)) == slowly("x", tensor)
    finally:
        module._coefficients.cache_clear()


def test_any_bit_counts(tiny_models: TinyModels) -> None:
    model = load_tiny(tiny_models.chat).model
    before = memory_fingerprint(model)
    assert memory_fingerprint(load_tiny(tiny_models.chat).model) == before
    for weight in model.parameters():
        bits = weight.data.view(torch.int32).flatten()
        for place in (0, bits.numel() // 2, bits.numel() - 1):
            bits[place] ^= 1
            assert memory_fingerprint(model) != before
            bits[place] ^= 1
    assert memory_fingerprint(model) == before
    next(model.buffers()).add_(1e-3)
    assert memory_fingerprint(model) != before


def test_order_name_type_and_shape_count() -> None:
    x = torch.arange(6, dtype=torch.float32)
    variants = [
        holding(x=x),
        holding(x=x.flip(0)),
        holding(y=x),
        holding(x=x.view(torch.int32)),
        holding(x=x.view(2, 3)),
        holding(x=x[:3], y=x[3:]),
    ]
    assert len({memory_fingerprint(one) for one in variants}) == len(variants)


def test_scales_of_four_bits_count(tiny_models: TinyModels) -> None:
    model = load_tiny(tiny_models.chat, nf4=True).model
    before = memory_fingerprint(model)
    assert memory_fingerprint(load_tiny(tiny_models.chat, nf4=True).model) == before
    state = model.model.layers[1].mlp.up_proj.weight.quant_state
    for part in (state.absmax, state.state2.absmax, state.offset):
        kept = part.clone()
        part.add_(1)
        assert memory_fingerprint(model) != before
        part.copy_(kept)
    assert memory_fingerprint(model) == before
