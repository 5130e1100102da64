"""Weights that were trained elsewhere: which folders are taken, and what is said of the others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.errors import SpecError, UnknownReferenceError
from harness.models.base_cache import BaseCache
from harness.models.brought import (
    fingerprint_of,
    own_template,
    problem_of_weights,
    problems_of_brought,
)
from harness.models.load import load_tokenizer
from harness.models.trained import merged_model, trained_model
from harness.spec import BroughtArm, Experiment, load_experiment
from harness.spec.settings import OutsideSettings, Settings
from harness.study.brought import folders_here, notes_on_brought
from tests.tiny_model import TinyModels, load_tiny, resolved, runtime

PROMPT = torch.tensor([[5, 6, 7, 8]])


def adapter(
    folder: Path, model: Path, *, dora: bool = False, rslora: bool = False, **how: Any
) -> Path:
    """An adapter as peft saves it after some training: B is no longer 0."""
    from harness.models.peft_library import peft

    base = load_tiny(model).model
    base.name_or_path = str(model)
    how = {"target_modules": "all-linear", **how}
    config = peft.LoraConfig(
        r=4, use_dora=dora, use_rslora=rslora, task_type="CAUSAL_LM",
        base_model_name_or_path=str(model), **how,
    )  # fmt: skip
    trained = peft.get_peft_model(base, config)
    with torch.no_grad():
        for name, weight in trained.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn_like(weight, generator=None) * 0.1)
    trained.save_pretrained(folder, safe_serialization=True)
    return folder


def arm_of(path: Path, **keys: object) -> BroughtArm:
    return BroughtArm.model_validate({"kind": "trained", "path": str(path), **keys})


def asking(path: Path | list[Path], model: str, **keys: object) -> Experiment:
    paths = str(path) if isinstance(path, Path) else [str(one) for one in path]
    return Experiment.model_validate(
        {
            "name": "brought",
            "model": model,
            "data": {"source": "rows.jsonl"},
            "task": {
                "instruction": "?",
                "template": "{text}",
                "answer": {"kind": "label", "column": "label", "labels": ["a", "b"]},
            },
            "arms": {"theirs": {"kind": "trained", "path": paths, **keys}},
        }
    )


def problems(path: Path, model: Path, **keys: object) -> list[str]:
    experiment = asking(path, str(model), **keys)
    here, away = folders_here(experiment)
    assert not away
    return [str(problem) for problem in problems_of_brought(experiment, resolved(model), here)]


def logits(folder: Path, model: Path, settings: Settings) -> torch.Tensor:
    with trained_model(resolved(model), runtime(), settings, folder, BaseCache(most=0)) as loaded:
        with torch.inference_mode():
            found: torch.Tensor = loaded.model(input_ids=PROMPT).logits
        return found


@pytest.mark.parametrize("how", [{}, {"dora": True}, {"rslora": True}])
def test_an_adapter_computes_as_peft_has_it_and_as_it_does_merged(
    tiny_models: TinyModels, tmp_path: Path, how: dict[str, bool]
) -> None:
    from peft import PeftModel

    folder = adapter(tmp_path / "theirs", tiny_models.chat, **how)
    settings = arm_of(folder).resolve({})
    assert problems(folder, tiny_models.chat) == []
    mine = logits(folder, tiny_models.chat, settings)
    peft = PeftModel.from_pretrained(load_tiny(tiny_models.chat).model, folder).eval()
    with torch.inference_mode():
        theirs = peft(input_ids=PROMPT).logits
        base = load_tiny(tiny_models.chat).model(input_ids=PROMPT).logits
    assert torch.equal(mine, theirs)
    assert (mine - base).abs().max() > 1e-3
    merged = tmp_path / "merged"
    peft.merge_and_unload().save_pretrained(merged, safe_serialization=True)
    assert problems(merged, tiny_models.chat) == []
    assert torch.allclose(logits(merged, tiny_models.chat, settings), mine, atol=1e-4)


def test_an_adapter_lies_on_a_base_in_four_bits(tiny_models: TinyModels, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "theirs", tiny_models.chat)
    settings = arm_of(folder, base="nf4").resolve({})
    base = resolved(tiny_models.chat)
    with trained_model(base, runtime(), settings, folder, BaseCache(most=0)) as loaded:
        assert loaded.form == "adapter-on-nf4"


def test_another_base_is_refused_with_both_names(tiny_models: TinyModels, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "theirs", tiny_models.chat)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "somebody/Other-7B"
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (problem,) = problems(folder, tiny_models.chat)
    assert "arms.theirs.path" in problem
    assert "trained on somebody/Other-7B" in problem
    assert str(tiny_models.chat) in problem
    assert problems(folder, tiny_models.chat, same_base=True) == []
    # What a folder is called says nothing of what it holds.
    for named in (f"publisher/{tiny_models.chat.name}", f"/elsewhere/{tiny_models.chat.name}"):
        config["base_model_name_or_path"] = named
        (folder / "adapter_config.json").write_text(json.dumps(config))
        assert f"trained on {named}" in problems(folder, tiny_models.chat)[0]
    copy = tmp_path / "copy"
    shutil.copytree(tiny_models.chat, copy)
    config["base_model_name_or_path"] = str(copy)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    assert problems(folder, tiny_models.chat) == []


@pytest.mark.parametrize(
    ("theirs", "mine", "same"),
    [
        ("Qwen/Tiny-1B", "unsloth/tiny-1b", True),
        ("Qwen/Tiny-1B", "tiny-1b", True),
        ("tiny-1b", "tiny-1b", True),
        ("/home/someone/tiny-1b", "unsloth/tiny-1b", False),
        ("tiny-1b", "unsloth/tiny-1b", False),
        ("Qwen/Tiny-1B", "/models/tiny-1b", False),
    ],
)
def test_names_on_a_hub_tell_the_base_and_names_of_folders_do_not(
    tmp_path: Path, theirs: str, mine: str, same: bool
) -> None:
    save_file({"weights": torch.zeros(1)}, tmp_path / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "base_model_name_or_path": theirs}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    found = problems_of_brought(asking(tmp_path, mine), None, {"theirs": (tmp_path,)})
    assert (found == []) is same


def test_every_folder_of_an_arm_is_checked(tiny_models: TinyModels, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "theirs", tiny_models.chat)
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    (other / "adapter_model.safetensors").unlink()
    experiment = asking([folder, other], str(tiny_models.chat))
    here, _ = folders_here(experiment)
    (problem,) = problems_of_brought(experiment, resolved(tiny_models.chat), here)
    assert str(other) in str(problem)


def test_a_folder_that_is_not_there_is_told_from_a_name_on_a_hub(tmp_path: Path) -> None:
    """Paths are taken from the experiment file's folder; ``runs`` is there, ``owner`` is not."""
    (tmp_path / "runs").mkdir()
    file = tmp_path / "experiment.yaml"
    for path, fetched in (("owner/adapter", True), ("runs/adaptr", False), ("adaptr", False)):
        file.write_text(json.dumps(asking(Path(path), "owner/base").plain()))
        if fetched:
            assert folders_here(load_experiment(file)) == ({}, [path])
        else:
            with pytest.raises(SpecError, match=f"arms.theirs.path: .*{path}: no such folder"):
                folders_here(load_experiment(file))


def test_a_checkpoint_of_another_size_is_refused(tiny_models: TinyModels, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    shutil.copytree(tiny_models.chat, folder)
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] += 1
    (folder / "config.json").write_text(json.dumps(config))
    (problem,) = problems(folder, tiny_models.chat)
    assert "its num_hidden_layers is 3, and that of the experiment's model" in problem
    config["num_hidden_layers"] -= 1
    rows = config["vocab_size"]
    for more, taken in ((8, True), (-1, False)):
        (folder / "config.json").write_text(json.dumps({**config, "vocab_size": rows + more}))
        assert (problems(folder, tiny_models.chat) == []) is taken


def test_what_cannot_be_read_safely_or_at_all_is_refused(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    folder = adapter(tmp_path / "theirs", tiny_models.chat)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    assert "can run code when read" in problems(folder, tiny_models.chat)[0]
    with pytest.raises(SpecError, match="no such folder"):
        problems(tmp_path / "gone", tiny_models.chat)
    assert "is for adapters" in problems(tiny_models.chat, tiny_models.chat, base="nf4")[0]
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "peft_type": "IA3"}))
    assert "adapter_config.json is IA3" in problems(folder, tiny_models.chat)[0]


def test_an_adapter_of_other_layers_or_that_changes_nothing_is_no_arm(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    folder = adapter(tmp_path / "theirs", tiny_models.chat)
    settings = arm_of(folder).resolve({})
    weights = load_file(folder / "adapter_model.safetensors")
    strange = {name.replace("layers.1.", "layers.7."): one for name, one in weights.items()}
    save_file(strange, folder / "adapter_model.safetensors")
    with pytest.raises(UnknownReferenceError, match="have no place in this base"):
        logits(folder, tiny_models.chat, settings)
    untrained = {n: one * 0 if "lora_B" in n else one for n, one in weights.items()}
    save_file(untrained, folder / "adapter_model.safetensors")
    with pytest.raises(UnknownReferenceError, match="changes nothing"):
        logits(folder, tiny_models.chat, settings)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (lambda name: "layers.1." not in name, "it lacks .* weights that its adapter_config.json"),
        (lambda name: "lora_B" not in name, "it lacks"),
    ],
)
def test_an_adapter_of_which_some_is_missing_is_no_arm(
    tiny_models: TinyModels, tmp_path: Path, left: Callable[[str], bool], said: str
) -> None:
    folder = adapter(tmp_path / "theirs", tiny_models.chat)
    file = folder / "adapter_model.safetensors"
    save_file({name: one for name, one in load_file(file).items() if left(name)}, file)
    with pytest.raises(UnknownReferenceError, match=said):
        logits(folder, tiny_models.chat, arm_of(folder).resolve({}))


def test_weights_that_are_no_numbers_are_no_arm(tiny_models: TinyModels, tmp_path: Path) -> None:
    """NaN answers nothing, and its first token is taken for the likeliest."""
    theirs = adapter(tmp_path / "theirs", tiny_models.chat)
    whole = tmp_path / "whole"
    shutil.copytree(tiny_models.chat, whole)
    for folder, file, said in (
        (theirs, "adapter_model.safetensors", "hold what is no number"),
        (whole, "model.safetensors", "hold what is no number"),
    ):
        weights = load_file(folder / file)
        name = next(one for one in weights if "layers.1.self_attn.q_proj" in one)
        weights[name] = weights[name] * float("nan")
        save_file(weights, folder / file, {"format": "pt"})
        with pytest.raises(UnknownReferenceError, match=said):
            logits(folder, tiny_models.chat, arm_of(folder).resolve({}))


def test_torn_files_are_told_before_anything_runs(tiny_models: TinyModels, tmp_path: Path) -> None:
    """As a download that broke off, or git without its large files, leaves them."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    theirs = adapter(tmp_path / "theirs", tiny_models.chat)
    whole = tmp_path / "whole"
    load_tiny(tiny_models.chat).model.save_pretrained(whole, max_shard_size="20KB")
    shard = sorted(whole.glob("model-*.safetensors"))[1]
    for folder, file in ((theirs, theirs / "adapter_model.safetensors"), (whole, shard)):
        content = file.read_bytes()
        for torn in (content[: len(content) // 2], pointer, b""):
            file.write_bytes(torn)
            (problem,) = problems(folder, tiny_models.chat)
            assert f"{file.name} is no whole file of safetensors" in problem
    shard.unlink()
    (problem,) = problems(whole, tiny_models.chat)
    assert f"names {shard.name}, which is not there" in problem


def test_what_a_newer_peft_has_written_is_told(tiny_models: TinyModels, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "theirs", tiny_models.chat)
    assert list(notes_on_brought({"theirs": (folder,)}, None)) == []
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "curved": 3.0, "off": None}))
    (note,) = notes_on_brought({"theirs": (folder,)}, None)
    assert "knows nothing of curved in its configuration" in note


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"target_modules": ["embed_tokens", "q_proj"]}, "are one weight in this base"),
        ({"target_modules": ["q_proj"], "lora_bias": True}, "cannot be merged: Impossible"),
    ],
)
def test_what_would_be_another_model_merged_is_not_merged(
    tiny_models: TinyModels, tmp_path: Path, how: dict[str, Any], said: str
) -> None:
    folder = adapter(tmp_path / "theirs", tiny_models.chat, **how)
    settings = arm_of(folder).resolve({})
    assert isinstance(settings, OutsideSettings)
    assert logits(folder, tiny_models.chat, settings).isfinite().all()
    with pytest.raises(UnknownReferenceError, match=said):
        merged_model(resolved(tiny_models.chat), runtime(), settings, folder, "float32")


def test_a_checkpoint_that_is_the_base_is_no_arm(tiny_models: TinyModels, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_models.chat, copy)
    base = replace(resolved(tiny_models.chat), fingerprint=fingerprint_of(tiny_models.chat))
    for folder in (tiny_models.chat, copy):
        wrong = problem_of_weights(folder, base, "tiny", "plain", same_base=False)
        assert "it is the experiment's model itself (tiny)" in wrong


def test_a_tokenizer_that_the_base_does_not_share_is_told(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    folder = adapter(tmp_path / "theirs", tiny_models.chat)
    base = resolved(tiny_models.chat)
    tokenizer = load_tokenizer(base)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    assert list(notes_on_brought({"theirs": (folder,)}, base)) == []
    tokenizer.add_tokens(["<|tool|>"])
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    (note,) = notes_on_brought({"theirs": (folder,)}, base)
    assert "1 token, such as '<|tool|>'" in note


def test_its_own_chat_template_is_taken(tiny_models: TinyModels, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "theirs", tiny_models.chat)
    assert own_template(folder) == ""
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}!")
    settings = arm_of(folder).resolve({})
    base = resolved(tiny_models.chat)
    with trained_model(base, runtime(), settings, folder, BaseCache(most=0)) as loaded:
        assert loaded.tokenizer.chat_template == "{{ messages[0]['content'] }}!"


def test_folders_stand_for_seeds(tmp_path: Path) -> None:
    arm = arm_of(tmp_path).model_copy(update={"path": ("a", "b", "c")})
    assert [arm.path_of(seed) for seed in (1, 2, 3, 1_000_003)] == ["a", "b", "c", "a"]
    for wrong, why in (
        ({"path": ["a", "a"]}, "stands twice"),
        ({"path": "a", "seeds": [1]}, "its folders stand for its seeds"),
    ):
        with pytest.raises(ValueError, match=why):
            BroughtArm.model_validate({"kind": "trained", **wrong})
