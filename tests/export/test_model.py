"""An exported model is the one that was scored, or is not exported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from huggingface_hub import ModelCard
from safetensors.torch import load_file

import harness.models.trained
from harness.cli import group
from harness.errors import InputError, ParityError
from harness.export import export_model
from harness.export.destination import RECEIPT, whole_folder
from harness.export.exported import Exported
from harness.export.final_run import FinalRun, find_final_run
from harness.export.parity import Parity
from harness.models.load import load_arms_base, load_base
from harness.spec.settings import settings_from
from harness.study.run import StudyRun

from .small_study import ARMS, experiment, run_small

pytestmark = pytest.mark.weights

TRAINED = ("full", "lora", "qlora")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyRun:
    folder = tmp_path_factory.mktemp("trained")
    arms = {name: ARMS[name] for name in (*TRAINED, "kept")}
    return run_small(experiment(folder, arms), folder, *TRAINED)


@pytest.fixture
def altered(study: StudyRun) -> Iterator[tuple[Path, FinalRun]]:
    """A copy of the LoRA arm's adapter is put back after the test."""
    run = find_final_run(study.store.parent, None, "lora")
    kept = run.folder.with_name("kept")
    shutil.copytree(run.folder, kept)
    yield study.store.parent, run
    shutil.rmtree(run.folder)
    kept.rename(run.folder)


def export(study: StudyRun, folder: Path, arm: str, **options: Any) -> Exported:
    return export_model(study.store.parent, None, folder, arm=arm, **options)


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=torch.arange(20, 60)[None]).logits[0]
    return found.float()


@pytest.mark.parametrize("arm", TRAINED)
def test_what_training_left_is_exported_as_it_is(study: StudyRun, tmp_path: Path, arm: str) -> None:
    done = export(study, tmp_path / "out", arm)
    parity = done.parity
    assert parity is not None
    assert (parity.items, parity.equal, parity.different) == (parity.test_items, parity.items, 0)
    assert parity.items == done.run.analysed.study.experiment.splits["test"] > 5
    assert parity.trial_mean == parity.exported_mean
    assert parity.circumstances == ()
    weights = "model.safetensors" if arm == "full" else "adapter_model.safetensors"
    left = (done.run.folder / "artifact" / weights).read_bytes()
    assert (tmp_path / "out" / weights).read_bytes() == left
    receipt = json.loads((tmp_path / "out" / RECEIPT).read_text())
    assert receipt["trial_id"] == done.run.trial.trial_id
    # Where the base's folder lies is nobody's business.
    assert receipt["base"]["reference"] == "model"
    assert set(receipt["files"]) >= {weights, "README.md", "tokenizer.json", "chat_template.jinja"}
    assert not list(tmp_path.glob(".*")), "a temporary folder was left"


def test_peft_loads_an_exported_adapter_by_the_folder_alone(
    study: StudyRun, tmp_path: Path
) -> None:
    from peft import AutoPeftModelForCausalLM

    export(study, tmp_path / "out", "lora", items=0)
    export(study, tmp_path / "merged", "lora", form="merged", items=0)
    adapted = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    merged = harness.models.trained.load_whole(
        tmp_path / "merged", find_final_run(study.store.parent, None, "lora").spec.runtime
    )
    assert float((logits(adapted.eval()) - logits(merged.model)).abs().max()) < 1e-3
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(study.store.parent.parent / "model")


@pytest.mark.parametrize("arm", ["lora", "qlora"])
def test_a_merged_model_answers_as_the_adapter_on_its_own_base(
    study: StudyRun, tmp_path: Path, arm: str
) -> None:
    done = export(study, tmp_path / "out", arm, form="merged")
    parity = done.parity
    assert parity is not None
    assert parity.different == 0
    assert parity.largest_likelihood_difference is not None
    assert 0 < parity.largest_likelihood_difference < 1e-3
    assert not (tmp_path / "out" / "adapter_config.json").exists()
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["dtype"] == "float32"


def test_qlora_is_merged_into_the_base_that_it_was_trained_on(
    study: StudyRun, tmp_path: Path
) -> None:
    spec = export(study, tmp_path / "out", "qlora", form="merged", items=0).run.spec
    merged = load_file(tmp_path / "out" / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    settings = settings_from(spec.params)
    quantised = load_arms_base(spec.model, spec.runtime, settings).model
    own = quantised.dequantize(torch.float32).state_dict()[name]
    plain = load_base(spec.model, spec.runtime).model
    original = plain.state_dict()[name]
    # What the adapter adds has its rank; what the original weights lack against it has not.
    rank = torch.linalg.matrix_rank(merged[name] - own, rtol=1e-3)
    assert int(rank) <= spec.params["rank"]
    assert int(torch.linalg.matrix_rank(merged[name] - original, rtol=1e-3)) > spec.params["rank"]


def test_an_export_without_its_adapter_is_caught(
    study: StudyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        harness.models.trained,
        "merged_model",
        lambda base, runtime, settings, *_: load_arms_base(base, runtime, settings),
    )
    seen: list[Parity] = []
    with pytest.raises(ParityError, match="was not written"):
        export(study, tmp_path / "out", "lora", form="merged", on_parity=seen.append)
    assert list(tmp_path.iterdir()) == []
    (parity,) = seen
    assert parity.different > 0
    assert parity.largest_score_difference == 1.0
    assert parity.largest_likelihood_difference is not None
    assert parity.largest_likelihood_difference > 0.1
    called = ["export", "model", "--results", str(study.store.parent), "--arm", "lora"]
    called += ["--form", "merged", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(group, called)
    assert isinstance(done.exception, ParityError)
    assert ParityError.exit_code == 1
    assert "Different" in done.output
    done = CliRunner().invoke(group, [*called, "--allow-differences", "--items", "6"])
    assert done.exit_code == 0, done.output
    assert "DIFFERENT" in done.output
    card = (tmp_path / "out" / "README.md").read_text()
    assert "DIFFER from the trial" in card
    assert "Not all test items were asked again" in card


def test_an_unchecked_export_says_so(study: StudyRun, tmp_path: Path) -> None:
    called = ["export", "model", "--results", str(study.store.parent), "--arm", "full"]
    called += ["--items", "0", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(group, called)
    assert done.exit_code == 0, done.output
    assert "NOT CHECKED" in done.output
    assert "NOT CHECKED" in (tmp_path / "out" / "README.md").read_text()


def test_the_card_has_the_evaluation_and_no_markup_of_others(
    study: StudyRun, tmp_path: Path
) -> None:
    done = export(study, tmp_path / "out", "lora", items=0)
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.model_name == "small-lora"
    assert card.data.license == "unknown"
    values = {one.metric_type: one.metric_value for one in card.data.eval_results or ()}
    stored = {
        one.metric: one.value
        for one in done.run.trial.aggregates
        if (one.suite, one.split) == ("domain", "test")
    }
    assert values == stored
    assert "<script>" not in card.text
    assert "](http://x.y)" not in card.text
    assert str(tmp_path) not in card.text
    assert str(study.store.parent.parent) not in card.content
    assert done.run.analysed.study.experiment.data.fingerprint in card.text
    texts = {item.text for item in done.run.analysed.study.items if item.text}
    assert len(texts) > 5
    assert not any(text in card.content for text in texts)


@pytest.mark.parametrize("damage", ["gone", "altered"])
def test_files_that_are_gone_or_altered_are_named(
    altered: tuple[Path, FinalRun], tmp_path: Path, damage: str
) -> None:
    results, run = altered
    weights = run.folder / "artifact" / "adapter_model.safetensors"
    if damage == "gone":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes() + b"\0")
    words = "is gone" if damage == "gone" else "is not what the trial left"
    with pytest.raises(InputError, match=f"{words}; put the folder .* back from a copy, or train"):
        export_model(results, None, tmp_path / "out", arm="lora")
    assert list(tmp_path.iterdir()) == []


def test_a_base_that_changed_is_refused(
    study: StudyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.models.resolve.folder_fingerprint", lambda folder: "other")
    with pytest.raises(InputError, match="is not the base"):
        export(study, tmp_path / "out", "lora")


def test_options_that_do_not_go_together_are_refused(study: StudyRun, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="kept is a prompt: it trained no weights"):
        export(study, out, "kept")
    with pytest.raises(InputError, match="--dtype is for merged weights"):
        export(study, out, "lora", dtype="bfloat16")
    with pytest.raises(InputError, match="--converter llama"):
        export(study, out, "lora", form="gguf")
    assert list(tmp_path.iterdir()) == []


def test_a_gguf_file_is_written_by_the_converter_that_is_named(
    study: StudyRun, tmp_path: Path
) -> None:
    converter = tmp_path / "convert.py"
    converter.write_text(
        "import pathlib, sys\n"
        "folder, out, kind = sys.argv[1], sys.argv[3], sys.argv[5]\n"
        "assert (pathlib.Path(folder) / 'model.safetensors').is_file()\n"
        "pathlib.Path(out).write_bytes(b'GGUF' + kind.encode())\n"
    )
    done = export(
        study, tmp_path / "out", "lora", form="gguf", converter=converter, items=4, dtype="float32"
    )
    assert done.form == "gguf"
    assert {one.name for one in (tmp_path / "out").iterdir()} == {
        "model.gguf", "README.md", RECEIPT,
    }  # fmt: skip
    assert (tmp_path / "out" / "model.gguf").read_bytes() == b"GGUFf32"
    converter.write_text("import sys\nprint('no such architecture')\nsys.exit(3)")
    with pytest.raises(InputError, match="no such architecture"):
        export(study, tmp_path / "two", "lora", form="gguf", converter=converter, items=0)
    assert not (tmp_path / "two").exists()


def test_only_an_earlier_export_is_ever_replaced(tmp_path: Path) -> None:
    place = tmp_path / "out"
    with whole_folder(place, force=False) as folder:
        (folder / RECEIPT).write_text("first")
    with (
        pytest.raises(InputError, match="--force replaces it"),
        whole_folder(place, force=False),
    ):
        raise AssertionError("not reached")
    with pytest.raises(RuntimeError), whole_folder(place, force=True) as folder:
        (folder / RECEIPT).write_text("torn")
        raise RuntimeError
    assert (place / RECEIPT).read_text() == "first"
    with whole_folder(place, force=True) as folder:
        (folder / RECEIPT).write_text("second")
    assert (place / RECEIPT).read_text() == "second"
    (place / RECEIPT).rename(place / "letter.txt")
    with (
        pytest.raises(InputError, match="holds something else"),
        whole_folder(place, force=True),
    ):
        raise AssertionError("not reached")
    assert [one.name for one in tmp_path.iterdir()] == ["out"]
