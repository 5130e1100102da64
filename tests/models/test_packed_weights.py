"""Packed weights compute what the weights themselves do, and leave the model as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.models import packed_layer
from harness.models import packed_weights as module
from harness.models.adapters import make_trainable
from harness.models.load import LoadedModel, load_base
from harness.models.packed_weights import packed_weights
from harness.models.resolve import resolve_model
from harness.models.runtime import choose_runtime
from harness.spec import ModelSpec
from harness.spec.kinds import kind_info
from tests.settings import trained
from tests.tiny_model import LAYERS, TinyModels, load_tiny

PROMPT = torch.tensor([[1, 20, 30, 40, 50], [1, 60, 70, 80, 90]])
# Seven of attention and feed-forward in each layer, and the vocabulary's.
LINEAR = 7 * LAYERS + 1

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN"
)


@pytest.fixture(autouse=True)
def tiny_layers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALLEST_SIDE", 8)


def logits(loaded: LoadedModel) -> torch.Tensor:
    with torch.inference_mode():
        return loaded.model(input_ids=PROMPT).logits.float()  # type: ignore[no-any-return]


def candidate(models: TinyModels, kind: str, **more: Any) -> LoadedModel:
    loaded = load_tiny(models.chat, nf4=kind == "qlora")
    if kind == "base":
        return loaded
    dropout = {"dropout": 0.1} if kind_info(kind).adapts else {}
    made = make_trainable(loaded, trained(kind, **dropout, **more), seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in made.model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0.0, 0.1, generator=generator)
    made.model.eval()
    return made


def patched(loaded: LoadedModel) -> list[str]:
    return [name for name, layer in loaded.model.named_modules() if "forward" in vars(layer)]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("base", {}),
        ("full", {}),
        ("lora", {}),
        ("lora", {"rslora": True}),
        ("lora", {"dora": True}),
        ("lora", {"targets": ["q_proj", "down_proj"]}),
        ("qlora", {}),
        ("qlora", {"dora": True}),
    ],
)
def test_logits_are_those_of_the_weights(
    tiny_models: TinyModels, kind: str, more: dict[str, Any]
) -> None:
    loaded = candidate(tiny_models, kind, **more)
    expected = logits(loaded)
    with packed_weights(loaded.model) as packed:
        found = logits(loaded)
    assert packed == LINEAR
    assert float((found - expected).abs().max()) < 1e-4 * float(expected.abs().max())
    assert not patched(loaded)
    assert torch.equal(logits(loaded), expected)


@pytest.mark.parametrize("kind", ["base", "lora"])
def test_in_bfloat16_it_is_as_near_to_float32(tiny_models: TinyModels, kind: str) -> None:
    exact = candidate(tiny_models, kind)
    rounded = candidate(tiny_models, kind)
    # As training leaves it: the halves of an adapter stay in float32.
    for name, weight in rounded.model.named_parameters():
        if "lora_" not in name:
            weight.data = weight.data.bfloat16()
    truth, plain = logits(exact), logits(rounded)
    with packed_weights(rounded.model) as packed:
        found = logits(rounded)
    if not packed:
        pytest.skip("this processor has no packed layout for bfloat16")
    assert float((found - truth).square().mean()) < 1.5 * float((plain - truth).square().mean())


def test_an_adapter_is_there_in_either_type(tiny_models: TinyModels) -> None:
    base, adapted = candidate(tiny_models, "base"), candidate(tiny_models, "lora")
    moved = float((logits(adapted) - logits(base)).abs().max())
    with packed_weights(adapted.model), packed_weights(base.model):
        assert float((logits(adapted) - logits(base)).abs().max()) == pytest.approx(moved, rel=1e-3)


def test_gradients_go_through_the_weights(tiny_models: TinyModels) -> None:
    loaded = candidate(tiny_models, "lora")

    def gradients() -> dict[str, torch.Tensor]:
        loaded.model.zero_grad()
        embedded = loaded.model.get_input_embeddings()(PROMPT).detach().requires_grad_()
        loaded.model(inputs_embeds=embedded).logits.float().square().mean().backward()
        return {
            name: weight.grad.clone()
            for name, weight in loaded.model.named_parameters()
            if weight.grad is not None
        }

    expected = gradients()
    with packed_weights(loaded.model):
        found = gradients()
    assert expected
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient)


def test_a_model_in_training_is_left_alone(tiny_models: TinyModels) -> None:
    loaded = candidate(tiny_models, "lora")
    loaded.model.train()
    with packed_weights(loaded.model) as packed:
        assert (packed, patched(loaded)) == (0, [])


def test_nothing_is_packed_where_memory_is_short(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = candidate(tiny_models, "base")
    monkeypatch.setattr(module, "available_mib", lambda device: 0.01)
    with packed_weights(loaded.model) as packed:
        assert packed == 0
    monkeypatch.setattr(module, "available_mib", lambda device: 1024.0)
    with packed_weights(loaded.model, share=1e-6) as packed:
        assert packed == 0


def test_an_error_inside_leaves_the_model_as_it_was(tiny_models: TinyModels) -> None:
    loaded = candidate(tiny_models, "lora")
    with pytest.raises(KeyError), packed_weights(loaded.model):
        raise KeyError("x")
    assert not patched(loaded)


def test_where_torch_cannot_pack_the_weights_are_used(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> Any:
        raise RuntimeError("no such layout")

    loaded = candidate(tiny_models, "base")
    expected = logits(loaded)
    monkeypatch.setattr(packed_layer, "pack", refuse)
    with packed_weights(loaded.model) as packed:
        assert packed == 0
        assert torch.equal(logits(loaded), expected)


@pytest.mark.weights
def test_the_packaged_model_is_packed_as_it_is_scored() -> None:
    spec = ModelSpec(reference="smollm2-135m-instruct", dtype="float32")
    loaded = load_base(resolve_model(spec), choose_runtime(spec, 1))
    expected = logits(loaded)
    with packed_weights(loaded.model) as packed:
        found = logits(loaded)
    assert packed == 7 * 30 + 1
    assert float((found - expected).abs().max()) < 1e-3
