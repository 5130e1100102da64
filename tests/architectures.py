"""Tiny random models of many families, each with the tokenizer of :mod:`tiny_model`.

They stand for what a layer can be: state-space, convolution, linear attention, a mixture of these
with attention, windows, chunks, positions by distance, experts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.tiny_model import MAX_LENGTH

SIZE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": MAX_LENGTH,
}
STATE_SPACE: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}
EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2, "num_local_experts": 4}
GATED: dict[str, Any] = {
    "num_hidden_layers": 4,
    "head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
FIRST: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": MAX_LENGTH}
WINDOW = 12

# Name -> type of configuration in transformers, and what it is given beside the vocabulary.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "state-space": ("mamba", STATE_SPACE),
    "state-space-2": (
        "mamba2",
        {**STATE_SPACE, "num_heads": 8, "head_dim": 8, "n_groups": 2, "chunk_size": 16},
    ),
    "state-space-and-attention": (
        "jamba",
        {
            **SIZE,
            "num_hidden_layers": 4,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "num_experts": 2,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "mamba_d_state": 8,
        },
    ),
    "both-in-a-layer": (
        "falcon_h1",
        {
            **SIZE,
            "head_dim": 8,
            "mamba_d_ssm": 64,
            "mamba_n_heads": 8,
            "mamba_d_head": 8,
            "mamba_d_state": 8,
            "mamba_chunk_size": 16,
        },
    ),
    "convolution": ("lfm2", {**SIZE, "full_attn_idxs": [1]}),
    "gated-delta": ("qwen3_5_text", {**SIZE, **GATED}),
    "recurrent": ("rwkv", {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64}),
    "linear-attention": (
        "minimax",
        {
            **SIZE,
            **EXPERTS,
            "head_dim": 8,
            "block_size": 8,
            "layer_types": ["linear_attention", "full_attention"],
        },
    ),
    "windows": (
        "gemma3_text",
        {
            **SIZE,
            "head_dim": 8,
            "query_pre_attn_scalar": 8,
            "sliding_window": WINDOW,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "chunks": (
        "llama4_text",
        {
            **SIZE,
            "num_hidden_layers": 4,
            "head_dim": 8,
            "num_local_experts": 2,
            "intermediate_size_mlp": 64,
            "attention_chunk_size": WINDOW,
        },
    ),
    "distances": ("mpt", {"d_model": 32, "n_heads": 4, "n_layers": 2, "expansion_ratio": 2}),
    "local-layers": (
        "gpt_neo",
        {
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "intermediate_size": 64,
            "max_position_embeddings": MAX_LENGTH,
            "attention_types": [[["global", "local"], 1]],
            "window_size": WINDOW,
        },
    ),
    "no-cache": (
        "openai-gpt",
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": MAX_LENGTH},
    ),
    "convolution-1d-weights": (
        "gpt2",
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": MAX_LENGTH},
    ),
    "experts": ("mixtral", {**SIZE, **EXPERTS}),
    "other-experts": ("gpt_oss", {**SIZE, **EXPERTS, "head_dim": 8, "sliding_window": WINDOW}),
}


def write_architecture(folder: Path, name: str, like: Path, **changes: Any) -> Path:
    """Save a model of that name in ``folder``, with the tokenizer of the model in ``like``."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(like)
    kind, values = ARCHITECTURES[name]
    marks = {f"{mark}_token_id": getattr(tokenizer, f"{mark}_token_id") for mark in ("pad", "eos")}
    sizes = {"vocab_size": len(tokenizer), "bos_token_id": None, **values, **changes}
    config = CONFIG_MAPPING[kind](**marks, **sizes)
    # Larger than usual: untrained logits then differ clearly, and what came before matters.
    config.initializer_range = 0.2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
