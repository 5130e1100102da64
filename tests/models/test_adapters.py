"""What each arm trains: counted by hand, exact at step 0, and saved so that it can be read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.errors import TrialError, UnknownReferenceError
from harness.models.adapters import (
    each_adapter,
    make_trainable,
    save_trained,
    trainable_parameters,
)
from harness.models.load import LoadedModel, Quantisation, load_base
from harness.prompting import PromptRenderer
from harness.training.loop import train
from tests.settings import RANK, setting, trained
from tests.tiny_model import (
    HEADS,
    HIDDEN,
    INTERMEDIATE,
    KEY_HEADS,
    LAYERS,
    PARAMETERS,
    TASK,
    TinyModels,
    load_tiny,
    messages,
    resolved,
    runtime,
)

PROMPT = torch.tensor([[1, 20, 30, 40, 50], [1, 60, 70, 80, 90]])
KEYS = HIDDEN * KEY_HEADS // HEADS
# An adapter of a layer that takes a numbers and gives b has rank * (a + b) weights.
ATTENTION_ENDS = 2 * (HIDDEN + HIDDEN) + 2 * (HIDDEN + KEYS)
ALL_ENDS = ATTENTION_ENDS + 3 * (HIDDEN + INTERMEDIATE)


def logits(loaded: LoadedModel) -> torch.Tensor:
    loaded.model.eval()
    with torch.inference_mode():
        return loaded.model(input_ids=PROMPT).logits.float()  # type: ignore[no-any-return]


def lora(models: TinyModels, seed: int = 0, dtype: str = "float32", **more: Any) -> LoadedModel:
    return make_trainable(load_tiny(models.chat, dtype), trained("lora", **more), seed)


def train_a_little(loaded: LoadedModel) -> None:
    render = PromptRenderer(loaded.tokenizer, TASK)
    examples = [render.encode(item) for item in messages(4)]
    settings = trained(
        "full", learning_rate=1e-2, epochs=1, batch_size=4, micro_batch_size=4, schedule="constant",
        warmup=0,
    )  # fmt: skip
    list(train(loaded.model, examples, settings, 0, np.random.default_rng(0)))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["full", "lora", "qlora"])
def test_before_the_first_step_the_candidate_is_its_base(
    tiny_models: TinyModels, kind: str, dtype: str
) -> None:
    base = load_tiny(tiny_models.chat, dtype, nf4=kind == "qlora")
    of_base = logits(base)
    candidate = make_trainable(base, trained(kind), seed=1)
    assert torch.equal(logits(candidate), of_base)
    train_a_little(candidate)
    assert not torch.equal(logits(candidate), of_base)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("quantisation", ["none", "nf4", "fp4"])
def test_dora_starts_as_its_base_and_trains_its_magnitudes(
    tiny_models: TinyModels, quantisation: Quantisation, dtype: str
) -> None:
    base = load_base(resolved(tiny_models.chat), runtime(dtype), quantisation)
    of_base = logits(base)
    kind = "lora" if quantisation == "none" else "qlora"
    candidate = make_trainable(base, trained(kind, dora=True, dropout=0.1), seed=1)
    assert torch.equal(logits(candidate), of_base)
    magnitudes = {n: p for n, p in candidate.model.named_parameters() if "magnitude" in n}
    before = {name: p.detach().clone() for name, p in magnitudes.items()}
    assert len(before) == 7 * LAYERS
    train_a_little(candidate)
    assert not torch.equal(logits(candidate), of_base)
    for name, magnitude in magnitudes.items():
        assert not torch.equal(magnitude, before[name]), name


def test_dora_adds_a_magnitude_for_each_output(tiny_models: TinyModels) -> None:
    outputs = LAYERS * (3 * HIDDEN + 2 * KEYS + 2 * INTERMEDIATE)
    plain, dora = lora(tiny_models), lora(tiny_models, dora=True)
    assert trainable_parameters(dora.model) == trainable_parameters(plain.model) + outputs
    layer = dora.model.get_submodule("base_model.model.model.layers.0.mlp.up_proj")
    norms = layer.base_layer.weight.norm(dim=1)
    assert torch.allclose(layer.lora_magnitude_vector["default"].weight, norms)


def test_the_seed_changes_the_random_half_only(tiny_models: TinyModels) -> None:
    state = torch.get_rng_state()
    first, again, other = (
        dict(lora(tiny_models, seed).model.named_parameters()) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), state)
    for name, weight in first.items():
        assert torch.equal(weight, again[name])
        assert torch.equal(weight, other[name]) is ("lora_A" not in name)
        if "lora_B" in name:
            assert not weight.any()
    assert sum("lora_A" in name for name in first) == 7 * LAYERS


@pytest.mark.parametrize(
    ("kind", "params", "expected"),
    [
        ("full", {}, PARAMETERS),
        ("lora", {}, LAYERS * RANK * ALL_ENDS),
        ("lora", {"rank": 1}, LAYERS * ALL_ENDS),
        ("lora", {"targets": ["q_proj", "v_proj"]}, LAYERS * RANK * ATTENTION_ENDS // 2),
        ("lora", {"targets": "q_proj"}, LAYERS * RANK * 2 * HIDDEN),
        ("qlora", {}, LAYERS * RANK * ALL_ENDS),
    ],
)
def test_trainable_parameters_are_those_counted_by_hand(
    tiny_models: TinyModels, kind: str, params: dict[str, Any], expected: int
) -> None:
    loaded = load_tiny(tiny_models.chat, nf4=kind == "qlora")
    assert trainable_parameters(loaded.model) == 0
    candidate = make_trainable(loaded, trained(kind, **params), seed=0)
    assert trainable_parameters(candidate.model) == expected
    assert candidate.total_parameters == PARAMETERS


@pytest.mark.parametrize(
    ("kind", "dtype", "form"),
    [
        ("full", "bfloat16", "full"),
        ("lora", "bfloat16", "adapter-on-bfloat16"),
        ("lora", "float32", "adapter-on-float32"),
        ("qlora", "nf4", "adapter-on-nf4"),
        ("qlora", "fp4", "adapter-on-fp4"),
    ],
)
def test_the_form_says_what_is_scored(
    tiny_models: TinyModels, kind: str, dtype: str, form: str
) -> None:
    if kind == "qlora":
        loaded = load_base(resolved(tiny_models.chat), runtime(), dtype)  # type: ignore[arg-type]
    else:
        loaded = load_tiny(tiny_models.chat, dtype)
    assert make_trainable(loaded, trained(kind), seed=0).form == form


@pytest.mark.parametrize(("rslora", "scale"), [(False, 3.0), (True, 3.0 * RANK**0.5)])
def test_the_scale_is_alpha_over_rank_or_over_its_root(
    tiny_models: TinyModels, rslora: bool, scale: float
) -> None:
    layer = lora(tiny_models, alpha_over_rank=3.0, rslora=rslora).model.get_submodule(
        "base_model.model.model.layers.0.mlp.up_proj"
    )
    assert layer.scaling == {"default": scale}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_qlora_learns_in_every_layer_and_leaves_the_base_alone(
    tiny_models: TinyModels, dtype: str
) -> None:
    base = load_tiny(tiny_models.chat, dtype, nf4=True)
    candidate = make_trainable(base, trained("qlora"), seed=0)
    # A forward pass in evaluation mode comes first, as the canary's does.
    logits(candidate)
    before = {name: p.detach().clone() for name, p in candidate.model.named_parameters()}
    train_a_little(candidate)
    for name, parameter in candidate.model.named_parameters():
        # In the first step only B moves: the gradient of A is B's, which is 0.
        assert torch.equal(parameter, before[name]) is ("lora_B" not in name), name


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_saved_adapter_read_back_is_the_trained_one(
    tiny_models: TinyModels, tmp_path: Path, dtype: str, dora: bool
) -> None:
    from peft import PeftModel

    candidate = lora(tiny_models, dtype=dtype, dora=dora)
    train_a_little(candidate)
    files = save_trained(candidate, tmp_path / "artifact")
    assert tmp_path / "artifact" / "adapter_model.safetensors" in files
    assert not [path for path in files if path.suffix in (".bin", ".pt")]
    base = load_tiny(tiny_models.chat, dtype)
    read_back = PeftModel.from_pretrained(base.model, tmp_path / "artifact")
    expected = logits(candidate)
    read_back.eval()
    with torch.inference_mode():
        assert torch.equal(read_back(input_ids=PROMPT).logits, expected)


def test_a_kind_that_trains_nothing_is_an_error(tiny_models: TinyModels) -> None:
    with pytest.raises(ValueError, match="trains nothing"):
        make_trainable(load_tiny(tiny_models.chat), setting("prompt"), seed=0)
    with pytest.raises(TrialError, match="nowhere"):
        lora(tiny_models, targets=["nowhere"])


@pytest.mark.parametrize("nf4", [False, True])
def test_several_adapters_take_turns_on_one_base(
    tiny_models: TinyModels, tmp_path: Path, nf4: bool
) -> None:
    shapes: list[dict[str, Any]] = [
        {"rank": 4},
        {"rank": 4},
        {"rank": 2, "targets": ["q_proj", "v_proj"]},
        {"rank": 4, "alpha_over_rank": 4.0},
        {"rank": 4},
    ]
    expected, folders = [], []
    for number, (shape, seed) in enumerate(zip(shapes, (0, 7, 0, 0, 0), strict=True)):
        kind = "qlora" if nf4 else "lora"
        base = load_tiny(tiny_models.chat, nf4=nf4)
        candidate = make_trainable(base, trained(kind, **shape), seed)
        train_a_little(candidate)
        expected.append((candidate.form, logits(candidate)))
        folders.append(tmp_path / str(number))
        save_trained(candidate, folders[-1])
    base = load_tiny(tiny_models.chat, nf4=nf4)
    alone = logits(base)
    found = [(one.form, logits(one)) for one in each_adapter(base, folders)]
    assert [form for form, _ in found] == [form for form, _ in expected]
    for (_, ours), (_, theirs) in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
        assert not torch.equal(ours, alone)
    assert torch.equal(logits(base), alone)
    next(iter(each_adapter(base, folders)))
    assert torch.equal(logits(base), alone)


@pytest.mark.parametrize("nf4", [False, True])
def test_an_adapter_on_a_narrow_base_comes_back_bit_by_bit(
    tiny_models: TinyModels, tmp_path: Path, nf4: bool
) -> None:
    expected, folders = [], []
    for seed in (0, 7):
        base = load_tiny(tiny_models.chat, "bfloat16", nf4=nf4)
        candidate = make_trainable(base, trained("qlora" if nf4 else "lora", rank=4), seed)
        train_a_little(candidate)
        expected.append(logits(candidate))
        folders.append(tmp_path / str(seed))
        save_trained(candidate, folders[-1])
    base = load_tiny(tiny_models.chat, "bfloat16", nf4=nf4)
    found = [logits(one) for one in each_adapter(base, folders)]
    assert all(map(torch.equal, found, expected))


def test_a_folder_without_an_adapter_is_named(tiny_models: TinyModels, tmp_path: Path) -> None:
    base = load_tiny(tiny_models.chat)
    with pytest.raises(UnknownReferenceError, match="there is no adapter_model"):
        list(each_adapter(base, [tmp_path]))
    other = lora(tiny_models)
    save_trained(other, tmp_path)
    whole = tmp_path / "whole"
    save_trained(other, whole)
    (tmp_path / "adapter_config.json").write_text("{}")
    alone = logits(base)
    for folders in ([tmp_path], [whole, tmp_path]):
        with pytest.raises(UnknownReferenceError, match="not an adapter of base"):
            list(each_adapter(base, folders))
        assert torch.equal(logits(base), alone)
