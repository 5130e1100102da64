"""Bases are loaded once, lent to be changed at will, and proved untouched before the next use."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest
import torch
from tokenizers.normalizers import Lowercase

from harness.models import base_cache as module
from harness.models import packed_layer, packed_weights
from harness.models.base_cache import BaseCache
from harness.models.load import LoadedModel, load_arms_base
from harness.models.tree_pass import COPIED_FROM, asked_once
from harness.spec.settings import Settings
from tests.architectures import ARCHITECTURES, write_architecture
from tests.settings import setting
from tests.tiny_model import TinyModels, load_tiny, resolved, runtime

PROMPT = torch.tensor([[1, 20, 30, 40, 50], [1, 60, 70, 80, 90]])
BASE, FULL, LORA, QLORA = map(setting, ("prompt", "full", "lora", "qlora"))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[LoadedModel]:
    """What was loaded, in order."""
    loaded: list[LoadedModel] = []

    def load(*args: Any) -> LoadedModel:
        loaded.append(load_arms_base(*args))
        return loaded[-1]

    monkeypatch.setattr(module, "load_arms_base", load)
    return loaded


def free(monkeypatch: pytest.MonkeyPatch, mib: float) -> None:
    monkeypatch.setattr(module, "available_mib", lambda device: mib)


def logits(loaded: LoadedModel) -> torch.Tensor:
    with torch.inference_mode():
        return loaded.model(input_ids=PROMPT).logits.float()  # type: ignore[no-any-return]


def spoil_structure(loaded: LoadedModel) -> None:
    """Do to a model what trials do, but for its weights."""
    from harness.models.adapters import make_trainable

    make_trainable(loaded, LORA, seed=0).model.train()
    model = loaded.model
    model.register_forward_hook(lambda *_: 1 / 0)
    model.get_output_embeddings().forward = lambda x: 1 / 0
    for weight in model.parameters():
        weight.requires_grad = weight.is_floating_point()
    model.config.use_cache = False
    model.generation_config.do_sample = True
    for buffer in model.buffers():
        buffer.add_(1)
    loaded.tokenizer.padding_side = "left"
    loaded.tokenizer.chat_template = "none"
    loaded.tokenizer.add_tokens(["<new>"])


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_kind_of_model_is_lent_whole(
    tiny_models: TinyModels, tmp_path: Path, name: str
) -> None:
    folder = write_architecture(tmp_path / "model", name, tiny_models.plain)
    expected = logits(load_tiny(folder))
    bases = BaseCache()
    for _ in range(2):
        with bases.lent(resolved(folder), runtime(), BASE) as lent:
            assert torch.equal(logits(lent), expected)
            assert not lent.reloaded


@pytest.mark.parametrize("settings", [BASE, LORA, QLORA, FULL], ids=lambda s: s.kind)
def test_what_is_done_to_it_ends_with_it(
    tiny_models: TinyModels, loads: list[LoadedModel], settings: Settings
) -> None:
    bases, model = BaseCache(), resolved(tiny_models.chat)
    with bases.lent(model, runtime(), settings) as lent:
        expected, text = logits(lent), lent.tokenizer.get_vocab()
        if settings is FULL:
            with torch.no_grad():
                for weight in lent.model.parameters():
                    weight.mul_(1.5)
        spoil_structure(lent)
    with bases.lent(model, runtime(), settings) as lent:
        assert len(loads) == 1
        assert not lent.reloaded
        assert torch.equal(logits(lent), expected)
        assert not lent.model.training
        assert not any(weight.requires_grad for weight in lent.model.parameters())
        assert (lent.model.config.use_cache, lent.model.generation_config.do_sample) != (
            False,
            True,
        )
        assert lent.tokenizer.get_vocab() == text
        assert "im_start" in lent.tokenizer.chat_template
        assert lent.form == loads[0].form


def test_a_tokenizer_is_lent_as_it_was_loaded_and_its_vocabulary_copied_once(
    tiny_models: TinyModels,
) -> None:
    bases, model = BaseCache(), resolved(tiny_models.chat)

    def lent() -> Any:
        with bases.lent(model, runtime(), BASE) as loaded:
            return loaded.tokenizer

    first = lent()
    template, ids = first.chat_template, first("a word and more")["input_ids"]
    shouted = first("A WORD")["input_ids"]
    first.chat_template, first.padding_side = "none", "left"
    first("a word and more", truncation=True, max_length=1)
    second = lent()
    assert second._tokenizer is first._tokenizer
    assert (second.chat_template, second.padding_side) == (template, "right")
    assert second("a word and more")["input_ids"] == ids
    second.add_tokens(["word"])
    third = lent()
    assert third("a word and more")["input_ids"] == ids
    third._tokenizer.normalizer = Lowercase()
    assert third("A WORD")["input_ids"] != shouted
    assert lent()("A WORD")["input_ids"] == shouted


def test_weights_are_shared_but_where_they_are_trained(
    tiny_models: TinyModels, loads: list[LoadedModel]
) -> None:
    bases, model = BaseCache(), resolved(tiny_models.chat)

    def places(loaded: LoadedModel) -> set[int]:
        return {weight.data_ptr() for weight in loaded.model.parameters()}

    with bases.lent(model, runtime(), LORA) as lent:
        assert places(lent) == places(loads[0])
    with bases.lent(model, runtime(), FULL) as lent:
        assert not places(lent) & places(loads[0])
        # Tied to the head, as it was.
        embedding, head = lent.model.get_input_embeddings(), lent.model.get_output_embeddings()
        assert embedding.weight is head.weight


def test_a_base_that_was_written_to_is_loaded_anew(
    tiny_models: TinyModels, loads: list[LoadedModel]
) -> None:
    bases, model = BaseCache(), resolved(tiny_models.chat)
    with bases.lent(model, runtime(), BASE) as lent:
        expected = logits(lent)
        next(lent.model.parameters()).data[3, 5] += 1e-6
    with bases.lent(model, runtime(), LORA) as lent:
        assert "no longer those that were loaded" in lent.reloaded
        assert torch.equal(logits(lent), expected)
    assert len(loads) == 2


def test_a_base_is_kept_for_its_model_type_and_form(
    tiny_models: TinyModels, loads: list[LoadedModel]
) -> None:
    bases = BaseCache(most=9)
    chat, plain = resolved(tiny_models.chat), resolved(tiny_models.plain)
    half = replace(runtime(), dtype="bfloat16")
    fp4 = setting("qlora", quantisation="fp4")
    uses = [
        (chat, runtime(), BASE), (plain, runtime(), BASE), (chat, half, BASE),
        (chat, runtime(), QLORA), (chat, runtime(), fp4),
    ]  # fmt: skip
    for _ in range(2):
        for use in uses:
            with bases.lent(*use) as lent:
                assert lent.form == load_arms_base(*use).form
        assert len(loads) == len(uses)
    with bases.lent(replace(chat, fingerprint="other"), runtime(), BASE):
        assert len(loads) == len(uses) + 1


@pytest.mark.parametrize("change", ["none is kept", "foreign code"])
def test_where_nothing_is_kept_each_is_loaded(
    tiny_models: TinyModels, loads: list[LoadedModel], change: str
) -> None:
    bases, model = BaseCache(most=0 if change == "none is kept" else 2), resolved(tiny_models.chat)
    model = replace(model, trust_remote_code=change == "foreign code")
    for _ in range(2):
        with bases.lent(model, runtime(), BASE) as lent:
            assert lent.packed is None
    assert len(loads) == 2
    assert bases.mib == 0


def test_what_is_not_kept_makes_room_too(
    tiny_models: TinyModels, loads: list[LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    bases, model = BaseCache(), resolved(tiny_models.chat)
    with bases.lent(model, runtime(), BASE):
        pass
    kept = bases.mib
    foreign = replace(resolved(tiny_models.plain), trust_remote_code=True)
    with bases.lent(foreign, runtime(), BASE) as lent:
        assert lent.beside_mib == kept > 0
    bases.make_room(runtime())
    assert bases.mib == kept
    free(monkeypatch, 0.01)
    with bases.lent(foreign, runtime(), BASE) as lent:
        assert (lent.beside_mib, bases.mib) == (0, 0)


@pytest.mark.parametrize(
    ("settings", "device", "leaves"),
    [
        (setting("lora", processes=2), "cuda", True),
        (setting("full", processes=2), "cuda:0", True),
        (LORA, "cuda", False),
        (BASE, "cuda", False),
        (setting("lora", processes=2), "cpu", False),
    ],
)
def test_a_base_leaves_the_gpu_for_processes_of_their_own(
    settings: Settings, device: str, leaves: bool
) -> None:
    assert module._leaves_gpu(replace(runtime(), device=device), settings) is leaves


def test_a_base_that_is_to_leave_the_gpu_is_not_kept(
    tiny_models: TinyModels, loads: list[LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    bases, model = BaseCache(), resolved(tiny_models.chat)
    with bases.lent(model, runtime(), BASE):
        pass
    monkeypatch.setattr(module, "_leaves_gpu", lambda runtime, settings: True)
    with bases.lent(model, runtime(), LORA) as lent:
        assert lent.model is loads[1].model
        assert (lent.beside_mib, bases.mib) == (0, 0)


def test_a_copy_of_what_is_lent_holds_no_other_model(tiny_models: TinyModels) -> None:
    bases = BaseCache()
    with bases.lent(resolved(tiny_models.chat), runtime(), LORA) as lent:
        (kept,) = bases._kept.values()
        again = copy.deepcopy(lent.model)
        for model in (lent.model, again):
            assert vars(model)[COPIED_FROM]() is kept.loaded.model
        # An answer that the base gave is that of its copies.
        answers: WeakKeyDictionary[Any, bool] = WeakKeyDictionary({kept.loaded.model: False})
        assert asked_once(again, lambda model: True, answers) is False


def test_the_oldest_give_way(tiny_models: TinyModels, loads: list[LoadedModel]) -> None:
    bases = BaseCache(most=2)
    models = [
        resolved(tiny_models.chat),
        resolved(tiny_models.plain),
        resolved(tiny_models.with_bos),
    ]
    for number in (0, 1, 0, 2, 0, 1):
        with bases.lent(models[number], runtime(), BASE):
            pass
    # The second was the longest unused when the third came.
    assert [loaded.tokenizer.bos_token for loaded in loads] == [None, None, "<|text|>", None]


def test_short_memory_keeps_the_trials_own_base_alone(
    tiny_models: TinyModels, loads: list[LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    bases, model = BaseCache(), resolved(tiny_models.chat)
    free(monkeypatch, 0.01)
    with bases.lent(model, runtime(), BASE) as lent:
        expected = logits(lent)
    with bases.lent(model, runtime(), QLORA) as lent:
        assert lent.beside_mib == 0
    with bases.lent(model, runtime(), BASE):
        assert len(loads) == 3
    # Then the weights themselves are trained, and are no base any more.
    with bases.lent(model, runtime(), FULL) as lent:
        assert len(loads) == 3
        assert lent.model is loads[2].model
        assert bases.mib == 0
    with bases.lent(model, runtime(), BASE) as lent:
        assert len(loads) == 4
        assert (lent.reloaded, torch.equal(logits(lent), expected)) == ("", True)


def test_what_is_kept_beside_is_told(tiny_models: TinyModels) -> None:
    bases, model = BaseCache(), resolved(tiny_models.chat)
    with bases.lent(model, runtime(), BASE) as lent:
        assert lent.beside_mib == 0
        whole = sum(p.numel() * 4 for p in lent.model.parameters()) / 2**20
    with bases.lent(model, runtime(), QLORA) as lent:
        assert lent.beside_mib == pytest.approx(whole)
    with bases.lent(model, runtime(), FULL) as lent:
        assert lent.beside_mib > whole
        assert lent.beside_mib == pytest.approx(bases.mib)


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN"
)
def test_packed_copies_are_made_once(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    plain: Callable[..., Any] = packed_layer.pack

    def packed(weight: torch.Tensor) -> torch.Tensor:
        made.append(weight)
        return plain(weight)  # type: ignore[no-any-return]

    monkeypatch.setattr(packed_weights, "SMALLEST_SIDE", 8)
    monkeypatch.setattr(packed_layer, "pack", packed)
    bases, model = BaseCache(), resolved(tiny_models.chat)
    found = []
    for _ in range(2):
        with (
            bases.lent(model, runtime(), BASE) as lent,
            packed_weights.packed_weights(lent.model, kept=lent.packed) as layers,
        ):
            found.append(logits(lent))
            assert layers == len(made) > 0
    assert torch.equal(*found)
    with bases.lent(model, runtime(), LORA) as lent:
        assert 0 < lent.beside_mib < bases.mib
    # They are given up first where training needs the memory.
    free(monkeypatch, 0.01)
    with bases.lent(model, runtime(), LORA) as lent:
        assert (lent.packed, lent.beside_mib) == ({}, 0)


def test_it_goes_to_another_process_empty(tiny_models: TinyModels) -> None:
    bases = BaseCache(most=3)
    with bases.lent(resolved(tiny_models.chat), runtime(), BASE):
        pass
    other = pickle.loads(pickle.dumps(bases))  # noqa: S301 - what was written here
    assert (other.mib, other._most) == (0, 3)
    assert bases.mib > 0
