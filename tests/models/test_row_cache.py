"""Attention over rows in a cache is attention over each row alone."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.models import row_attention
from harness.models.prompt_prefix import PromptPrefix
from harness.models.row_cache import RowCache

KEY_HEADS, GROUP, SIZE, SLOTS = 2, 3, 4, 4
HEADS = KEY_HEADS * GROUP
SCALE = 0.7

# What a pass brings: for each block, the number of new tokens of some of the slots; 0 for the rest.
BLOCK = st.lists(st.integers(0, 20), min_size=SLOTS, max_size=SLOTS)
PASSES = st.lists(BLOCK, min_size=1, max_size=5)


def alone(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, last: int) -> torch.Tensor:
    """Attention of one row's newest ``last`` tokens, shape (last, heads, size), by definition."""
    found = []
    keys, values = (part.repeat_interleave(GROUP, dim=1) for part in (keys, values))
    for back in range(last, 0, -1):
        seen = len(keys) - back + 1
        scores = torch.einsum("hs,khs->hk", query[last - back], keys[:seen]) * SCALE
        found.append(torch.einsum("hk,khs->hs", scores.softmax(1), values[:seen]))
    return torch.stack(found)


def drawn(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("chunk", "short"), [(3, 1), (128, 64), (5, 64), (128, 9)])
@pytest.mark.parametrize("ask", [row_attention._by_products, row_attention._by_kernel])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(passes=PASSES, shared=st.sampled_from([0, 1, 9]), splits=st.booleans())
def test_each_row_sees_what_all_begin_with_and_itself(
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[..., torch.Tensor],
    chunk: int,
    short: int,
    passes: list[list[int]],
    shared: int,
    splits: bool,
) -> None:
    # The kernel stands in for products, so that both are held against the same in float32.
    monkeypatch.setattr(row_attention, "_by_products", ask)
    monkeypatch.setattr(row_attention, "CHUNK", chunk)
    monkeypatch.setattr(row_attention, "SHORT", short)
    generator = torch.Generator().manual_seed(0)
    shape = (1, KEY_HEADS, shared, SIZE)
    beginning = drawn(generator, *shape), drawn(generator, *shape)
    prefix = PromptPrefix(tuple(range(shared)), (beginning,) if shared else ())
    cache = RowCache(prefix, SLOTS)
    rows = [[part[0].transpose(0, 1) for part in beginning] for _ in range(SLOTS)]
    for counts in passes:
        used = [slot for slot in range(SLOTS) if counts[slot]]
        if not used:
            continue
        parts = [used[:1], used[1:]] if splits and len(used) > 1 else [used]
        blocks = [
            (np.array(part), np.array([counts[slot] for slot in part], dtype=np.int64))
            for part in parts
        ]
        lengths = cache.lengths.copy()
        positions = cache.begin_pass(blocks)
        new = sum(counts)
        assert positions.tolist() == [
            [shared + int(lengths[slot]) + step for slot in used for step in range(counts[slot])]
        ]
        query = drawn(generator, 1, HEADS, new, SIZE)
        keys, values = (drawn(generator, 1, KEY_HEADS, new, SIZE) for _ in range(2))
        cache.update(keys, values, 0)
        found = attend(cache, query, keys, values)
        assert found.shape == (1, new, HEADS, SIZE)
        first = 0
        for slot in used:
            place = slice(first, first + counts[slot])
            rows[slot] = [
                torch.cat([old, added[0, :, place].transpose(0, 1)])
                for old, added in zip(rows[slot], (keys, values), strict=True)
            ]
            own = query[0, :, place].transpose(0, 1)
            expected = alone(own, rows[slot][0], rows[slot][1], counts[slot])
            torch.testing.assert_close(found[0, place], expected)
            first = place.stop


def attend(
    cache: RowCache, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, **more: Any
) -> torch.Tensor:
    module = SimpleNamespace(layer_idx=0)
    token = row_attention._CACHE.set(cache)
    try:
        return row_attention._attend(module, query, keys, values, None, SCALE, **more)[0]
    finally:
        row_attention._CACHE.reset(token)


def test_a_row_that_moves_stays_what_it_is() -> None:
    generator = torch.Generator().manual_seed(0)
    cache = RowCache(PromptPrefix(), 2)
    cache.begin_pass([(np.array([0, 1]), np.array([2, 3]))])
    old = [drawn(generator, 1, KEY_HEADS, 5, SIZE) for _ in range(2)]
    cache.update(old[0], old[1], 0)
    cache.move(1, 0)
    assert cache.lengths.tolist() == [3, 0]
    assert cache.begin_pass([(np.array([0]), np.array([1]))]).tolist() == [[3]]
    keys, values, query = (drawn(generator, 1, n, 1, SIZE) for n in (KEY_HEADS, KEY_HEADS, HEADS))
    cache.update(keys, values, 0)
    row = [
        torch.cat([before[0, :, 2:], new[0]], 1).transpose(0, 1)
        for before, new in zip(old, (keys, values), strict=True)
    ]
    expected = alone(query[0].transpose(0, 1), row[0], row[1], 1)
    torch.testing.assert_close(attend(cache, query, keys, values)[0], expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("offset", [0.0, 60.0])
def test_scores_are_not_rounded_to_16_bits(dtype: torch.dtype, offset: float) -> None:
    """Where all scores are large, what tells keys apart is a small part of them."""
    generator = torch.Generator().manual_seed(0)
    shared = [drawn(generator, 1, KEY_HEADS, 7, SIZE).to(dtype) for _ in range(2)]
    shared[0] += offset
    cache = RowCache(PromptPrefix(tuple(range(7)), ((shared[0], shared[1]),)), 1)
    row = [part[0].transpose(0, 1).double() for part in shared]
    for new in (5, 1, 1):
        cache.begin_pass([(np.array([0]), np.array([new]))])
        query = drawn(generator, 1, HEADS, new, SIZE).to(dtype) + dtype.itemsize
        keys, values = (drawn(generator, 1, KEY_HEADS, new, SIZE).to(dtype) for _ in range(2))
        keys += offset
        cache.update(keys, values, 0)
        row = [
            torch.cat([old, part[0].transpose(0, 1).double()])
            for old, part in zip(row, (keys, values), strict=True)
        ]
        expected = alone(query[0].transpose(0, 1).double(), row[0], row[1], new)
        found = attend(cache, query, keys, values)[0].double()
        assert float((found - expected).abs().max()) < 0.03


def test_a_slot_that_is_free_hands_nothing_on() -> None:
    cache = RowCache(PromptPrefix(), 1)
    nothing = torch.full((1, KEY_HEADS, 3, SIZE), torch.nan)
    cache.begin_pass([(np.array([0]), np.array([3]))])
    cache.update(nothing, nothing, 0)
    cache.free(0)
    for new in (1, 1):
        cache.begin_pass([(np.array([0]), np.array([new]))])
        query, keys, values = (torch.ones(1, n, new, SIZE) for n in (HEADS, KEY_HEADS, KEY_HEADS))
        cache.update(keys, values, 0)
        assert torch.equal(attend(cache, query, keys, values), torch.ones(1, new, HEADS, SIZE))


@pytest.mark.parametrize("more", [{"softcap": 50.0}, {"s_aux": torch.zeros(HEADS)}])
def test_what_it_does_not_do_is_refused(more: dict[str, Any]) -> None:
    cache = RowCache(PromptPrefix(), 1)
    cache.begin_pass([(np.array([0]), np.array([1]))])
    query, keys, values = (torch.zeros(1, n, 1, SIZE) for n in (HEADS, KEY_HEADS, KEY_HEADS))
    cache.update(keys, values, 0)
    with pytest.raises(ValueError, match=next(iter(more))):
        attend(cache, query, keys, values, **more)
    attend(cache, query, keys, values, softcap=None, sliding_window=12)


@pytest.mark.parametrize("shared", [0, 9])
def test_processors_with_tiles_attend_to_whole_prompts_alike(
    monkeypatch: pytest.MonkeyPatch, shared: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    heads = (HEADS, KEY_HEADS, KEY_HEADS)
    rows = [drawn(generator, 2, 300, count, SIZE).bfloat16() for count in heads]
    shape = (1, KEY_HEADS, shared, SIZE)
    keys, values = drawn(generator, *shape).float(), drawn(generator, *shape).bfloat16()
    beginning = (keys, values) if shared else None
    found = []
    for tiles in (False, True):
        monkeypatch.setattr(row_attention, "TILES", tiles)
        found.append(row_attention._reading(rows, beginning, SCALE))
    assert [one.dtype for one in found] == [torch.bfloat16] * 2
    torch.testing.assert_close(*found, atol=0.02, rtol=0.02)
