"""A model reference leads to files that are safe to read, or to an error that says what to do."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
import torch

from harness.errors import UnknownReferenceError
from harness.models.resolve import folder_fingerprint, packaged_models, resolve_model
from harness.spec import ModelSpec
from tests.tiny_model import TinyModels, load_tiny


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def copied(tiny_models: TinyModels, tmp_path: Path) -> Path:
    """The tiny model, to be damaged."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_models.chat, folder)
    return folder


def test_a_folder_is_resolved_to_itself(copied: Path) -> None:
    found = resolve_model(ModelSpec(reference=str(copied)))
    assert (found.reference, found.path) == (str(copied), str(copied))
    assert found.fingerprint == folder_fingerprint(copied)
    assert not found.trust_remote_code


def test_the_fingerprint_follows_a_single_byte(copied: Path) -> None:
    before = folder_fingerprint(copied)
    assert folder_fingerprint(copied) == before
    weights = copied / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    changed = folder_fingerprint(copied)
    assert changed != before
    content[-1] ^= 1
    weights.write_bytes(content)
    assert folder_fingerprint(copied) == before


def test_the_fingerprint_is_of_content_not_of_place_or_time(copied: Path, tmp_path: Path) -> None:
    before = folder_fingerprint(copied)
    shutil.copytree(copied, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "README.md").write_text("no influence")
    assert folder_fingerprint(tmp_path / "elsewhere") == before
    os.utime(copied / "model.safetensors", (1, 1))
    assert folder_fingerprint(copied) == before
    (copied / "tokenizer_config.json").write_text("{}")
    assert folder_fingerprint(copied) != before


def test_pickled_weights_alone_are_refused(copied: Path) -> None:
    torch.save(load_tiny(copied).model.state_dict(), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    with pytest.raises(UnknownReferenceError, match=r"no \.safetensors.*safe_serialization"):
        resolve_model(ModelSpec(reference=str(copied)))


def test_a_folder_that_holds_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnknownReferenceError, match=r"holds no config\.json"):
        resolve_model(ModelSpec(reference=str(tmp_path / "empty")))


@pytest.mark.parametrize("reference", ["./nowhere", "/nowhere/at/all", "~/nowhere", "a/b/c"])
def test_a_missing_folder_is_not_looked_for_on_a_hub(
    reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("asked a hub")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(UnknownReferenceError, match="no such folder or file"):
        resolve_model(ModelSpec(reference=reference))


@pytest.mark.parametrize("reference", ["nobody/no-such-model", "no-such-model", "not a name!"])
def test_an_unknown_name_without_a_hub_fails_at_once(
    reference: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    began = time.perf_counter()
    with pytest.raises(UnknownReferenceError, match="a hub does not serve it") as caught:
        resolve_model(ModelSpec(reference=reference))
    assert time.perf_counter() - began < 3
    assert packaged_models()[0] in str(caught.value)


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF but not really" * 10)
    with pytest.raises(UnknownReferenceError, match="not a GGUF file"):
        resolve_model(ModelSpec(reference=str(tmp_path / "model.gguf")))
    assert not list((tmp_path / "cache").rglob("config.json"))
