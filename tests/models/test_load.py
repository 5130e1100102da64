"""A base is loaded as it is, in safetensors only, and quantised where that is asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import TrialError, UnknownReferenceError
from harness.models.load import Quantisation, load_base, load_tokenizer
from harness.models.resolve import resolve_model
from harness.spec import ModelSpec
from tests.architectures import write_architecture
from tests.tiny_model import PARAMETERS, TinyModels, load_tiny, resolved, runtime

FILL = "[FILL]"
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


# --------------------------------------------------------------------------- other vocabularies


def with_rows(models: TinyModels, folder: Path, rows: int, **added: Any) -> Path:
    """The model with so many rows in its embedding, and tokens more in its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(models.chat)
    model.resize_token_embeddings(rows)
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(models.chat)
    tokenizer.add_special_tokens(added)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_tokenizer_longer_than_the_embedding_is_refused_with_both_numbers(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    last = max(load_tokenizer(resolved(tiny_models.chat)).get_vocab().values())
    folder = with_rows(tiny_models, tmp_path / "short", last - 4)
    said = f"gives ids up to {last} .*embedding has {last - 4} rows, for ids 0 to {last - 5}"
    with pytest.raises(UnknownReferenceError, match=said):
        resolve_model(ModelSpec(reference=str(folder)))
    with pytest.raises(UnknownReferenceError, match=said):
        load_base(resolved(folder), runtime())


def test_a_token_that_only_its_name_gives_may_lack_a_row(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    more = {"additional_special_tokens": ["<|picture|>"]}
    folder = with_rows(tiny_models, tmp_path / "picture", rows(tiny_models), **more)
    resolve_model(ModelSpec(reference=str(folder)))
    loaded = load_base(resolved(folder), runtime())
    ids = torch.tensor([loaded.tokenizer("a box")["input_ids"]])
    assert loaded.model(input_ids=ids).logits.isfinite().all()
    shown = torch.tensor([loaded.tokenizer("a <|picture|> box")["input_ids"]])
    with pytest.raises(TrialError, match=r"holds the token '<\|picture\|>', id \d+"):
        loaded.model(input_ids=shown)
    template = str(loaded.tokenizer.chat_template) + "<|picture|>"
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(UnknownReferenceError, match=r"'<\|picture\|>'"):
        resolve_model(ModelSpec(reference=str(folder)))


def test_padding_without_a_row_is_replaced_by_another_token(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    folder = with_rows(tiny_models, tmp_path / "pad", rows(tiny_models), pad_token=FILL)
    assert load_tokenizer(resolved(folder)).pad_token == FILL
    loaded = load_base(resolved(folder), runtime())
    assert loaded.tokenizer.pad_token == loaded.tokenizer.eos_token
    assert loaded.model.generation_config.pad_token_id == loaded.tokenizer.eos_token_id


def rows(models: TinyModels) -> int:
    return len(load_tokenizer(resolved(models.chat)))


def test_a_tokenizer_without_any_mark_pads_with_some_token(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    folder = tmp_path / "unmarked"
    shutil.copytree(tiny_models.plain, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    for name in ("pad_token", "eos_token", "bos_token", "unk_token"):
        settings.pop(name, None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    tokenizer = load_base(resolved(folder), runtime()).tokenizer
    assert tokenizer.eos_token is None
    assert tokenizer.pad_token_id == 0
    assert tokenizer.decode(tokenizer("a box")["input_ids"]) == "a box"


# --------------------------------------------------------------------------- other kinds of models


def test_a_model_without_all_of_its_weights_is_refused(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    from transformers import AutoModel

    folder = tmp_path / "headless"
    shutil.copytree(tiny_models.chat, folder)
    config = json.loads((folder / "config.json").read_text()) | {"tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(config))
    AutoModel.from_pretrained(tiny_models.chat).save_pretrained(tmp_path / "body")
    shutil.copy(tmp_path / "body" / "model.safetensors", folder / "model.safetensors")
    with pytest.raises(UnknownReferenceError, match=r"lack weights of LlamaForCausalLM.*lm_head"):
        load_base(resolved(folder), runtime())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"is_encoder_decoder": True, "model_type": "t5"}, r"an encoder-decoder model \(t5\)"),
        ({"architectures": ["BertForMaskedLM"]}, "a BertForMaskedLM"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "a LlamaForSequenceClassification"),
        ({"pad_token_id": 4000}, "names 4000 as the id that pads"),
    ],
)
def test_what_writes_no_text_is_refused_by_its_configuration(
    tiny_models: TinyModels, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    folder = tmp_path / "other"
    shutil.copytree(tiny_models.chat, folder)
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnknownReferenceError, match=said):
        resolve_model(ModelSpec(reference=str(folder)))


def test_a_model_that_sees_the_whole_text_at_once_is_refused(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    from transformers import BertConfig, BertLMHeadModel

    shape: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = BertConfig(vocab_size=rows(tiny_models), intermediate_size=64, **shape)
    BertLMHeadModel(config).save_pretrained(tmp_path)
    load_tokenizer(resolved(tiny_models.plain)).save_pretrained(tmp_path)
    with pytest.raises(UnknownReferenceError, match="BertLMHeadModel sees the whole text at once"):
        load_base(resolved(tmp_path), runtime())


def test_a_text_beyond_the_positions_is_told_by_both_numbers(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    folder = write_architecture(
        tmp_path, "convolution-1d-weights", tiny_models.plain, n_positions=12
    )
    model = load_base(resolved(folder), runtime()).model
    assert model(input_ids=torch.arange(1, 13)[None]).logits.isfinite().all()
    with pytest.raises(TrialError, match=r"position 12 of transformer.wpe, which has 12, for"):
        model(input_ids=torch.arange(1, 14)[None])
