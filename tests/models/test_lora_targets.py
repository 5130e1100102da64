"""Which layers get an adapter, in families whose layers are not all plain."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.errors import TrialError
from harness.models.adapters import each_adapter, make_trainable, save_trained
from harness.models.load import LoadedModel
from harness.models.lora_targets import problems_of_arms, targets_problem
from harness.models.trained import merged_model
from harness.spec import Experiment
from tests.architectures import write_architecture
from tests.settings import adapter
from tests.tiny_model import TinyModels, load_tiny, resolved, runtime

PROMPT = torch.tensor([[20, 30, 40, 50, 60, 70]])


def logits(loaded: LoadedModel) -> torch.Tensor:
    loaded.model.eval()
    with torch.no_grad():
        return loaded.model(input_ids=PROMPT, use_cache=False).logits  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("state-space", "mixer.A_log, mixer.conv1d.weight, mixer.dt_proj.weight, mixer.out_proj"),
        ("both-in-a-layer", "mamba.conv1d.weight, mamba.out_proj.weight ("),
        ("convolution-1d-weights", ""),
        ("experts", ""),
        ("other-experts", "mlp.experts.down_proj, mlp.experts.down_proj_bias, mlp.experts.gate_up"),
        (
            "chunks",
            "feed_forward.experts.down_proj, feed_forward.experts.gate_up_proj, feed",
        ),
        ("recurrent", "attention.time_mix_key, "),
    ],
)
def test_every_linear_layer_that_can_is_adapted_and_the_others_are_named(
    tiny_models: TinyModels, tmp_path: Path, name: str, left_out: str
) -> None:
    folder = write_architecture(tmp_path / "model", name, tiny_models.plain)
    base = load_tiny(folder)
    of_base = logits(base)
    candidate = make_trainable(base, adapter(rank=2), 1)
    assert torch.equal(logits(candidate), of_base)
    assert candidate.not_adapted.startswith(left_out)
    assert bool(candidate.not_adapted) is bool(left_out)
    candidate.model(input_ids=PROMPT, use_cache=False).logits.sum().backward()
    trained = {n: p for n, p in candidate.model.named_parameters() if p.requires_grad}
    assert all(weight.grad is not None for weight in trained.values())
    with torch.no_grad():
        for path, weight in trained.items():
            if "lora_B" in path:
                weight.normal_(std=0.05)
    moved = logits(candidate)
    assert not torch.allclose(moved, of_base, atol=1e-2)
    save_trained(candidate, tmp_path / "adapter")
    (again,) = (logits(one) for one in each_adapter(load_tiny(folder), [tmp_path / "adapter"]))
    assert torch.equal(again, moved)
    whole = merged_model(
        resolved(folder), runtime(), adapter(rank=2), tmp_path / "adapter", "float32"
    )
    assert torch.allclose(logits(whole), moved, atol=1e-4)


@pytest.mark.parametrize(
    ("targets", "why"),
    [
        (("q_proj", "lm_head"), "'lm_head' is tied"),
        ("embed_tokens", "'embed_tokens' is tied"),
        (
            ("q_proj", "w_proj"),
            "no layer 'w_proj'; it has down_proj, gate_proj, k_proj, o_proj",
        ),
    ],
)
def test_targets_that_take_no_adapter_are_refused_before_and_in_a_trial(
    tiny_models: TinyModels, targets: str | tuple[str, ...], why: str
) -> None:
    assert why in str(targets_problem(resolved(tiny_models.chat), targets))
    with pytest.raises(TrialError, match=why):
        make_trainable(load_tiny(tiny_models.chat), adapter(rank=2, targets=targets), 1)


def test_targets_that_are_there_are_taken(tiny_models: TinyModels) -> None:
    for targets in ("q_proj", ("k_proj", "up_proj")):
        assert targets_problem(resolved(tiny_models.chat), targets) is None
        candidate = make_trainable(load_tiny(tiny_models.chat), adapter(rank=2, targets=targets), 1)
        assert "mlp.down_proj.weight" in candidate.not_adapted


def test_an_output_layer_of_its_own_can_be_adapted(tiny_models: TinyModels, tmp_path: Path) -> None:
    folder = write_architecture(tmp_path, "experts", tiny_models.plain, tie_word_embeddings=False)
    targets = ("lm_head", "q_proj")
    assert targets_problem(resolved(folder), targets) is None
    candidate = make_trainable(load_tiny(folder), adapter(rank=2, targets=targets), 1)
    names = {path for path, layer in candidate.model.named_modules() if hasattr(layer, "lora_A")}
    assert any(path.endswith("lm_head") for path in names)


def test_each_choice_of_each_arm_is_checked_against_the_model(tiny_models: TinyModels) -> None:
    values = {
        "name": "targets",
        "model": str(tiny_models.chat),
        "data": {"source": "rows.csv"},
        "task": {"instruction": "?", "answer": {"kind": "label", "column": "label"}},
        "arms": {
            "zero-shot": {"kind": "prompt"},
            "plain": {"kind": "lora"},
            "listed": {"kind": "qlora", "targets": {"choices": ["q_proj", "lm_head"]}},
        },
    }
    (problem,) = problems_of_arms(Experiment.model_validate(values), resolved(tiny_models.chat))
    assert (problem.where, "'lm_head' is tied" in problem.what) == ("arms.listed", True)
