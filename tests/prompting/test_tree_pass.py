"""A tree of sequences is computed as the sequences alone are, or the model is not given trees."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from harness.models.load import load_base
from harness.models.resolve import resolve_model
from harness.models.runtime import choose_runtime
from harness.models.token_tree import in_trees, token_tree, tree_size
from harness.models.tree_pass import nodes_and_places, takes_trees, tree_inputs
from harness.spec import ModelSpec

SMALL: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
SEQUENCES = (
    (1, 2, 3, 4, 5, 6, 7, 8),
    (1, 2, 3, 4, 9, 9, 9),
    (1, 2, 3, 4, 5, 6, 10),
    (1, 2, 3),
    (20, 21, 22, 23, 24, 25, 26, 27, 28),
    (1, 2, 3, 4, 5, 6, 7, 8),
)
TAKE: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {},
    "mistral": {"sliding_window": 3},
    "gemma3_text": {"sliding_window": 3, "layer_types": ["sliding_attention", "full_attention"] * 2,
                    "num_hidden_layers": 4},
    "gemma2": {"sliding_window": 3},
    "phi3": {"sliding_window": None},
    "olmo2": {},
    "gpt_neox": {},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
}  # fmt: skip
DO_NOT: dict[str, dict[str, Any]] = {
    "mamba": {"state_size": 4},
    "bloom": {},
    "recurrent_gemma": {"lru_width": 32, "block_types": ["recurrent", "attention"]},
}


def made(kind: str, more: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **{**SMALL, **more})
    # Small random weights make models that hardly look at their context.
    config.initializer_range = 0.2
    return transformers.AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("kind", TAKE)
def test_what_takes_trees_computes_each_sequence_as_alone(kind: str) -> None:
    model = made(kind, TAKE[kind])
    assert takes_trees(model)
    tree = token_tree(SEQUENCES)
    with torch.no_grad():
        logits = model(**tree_inputs(model, tree), use_cache=False).logits[0]
        for sequence, path in zip(SEQUENCES, tree.paths, strict=True):
            alone = model(input_ids=torch.tensor([sequence]), use_cache=False).logits[0]
            assert torch.allclose(logits[torch.from_numpy(path)], alone, atol=2e-4), sequence


@pytest.mark.parametrize("kind", TAKE)
def test_rounding_of_sixteen_bits_hinders_no_trees(kind: str) -> None:
    assert takes_trees(made(kind, TAKE[kind]).bfloat16())


@pytest.mark.weights
def test_the_packaged_model_takes_trees_in_bfloat16() -> None:
    spec = ModelSpec(reference="smollm2-135m-instruct", dtype="bfloat16", device="cpu")
    assert takes_trees(load_base(resolve_model(spec), choose_runtime(spec, 1)).model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("ignored", ["attention_mask", "position_ids"])
def test_what_ignores_mask_or_positions_is_not_given_trees(
    ignored: str, dtype: torch.dtype
) -> None:
    model = made("llama", {}).to(dtype)
    genuine = model.forward

    def forward(**inputs: Any) -> Any:
        return genuine(**{name: value for name, value in inputs.items() if name != ignored})

    model.forward = forward
    assert not takes_trees(model)


@pytest.mark.parametrize("kind", DO_NOT)
def test_what_recurs_or_derives_positions_from_a_mask_is_not_given_trees(kind: str) -> None:
    model = made(kind, DO_NOT[kind])
    model.train()
    assert not takes_trees(model)
    assert model.training


def test_layers_that_no_mask_describes_are_refused() -> None:
    config = SimpleNamespace(layer_types=["linear_attention", "full_attention"])
    config.get_text_config = lambda: config
    model = SimpleNamespace(config=config, dtype=torch.float32)
    with pytest.raises(ValueError, match="linear_attention"):
        tree_inputs(model, token_tree([(1, 2)]))


FEW = st.lists(
    st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple), min_size=1, max_size=8
)


@given(sequences=FEW)
def test_a_tree_holds_each_beginning_once_and_each_sees_its_own(
    sequences: list[tuple[int, ...]],
) -> None:
    tree = token_tree(sequences)
    beginnings = {one[: end + 1] for one in sequences for end in range(len(one))}
    assert len(tree.tokens) == len(beginnings) == tree_size(sequences)
    of_node: dict[int, tuple[int, ...]] = {}
    for sequence, path in zip(sequences, tree.paths, strict=True):
        assert tuple(tree.tokens[path]) == sequence
        assert tree.depths[path].tolist() == list(range(len(sequence)))
        for end, node in enumerate(path.tolist()):
            assert of_node.setdefault(node, sequence[: end + 1]) == sequence[: end + 1]
            assert np.flatnonzero(tree.visible[node]).tolist() == path[: end + 1].tolist()
    nodes, places = nodes_and_places(list(tree.paths))
    assert nodes.tolist() == list(range(len(tree.tokens)))
    assert nodes[places].tolist() == np.concatenate(tree.paths).tolist()


@given(sequences=FEW, width=st.integers(1, 12))
def test_trees_hold_every_sequence_once_and_keep_to_their_width(
    sequences: list[tuple[int, ...]], width: int
) -> None:
    groups = in_trees(sequences, width)
    assert sorted(index for group in groups for index in group) == list(range(len(sequences)))
    for group in groups:
        members = [sequences[index] for index in group]
        assert tree_size(members) <= max(width, *map(len, members))
