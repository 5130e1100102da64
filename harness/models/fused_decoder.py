"""A pass of a common decoder in few operations, for replies that grow token by token.

Through the modules of transformers a token of a small model passes some forty operations and
hundreds of Python calls a layer, which take longer than the products. Here a layer is one product
for queries, keys and values, attention over rows (:mod:`harness.models.row_attention`), and four
more products. Angles of positions are computed once, in float32, and the last layer goes on only
with the tokens that are asked for.

It stands for Llama and those that are built alike, while their weights are packed
(:mod:`harness.models.packed_weights`), and is told by what the model is made of:
:func:`why_not_fused` says what stands against it. Any other model goes through its own modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import silu

from harness.models.packed_layer import Copies, PackedLayer, joined
from harness.models.packed_weights import packed_model
from harness.models.row_attention import attention_over_rows, plain_row_logits
from harness.models.row_cache import Block, RowCache
from harness.models.tree_pass import base_of

# Families whose layers are computed as here; each also has to be made of the parts below.
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
FEED_FORWARD = ("gate_proj", "up_proj", "down_proj")
HEAD_NORMS = ("q_norm", "k_norm")
# Angles that depend on how long a text is.
BY_LENGTH = ("dynamic", "longrope")
# Positions whose angles are computed at once.
POSITIONS = 512


def row_logits(
    model: Any, cache: RowCache, blocks: list[Block], tokens: list[int], kept: list[int]
) -> torch.Tensor:
    """Send new tokens of rows through the model, in few operations where it is of that kind.

    Args:
        tokens: those of the first block's first row, of its second row, and so on.
        kept: places in ``tokens`` after which logits are wanted.

    Returns:
        Logits, shape (kept, vocabulary).
    """
    decoder = fused_decoder(model)
    if decoder is None:
        return plain_row_logits(model, cache, blocks, tokens, kept)
    return decoder.logits(cache, cache.begin_pass(blocks)[0], tokens, kept)


def fused_decoder(model: Any) -> FusedDecoder | None:
    """The model as a decoder of few operations; None where it is not of that kind.

    What it is made of is looked at once while its weights are packed.
    """
    packed = packed_model(model)
    if packed is None:
        return None
    if packed.decoder is None:
        fits = not why_not_fused(model)
        packed.decoder = FusedDecoder(model, packed.layers, packed.copies) if fits else False
    return packed.decoder or None


def why_not_fused(model: Any) -> str:
    """What stands against computing the model as a :class:`FusedDecoder`; empty if nothing."""
    packed = packed_model(model)
    if packed is None:
        return "its weights are not packed"
    core = base_of(model)
    family = core.config.model_type
    if family not in FAMILIES:
        return f"its family is {family}"
    if type(core).__module__ != f"transformers.models.{family}.modeling_{family}":
        return "it is not computed by transformers' own code"
    return next(_against(core, packed.layers), "")


def _against(core: Any, packed: Mapping[int, PackedLayer]) -> Iterator[str]:
    """What stands against a model of a known family."""
    if core.config.hidden_act != "silu":
        yield f"its gate is {core.config.hidden_act}"
    if core.model.rotary_emb.rope_type in BY_LENGTH:
        yield "the angles of its positions depend on how long a text is"
    embedding, head = core.model.embed_tokens, core.lm_head
    if type(embedding) is not torch.nn.Embedding:
        yield "its embedding is not a plain one"
    linear = [head]
    for layer in core.model.layers:
        linear += [getattr(layer.self_attn, name) for name in ATTENTION]
        linear += [getattr(layer.mlp, name) for name in FEED_FORWARD]
    if any(id(one) not in packed for one in linear):
        yield "not all of its products are packed"
    if {one.kind for one in packed.values()} != {embedding.weight.dtype}:
        yield "its weights are of several types"
    inside = {id(part) for one in linear for part in one.modules()}
    for module in core.modules():
        # The head's own hook lays its input out in memory, as it lies here.
        before = module._forward_pre_hooks and module is not head
        own = "forward" in vars(module) and id(module) not in inside
        if own or before or module._forward_hooks:
            yield f"a {type(module).__name__} has a hook"


@dataclass(frozen=True, slots=True)
class _Norm:
    """Root mean square normalisation, in float32."""

    weight: torch.Tensor
    """Shape (size,), float32."""
    eps: torch.Tensor
    """Shape (1,), float32."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The normalised input, in float32."""
        # A number that is lost to nobody may be multiplied in place.
        exact = x.float() if x.dtype != torch.float32 else x.clone()
        length = torch.linalg.vector_norm(exact, 2, -1, keepdim=True)
        mean = torch.addcmul(self.eps, length, length, value=1 / x.shape[-1])
        return exact.mul_(mean.rsqrt_()).mul_(self.weight)


@dataclass(frozen=True, slots=True)
class _Layer:
    before_attention: _Norm
    into_attention: PackedLayer
    head_norm: _Norm | None
    out_of_attention: PackedLayer
    before_feed_forward: _Norm
    gate: PackedLayer
    up: PackedLayer
    down: PackedLayer


class FusedDecoder:
    """A decoder of which :func:`why_not_fused` says nothing.

    Args:
        packed: its packed layers by the ``id`` of their module.
        copies: packed copies of earlier uses, and for later ones.
    """

    def __init__(self, model: Any, packed: Mapping[int, PackedLayer], copies: Copies) -> None:
        core = base_of(model)
        self._embedding: torch.Tensor = core.model.embed_tokens.weight.data
        self._rotary = core.model.rotary_emb
        self._angles = torch.empty(0)
        first = core.model.layers[0].self_attn
        self._size: int = first.head_dim
        self._scale: float = first.scaling
        self._heads: int = first.q_proj.out_features // self._size
        self._key_heads: int = first.k_proj.out_features // self._size
        self._norm = _norm(core.model.norm)
        self._head = packed[id(core.lm_head)]
        self._layers = [
            _Layer(
                _norm(layer.input_layernorm),
                joined(
                    [packed[id(getattr(layer.self_attn, name))] for name in ATTENTION[:3]], copies
                ),
                self._head_norm(layer.self_attn),
                packed[id(layer.self_attn.o_proj)],
                _norm(layer.post_attention_layernorm),
                *(packed[id(getattr(layer.mlp, name))] for name in FEED_FORWARD),
            )
            for layer in core.model.layers
        ]

    def logits(
        self, cache: RowCache, positions: torch.Tensor, tokens: list[int], kept: list[int]
    ) -> torch.Tensor:
        """As :func:`row_logits`, in a pass that the cache has begun.

        Args:
            positions: of the tokens, shape (tokens,).
        """
        hidden = torch.nn.functional.embedding(torch.tensor(tokens), self._embedding)
        cosine, sine = self._angles_of(positions)
        last = len(self._layers) - 1
        for number, layer in enumerate(self._layers):
            states = layer.into_attention(layer.before_attention(hidden).to(hidden.dtype))
            states = states.view(len(tokens), -1, self._size)
            turned, value = states.split([self._heads + self._key_heads, self._key_heads], 1)
            turned = turned.float() if layer.head_norm is None else layer.head_norm(turned)
            halves = turned.roll(self._size // 2, -1)
            turned = turned.mul_(cosine).addcmul_(halves, sine)
            query, key = turned.split([self._heads, self._key_heads], 1)
            cache.write(number, key, value)
            attended = attention_over_rows(cache, number, query, key, value, self._scale)
            attended = attended.flatten(1).to(hidden.dtype)
            if number == last and kept != list(range(len(tokens))):
                attended, hidden = attended[kept], hidden[kept]
            hidden = layer.out_of_attention(attended).add_(hidden)
            normed = layer.before_feed_forward(hidden).to(hidden.dtype)
            gated = silu(layer.gate(normed), inplace=True).mul_(layer.up(normed))
            hidden = layer.down(gated).add_(hidden)
        return self._head(self._norm(hidden).to(hidden.dtype))

    def _head_norm(self, attention: Any) -> _Norm | None:
        """The normalisation of each head of queries and keys, if there is one."""
        if not hasattr(attention, HEAD_NORMS[0]):
            return None
        query, key = (_norm(getattr(attention, name)) for name in HEAD_NORMS)
        weights = (query.weight.expand(self._heads, -1), key.weight.expand(self._key_heads, -1))
        return _Norm(torch.cat(weights), query.eps)

    def _angles_of(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosine, and sine as it multiplies the halves of a head that have changed places."""
        needed = int(positions.max()) + 1
        if len(self._angles) < needed:
            count = -(-needed // POSITIONS) * POSITIONS
            exact = torch.empty(0, dtype=torch.float32)
            cosine, sine = self._rotary(exact, torch.arange(count)[None])
            sine = sine[0].clone()
            sine[:, : self._size // 2].neg_()
            self._angles = torch.stack((cosine[0], sine), 1)[:, :, None]
        both = self._angles[positions]
        return both[:, 0], both[:, 1]


def _norm(module: Any) -> _Norm:
    return _Norm(
        module.weight.data.float(), torch.full((1,), module.variance_epsilon, dtype=torch.float32)
    )
