"""A model's folder runs code only where it is trusted, and never leads to weights elsewhere."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from harness.errors import UnknownReferenceError
from harness.models.load import load_base
from harness.models.resolve import resolve_model
from harness.models.safe_folder import INDEX
from harness.records import Runtime
from harness.spec import ModelSpec
from tests.tiny_model import TinyModels

CODE = """
from pathlib import Path
Path({mark!r}).write_text("ran")
from transformers import LlamaConfig, LlamaForCausalLM
class C(LlamaConfig):
    model_type = "own"
class M(LlamaForCausalLM):
    config_class = C
"""
Change = Callable[[Path], None]


@pytest.fixture
def folder(tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "hf"))
    shutil.copytree(tiny_models.chat, tmp_path / "model")
    return tmp_path / "model"


def rewrite(path: Path, **changes: Any) -> None:
    values = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**values, **changes}), encoding="utf-8")


def index(name: str) -> Change:
    def change(folder: Path) -> None:
        weights = folder / "model.safetensors"
        names = dict.fromkeys(load_file(weights), name)
        weights.rename(folder / "renamed.safetensors")
        rewrite(folder / INDEX, metadata={"total_size": 1}, weight_map=names)

    return change


def config(**changes: Any) -> Change:
    return lambda folder: rewrite(folder / "config.json", **changes)


def adapter(folder: Path) -> None:
    rewrite(folder / "adapter_config.json", base_model_name_or_path="someone/base")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (index("weights.bin"), "names 'weights.bin', which is no .safetensors file of this folder"),
        (index("../other/model.safetensors"), "names '../other/model.safetensors', which is no"),
        (index("/etc/model.safetensors"), "names '/etc/model.safetensors', which is no"),
        (config(attn_implementation="someone/kernel"), "by 'someone/kernel', compiled code"),
        (config(_attn_implementation={"": "a/b@v1"}), "by 'a/b@v1', compiled code"),
        (config(text_config={"attn_implementation": "a/b"}), "by 'a/b', compiled code"),
        (adapter, "holds an adapter, whose base may be anywhere"),
    ],
)
def test_what_is_refused_before_anything_loads(folder: Path, change: Change, message: str) -> None:
    change(folder)
    with pytest.raises(UnknownReferenceError, match=re.escape(message)):
        resolve_model(ModelSpec(reference=str(folder)))


def test_a_whole_index_of_the_folder_is_fine(folder: Path) -> None:
    index("renamed.safetensors")(folder)
    assert load(folder).form == "base"


def load(folder: Path, **changes: Any) -> Any:
    found = resolve_model(ModelSpec(reference=str(folder), **changes))
    return load_base(found, Runtime("cpu", "float32", 4))


def own_code(folder: Path, mark: Path) -> None:
    named = {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}
    rewrite(folder / "config.json", model_type="own", auto_map=named)
    (folder / "own.py").write_text(CODE.format(mark=str(mark)), encoding="utf-8")


def test_code_of_a_model_runs_only_where_it_is_trusted(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    own_code(folder, mark)
    with pytest.raises(UnknownReferenceError, match="custom code"):
        load(folder)
    assert not mark.exists()
    sys.path_importer_cache.clear()
    load(folder, trust_remote_code=True)
    assert mark.exists()


def test_trusted_code_is_part_of_the_models_identity(folder: Path, tmp_path: Path) -> None:
    own_code(folder, tmp_path / "mark")
    plain, trusted = (
        ModelSpec(reference=str(folder), trust_remote_code=trust) for trust in (False, True)
    )
    before = resolve_model(plain).fingerprint, resolve_model(trusted).fingerprint
    with (folder / "own.py").open("a") as file:
        file.write("# another version")
    after = resolve_model(plain).fingerprint, resolve_model(trusted).fingerprint
    assert before[0] == after[0]
    assert before[1] != after[1]


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.mark, "ran")


def test_a_pickle_beside_the_weights_is_not_opened(folder: Path, tmp_path: Path) -> None:
    for name in ("pytorch_model.bin", "model.pt", "training_args.bin"):
        (folder / name).write_bytes(pickle.dumps(Trap(tmp_path / "mark")))
    assert load(folder).form == "base"
    assert not (tmp_path / "mark").exists()
