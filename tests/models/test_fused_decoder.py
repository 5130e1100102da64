"""A decoder of few operations writes what the model's own modules write."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from harness.evaluation.local.constrained import OneOf
from harness.evaluation.local.row_generation import greedy_replies, likeliest
from harness.models import packed_weights as packing
from harness.models.fused_decoder import fused_decoder, row_logits, why_not_fused
from harness.models.packed_weights import packed_weights
from harness.models.prompt_prefix import compute_prompt_prefix
from harness.models.row_attention import plain_row_logits
from harness.models.row_cache import RowCache

VOCABULARY, ROOM = 320, 12
SIZE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 1e4,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {"tie_word_embeddings": True}),
    "llama, untied, with biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, each head its own keys": ("llama", {"num_key_value_heads": 4}),
    "llama, scaled angles": ("llama", {"rope_parameters": LLAMA3}),
    "llama, angles by yarn": ("llama", {"rope_parameters": YARN}),
    "llama, wider heads": ("llama", {"head_dim": 16}),
    "mistral": ("mistral", {"sliding_window": None}),
    "qwen 2": ("qwen2", {"tie_word_embeddings": True}),
    "qwen 3": ("qwen3", {"head_dim": 16}),
}
OPENING = tuple(range(40, 55))
PROMPTS = [(*OPENING, *range(60 + n, 62 + 4 * n), 7 + n) for n in range(7)]

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN"
)


@pytest.fixture(autouse=True)
def tiny_layers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "SMALLEST_SIDE", 8)


def build(family: str, **more: Any) -> Any:
    config = CONFIG_MAPPING[family](**{**SIZE, **more})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).eval()
        for name, weight in model.named_parameters():
            # Else those of norms are all one, and biases nothing.
            if weight.dim() == 1:
                torch.nn.init.uniform_(weight, 0.5, 1.5 if "norm" in name else 0.6)
    return model


def alone(model: Any, prompt: tuple[int, ...]) -> list[int]:
    ids = list(prompt)
    for _ in range(ROOM):
        with torch.inference_mode():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


@cache
def replies_alone(name: str, *, constrained: bool = False) -> list[list[int]]:
    """What a model's own modules reply to each prompt by itself."""
    family, more = MODELS[name]
    model = build(family, **more)
    if constrained:
        return [alone_among(model, OneOf(ANSWERS), prompt) for prompt in PROMPTS]
    return [alone(model, prompt) for prompt in PROMPTS]


def replies(
    model: Any,
    prompts: list[tuple[int, ...]],
    opened: int,
    rows: int,
    constraint: OneOf | None = None,
) -> list[list[int]]:
    beginning = compute_prompt_prefix(model, OPENING[:opened])

    def never(written: list[list[int]]) -> list[bool]:
        return [False] * len(written)

    room = ROOM if constraint is None else 99
    return greedy_replies(model, prompts, beginning, rows, room, (), never, constraint=constraint)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("opened", [0, len(OPENING)])
def test_replies_in_float32_are_those_of_the_model_alone(name: str, opened: int) -> None:
    family, more = MODELS[name]
    model = build(family, **more)
    expected = replies_alone(name)
    with packed_weights(model):
        assert why_not_fused(model) == ""
        # Fewer rows than prompts, so that some join later; and one alone.
        assert replies(model, PROMPTS, opened, 3) == expected
        assert replies(model, PROMPTS[2:3], opened, 8) == expected[2:3]
    assert fused_decoder(model) is None
    assert len({tuple(reply) for reply in expected}) > 1


# Answers that begin alike, leave no choice for a while, and repeat what stands in the prompt.
ANSWERS = [
    (n, 30, 31, 32, *range(60 + m, 64 + m), *(33, 34) * (n % 3), 5 + m, 2)
    for n in range(20, 24)
    for m in range(4)
]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("opened", [0, len(OPENING)])
def test_constrained_replies_in_float32_are_those_of_the_model_alone(
    name: str, opened: int
) -> None:
    family, more = MODELS[name]
    model = build(family, **more)
    constraint = OneOf(ANSWERS)
    expected = replies_alone(name, constrained=True)
    with packed_weights(model):
        assert why_not_fused(model) == ""
        assert replies(model, PROMPTS, opened, 3, constraint) == expected
        assert replies(model, PROMPTS[2:3], opened, 8, constraint) == expected[2:3]
    assert set(map(tuple, expected)) <= set(ANSWERS)


def alone_among(model: Any, constraint: OneOf, prompt: tuple[int, ...]) -> list[int]:
    """The likeliest of the allowed tokens, one by one, in the model's own modules."""
    walk = constraint.walk()
    while walk.rest is None:
        mask = np.zeros(VOCABULARY, dtype=np.bool_)
        walk.allow(mask)
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([[*prompt, *walk.taken]])).logits[0, -1]
        walk.take(int(np.where(mask, logits.numpy(), -np.inf).argmax()))
    return [*walk.taken, *walk.rest]


def passes(
    model: Any, logits_of: Callable[..., torch.Tensor], sequences: list[list[int]]
) -> torch.Tensor:
    """Logits after all tokens of the sequences: some read, then some more at once, then the rest
    one by one."""
    cache = RowCache(compute_prompt_prefix(model, OPENING), len(sequences))
    slots = np.arange(len(sequences))
    found = []
    width = len(sequences[0])
    with torch.inference_mode():
        for first, last in ((0, 5), (5, 8), *((n, n + 1) for n in range(8, width))):
            tokens = [token for row in sequences for token in row[first:last]]
            blocks = [(slots, np.full(len(slots), last - first))]
            logits = logits_of(model, cache, blocks, tokens, list(range(len(tokens))))
            found.append(logits.float().unflatten(0, (len(slots), -1)))
    return torch.cat(found, 1)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_in_bfloat16_it_is_as_near_to_float32(family: str) -> None:
    exact, rounded = build(family), build(family).bfloat16()
    # The weights are rounded alike: what differs is what is computed with them.
    exact.load_state_dict({name: one.float() for name, one in rounded.state_dict().items()})
    sequences = np.random.default_rng(0).integers(0, VOCABULARY, (6, 14)).tolist()
    truth = passes(exact, plain_row_logits, sequences)
    plain = passes(rounded, plain_row_logits, sequences)
    with packed_weights(rounded) as packed:
        if not packed:
            pytest.skip("this processor has no packed layout for bfloat16")
        assert why_not_fused(rounded) == ""
        found = passes(rounded, row_logits, sequences)
    moved, usual = (float((one - truth).square().mean()) for one in (found, plain))
    assert 0 < moved < 1.1 * usual


def adapted(family: str, targets: list[str]) -> Any:
    from peft import LoraConfig, get_peft_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = get_peft_model(
            build(family), LoraConfig(r=4, lora_alpha=8, target_modules=targets)
        ).eval()
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.1)
    return model


@pytest.mark.parametrize("targets", [["q_proj", "v_proj", "down_proj"], ["k_proj", "gate_proj"]])
def test_an_adapter_is_there_in_either_type(targets: list[str]) -> None:
    model = adapted("qwen2", targets)
    sequences = np.random.default_rng(0).integers(0, VOCABULARY, (6, 14)).tolist()
    expected = passes(model, plain_row_logits, sequences)
    with packed_weights(model):
        assert why_not_fused(model) == ""
        torch.testing.assert_close(
            passes(model, row_logits, sequences), expected, rtol=1e-3, atol=1e-4
        )
    with model.disable_adapter():
        without = passes(model, plain_row_logits, sequences)
    for name, weight in model.named_parameters():
        # As training leaves it: the halves of an adapter stay in float32.
        if "lora_" not in name:
            weight.data = weight.data.bfloat16()
    with packed_weights(model) as packed:
        if packed:
            found = passes(model, row_logits, sequences)
            moved = (found - expected).square().mean()
            assert float(moved) < 0.1 * float((without - expected).square().mean())


def hooked(model: Any) -> None:
    model.model.layers[1].mlp.register_forward_hook(lambda *args: None)


def replaced(model: Any) -> None:
    model.model.layers[1].self_attn.forward = model.model.layers[1].self_attn.forward


def of_two_types(model: Any) -> None:
    model.model.embed_tokens.to(torch.bfloat16)


@pytest.mark.parametrize(
    ("family", "more", "change", "why"),
    [
        ("gemma", {}, None, "its family is gemma"),
        ("llama", {"hidden_act": "gelu"}, None, "its gate is gelu"),
        ("llama", {"rope_parameters": {**YARN, "rope_type": "dynamic"}}, None, "angles"),
        ("llama", {}, hooked, "a LlamaMLP has a hook"),
        ("llama", {}, replaced, "a LlamaAttention has a hook"),
        ("llama", {}, of_two_types, "its weights are of several types"),
    ],
)
def test_what_is_not_known_goes_through_its_own_modules(
    family: str, more: dict[str, Any], change: Callable[[Any], None] | None, why: str
) -> None:
    model = build(family, **more)
    if change is not None:
        change(model)
    assert why_not_fused(model) == "its weights are not packed"
    with packed_weights(model):
        assert why in why_not_fused(model)
        assert fused_decoder(model) is None


def test_a_layer_that_is_not_packed_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "SMALLEST_SIDE", 20)
    model = build("llama")
    with packed_weights(model) as packed:
        # Keys and values of two heads of 8 numbers are smaller.
        assert packed == 2 * 5 + 1
        assert why_not_fused(model) == "not all of its products are packed"


@pytest.mark.parametrize("vocabulary", [320, 512 * 3, 256 * 3 + 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_first_of_the_likeliest_is_taken(vocabulary: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    # Few values, so that many are equal.
    logits = torch.randint(-3, 3, (50, vocabulary), generator=generator).to(dtype)
    expected = [row.index(max(row)) for row in logits.tolist()]
    assert likeliest(logits) == expected


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_an_adapter_that_changes_nothing_replies_as_its_base(dtype: torch.dtype) -> None:
    from harness.models.peft_library import peft

    model = build("llama").to(dtype)
    with packed_weights(model) as packed:
        if not packed:
            pytest.skip("this processor has no packed layout for these numbers")
        expected = replies(model, PROMPTS, len(OPENING), 3)
    # The half that gives the output begins with zeros.
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules="all-linear")).eval()
    with packed_weights(adapted):
        assert why_not_fused(adapted) == ""
        assert replies(adapted, PROMPTS, len(OPENING), 3) == expected
