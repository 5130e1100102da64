"""A base is loaded as it is, in safetensors only, and quantised where that is asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from tiny_model import PARAMETERS, TinyModels, load_tiny, resolved, runtime

from harness.errors import UnknownReferenceError
from harness.models.load import Quantisation, load_base, load_tokenizer

PROMPT = torch.tensor([[1, 20, 30, 40, 50]])


def test_a_base_is_frozen_and_in_the_runs_type(tiny_models: TinyModels) -> None:
    loaded = load_tiny(tiny_models.chat, "bfloat16")
    assert {p.dtype for p in loaded.model.parameters()} == {torch.bfloat16}
    assert not any(p.requires_grad for p in loaded.model.parameters())
    assert not loaded.model.training
    assert (loaded.form, loaded.total_parameters) == ("base", PARAMETERS)


def test_the_authors_generation_settings_do_not_leak(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    folder = tmp_path / "sampling"
    shutil.copytree(tiny_models.chat, folder)
    (folder / "generation_config.json").write_text(
        '{"do_sample": true, "temperature": 0.7, "repetition_penalty": 1.3, "eos_token_id": [2, 5]}'
    )
    settings = load_tiny(folder).model.generation_config
    assert settings.eos_token_id == [2, 5]
    assert not settings.do_sample
    assert settings.repetition_penalty in (None, 1.0)


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_four_bits_really_quantise(tiny_models: TinyModels, kind: Quantisation) -> None:
    from bitsandbytes.nn import Linear4bit, Params4bit

    plain = load_tiny(tiny_models.chat)
    loaded = load_base(resolved(tiny_models.chat), runtime(), kind)
    layers = {n: m for n, m in loaded.model.named_modules() if isinstance(m, Linear4bit)}
    assert len(layers) == 2 * 7
    for name, layer in layers.items():
        assert isinstance(layer.weight, Params4bit)
        assert layer.weight.dtype == torch.uint8
        assert layer.weight.quant_state.quant_type == kind
        assert layer.weight.quant_state.nested
        # Two weights a byte.
        assert layer.weight.numel() * 2 == plain.model.get_submodule(name).weight.numel()
    assert (loaded.form, loaded.total_parameters) == (f"base-{kind}", PARAMETERS)
    with torch.inference_mode():
        difference = (plain.model(PROMPT).logits - loaded.model(PROMPT).logits).abs().max()
    assert 0 < float(difference) < 5


def test_double_quantisation_is_optional(tiny_models: TinyModels) -> None:
    loaded = load_base(resolved(tiny_models.chat), runtime(), "nf4", double_quantisation=False)
    weight = loaded.model.model.layers[0].mlp.up_proj.weight
    assert not weight.quant_state.nested


def test_pickled_weights_are_not_read(tiny_models: TinyModels, tmp_path: Path) -> None:
    folder = tmp_path / "pickle"
    shutil.copytree(tiny_models.chat, folder)
    torch.save(load_tiny(folder).model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnknownReferenceError, match="not a causal language model in safetensors"):
        load_tiny(folder)


def test_a_model_without_a_tokenizer_is_refused(tiny_models: TinyModels, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(tiny_models.chat, folder)
    for path in folder.glob("token*"):
        path.unlink()
    with pytest.raises(UnknownReferenceError, match="no usable tokenizer"):
        load_tiny(folder)


def test_a_missing_padding_token_is_replaced_by_the_end(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    folder = tmp_path / "unpadded"
    shutil.copytree(tiny_models.chat, folder)
    config = folder / "tokenizer_config.json"
    config.write_text(config.read_text().replace('"pad_token": "<|pad|>"', '"pad_token": null'))
    tokenizer = load_tokenizer(resolved(folder))
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 2
