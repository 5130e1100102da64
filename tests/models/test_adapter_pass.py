"""LoRA layers give in training what peft's give, and leave to peft what is more than LoRA."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch

from harness.models import adapter_pass
from harness.models.adapter_pass import lean_adapters
from harness.models.adapters import make_trainable
from tests.settings import trained
from tests.tiny_model import TinyModels, load_tiny

PROMPT = torch.tensor([[1, 20, 30, 40, 50, 60], [1, 61, 70, 80, 90, 17]])
Gradients = dict[str, torch.Tensor]


def adapted(models: TinyModels, dtype: str = "float32", *, nf4: bool = False, **more: Any) -> Any:
    """A model in training whose adapters are not the identity."""
    base = load_tiny(models.chat, dtype, nf4=nf4)
    model = make_trainable(base, trained("qlora" if nf4 else "lora", **more), seed=0).model
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.train()


def passed(model: Any, context: AbstractContextManager[None]) -> tuple[torch.Tensor, Gradients]:
    """Logits, and gradients of the mean of their squares."""
    model.zero_grad()
    torch.manual_seed(0)
    with context:
        logits = model(input_ids=PROMPT).logits
        logits.float().square().mean().backward()
    found = {
        name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None
    }
    return logits.detach().float(), found


def furthest(found: Gradients, expected: Gradients) -> float:
    """The largest distance of a gradient from what is expected, in parts of the latter's norm."""
    assert found.keys() == expected.keys()
    return max(
        float((found[name] - one).norm() / one.norm().clamp(min=1e-12))
        for name, one in expected.items()
    )


def calls(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The scale of each adapter that is added leanly from now on."""
    seen: list[float] = []
    plain = adapter_pass._Added.apply

    def noted(*arguments: Any) -> Any:
        seen.append(arguments[-1])
        return plain(*arguments)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(adapter_pass._Added, "apply", noted)
    return seen


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("nf4", [False, True])
def test_in_float32_all_is_what_peft_computes(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch, nf4: bool, again: bool
) -> None:
    model = adapted(tiny_models, nf4=nf4, rslora=True, alpha_over_rank=1.5)
    if again:
        # A pass that is computed again backwards is the same one.
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    expected, of_peft = passed(model, nullcontext())
    seen = calls(monkeypatch)
    logits, gradients = passed(model, lean_adapters(model))
    layers = [module for module in model.modules() if hasattr(module, "lora_A")]
    assert seen == [3.0] * len(layers) * (2 if again else 1)
    assert torch.allclose(logits, expected, atol=1e-5)
    assert furthest(gradients, of_peft) < 1e-5
    assert not any("forward" in vars(layer) for layer in layers)


def test_in_bfloat16_it_is_about_as_near_to_float32_as_peft(tiny_models: TinyModels) -> None:
    exact_logits, exact = passed(adapted(tiny_models), nullcontext())
    model = adapted(tiny_models, "bfloat16")
    of_peft = passed(model, nullcontext())
    lean = passed(model, lean_adapters(model))
    off = [float((logits - exact_logits).square().mean().sqrt()) for logits, _ in (of_peft, lean)]
    assert 0 < off[1] < 2 * off[0]
    gradients = [furthest(found, exact) for _, found in (of_peft, lean)]
    assert 0 < gradients[1] < 2 * gradients[0]
    # The optimiser's are float32, as the weights are.
    assert {gradient.dtype for gradient in lean[1].values()} == {torch.float32}


@pytest.mark.parametrize("more", [{"dropout": 0.3}, {"dora": True}])
def test_what_is_more_than_lora_is_left_to_peft(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    model = adapted(tiny_models, **more)
    expected, of_peft = passed(model, nullcontext())
    seen = calls(monkeypatch)
    logits, gradients = passed(model, lean_adapters(model))
    assert not seen
    assert torch.equal(logits, expected)
    assert furthest(gradients, of_peft) == 0


def test_a_base_without_its_adapter_is_the_base(tiny_models: TinyModels) -> None:
    model = adapted(tiny_models)
    plain = load_tiny(tiny_models.chat).model.train()
    with torch.no_grad(), lean_adapters(model), model.disable_adapter():
        found = model(input_ids=PROMPT).logits
        assert torch.equal(found, plain(input_ids=PROMPT).logits)
