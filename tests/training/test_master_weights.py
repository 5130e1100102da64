"""The optimiser is AdamW, and loses no small update to a short type."""

from __future__ import annotations

import pytest
import torch

from harness.training.master_weights import MasterWeightAdamW


def parameters(dtype: torch.dtype, seed: int = 0) -> list[torch.nn.Parameter]:
    """A matrix and a vector."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator).to(dtype))
        for shape in ((5, 3), (4,))
    ]


def set_gradients(weights: list[torch.nn.Parameter], step: int) -> None:
    for weight, gradient in zip(weights, parameters(torch.float32, 100 + step), strict=True):
        weight.grad = gradient.detach().to(weight.dtype)


def test_in_fp32_it_is_torchs_adamw() -> None:
    ours, theirs = parameters(torch.float32), parameters(torch.float32)
    optimiser = MasterWeightAdamW(ours, weight_decay=0.1)
    reference = torch.optim.AdamW(
        [
            {"params": theirs[:1], "weight_decay": 0.1},
            {"params": theirs[1:], "weight_decay": 0.0},
        ]
    )
    for step, rate in enumerate([1e-2, 3e-2, 1e-3, 5e-2]):
        set_gradients(ours, step)
        set_gradients(theirs, step)
        expected = torch.cat([w.grad.flatten() for w in theirs if w.grad is not None]).norm()
        norm = optimiser.step(rate, max_grad_norm=1.0)
        assert norm == pytest.approx(float(expected), rel=1e-6)
        assert norm > 1.0
        torch.nn.utils.clip_grad_norm_(theirs, 1.0)
        for group in reference.param_groups:
            group["lr"] = rate
        reference.step()
        for mine, other in zip(ours, theirs, strict=True):
            assert torch.allclose(mine, other, rtol=1e-6, atol=1e-7)
            assert mine.grad is None


def test_updates_below_half_an_ulp_add_up_where_plain_bf16_loses_them() -> None:
    # bfloat16 has 8 bits of mantissa: just above 1 the next value is 1 + 1/128.
    rate, steps = 2**-10, 64
    weight = torch.nn.Parameter(torch.ones(2, 2, dtype=torch.bfloat16))
    plain = torch.nn.Parameter(weight.detach().clone())
    ours = MasterWeightAdamW([weight], weight_decay=0.0)
    theirs = torch.optim.AdamW([plain], lr=rate, weight_decay=0.0)
    for step in range(steps):
        # A constant gradient: AdamW then moves each weight by the rate, upwards.
        weight.grad, plain.grad = -torch.ones_like(weight), -torch.ones_like(plain)
        ours.step(rate, max_grad_norm=100.0)
        theirs.step()
        if step == 0:
            assert torch.equal(weight, torch.ones_like(weight))
    assert torch.equal(plain, torch.ones_like(plain))
    assert weight.dtype == torch.bfloat16
    assert weight.tolist() == [[1 + steps * rate] * 2] * 2


def test_frozen_weights_have_no_state() -> None:
    frozen, trained = parameters(torch.bfloat16)
    frozen.requires_grad_(False)
    before = frozen.clone()
    optimiser = MasterWeightAdamW([frozen, trained], weight_decay=0.5)
    trained.grad = torch.ones_like(trained)
    optimiser.step(0.1, 1.0)
    assert torch.equal(frozen, before)
    assert len(optimiser.optimiser.state) == 1


def test_state_can_be_written_and_gives_the_same_next_step() -> None:
    first = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3).t())
    assert not first.is_contiguous()
    weights = [first]
    optimiser = MasterWeightAdamW(weights, 0.1)
    first.grad = torch.ones_like(first)
    optimiser.step(0.1, 1.0)
    # What lies in main memory is not copied but where it must be.
    state = {name: part.clone() for name, part in optimiser.state().items()}
    assert all(part.is_contiguous() for part in optimiser.state().values())
    assert optimiser.state(held=False) == {}
    other = [torch.nn.Parameter(torch.zeros(2, 3).t())]
    again = MasterWeightAdamW(other, 0.1)
    again.restore(state.__getitem__, state.keys())
    for trained, by in ((weights, optimiser), (other, again)):
        trained[0].grad = torch.empty_like(trained[0]).copy_(torch.tensor([[1.0, -2.0]] * 3))
        by.step(0.1, 1.0)
    assert torch.equal(weights[0], other[0])
