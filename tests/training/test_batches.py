"""Batches hold what they should where they should."""

from __future__ import annotations

import numpy as np
import pytest

from harness.prompting import TokenisedExample
from harness.training.batches import CHUNK_BATCHES, collate, epoch_batches


def test_collate_pads_on_the_left_and_aligns_labels_on_the_right() -> None:
    batch = collate(
        [
            TokenisedExample("a", (11, 12, 13), (21, 22)),
            TokenisedExample("b", (14,), (23,)),
            TokenisedExample("c", (15,), (24, 25, 26)),
        ],
        pad=9,
    )
    assert batch.input_ids.tolist() == [
        [11, 12, 13, 21, 22],
        [9, 9, 9, 14, 23],
        [9, 15, 24, 25, 26],
    ]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1], [0, 0, 0, 1, 1], [0, 1, 1, 1, 1]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 4], [0, 0, 0, 0, 1], [0, 0, 1, 2, 3]]
    assert batch.labels.tolist() == [[-100, 21, 22], [-100, -100, 23], [24, 25, 26]]
    assert (batch.tokens, batch.label_tokens) == (11, 6)


@pytest.mark.parametrize(("count", "size"), [(1, 8), (7, 8), (8, 8), (333, 8), (50, 1), (0, 4)])
def test_an_epoch_takes_every_example_once(count: int, size: int) -> None:
    rng = np.random.default_rng(count)
    lengths = rng.integers(1, 90, count).tolist()
    batches = epoch_batches(lengths, size, rng)
    assert sorted(i for batch in batches for i in batch) == list(range(count))
    assert len(batches) == -(-count // size)
    assert sum(len(batch) != size for batch in batches) <= 1


def test_batches_are_of_like_length_shuffled_and_set_by_the_generator() -> None:
    lengths = np.random.default_rng(0).integers(1, 500, 8 * CHUNK_BATCHES).tolist()

    def batches(seed: int) -> list[list[int]]:
        return epoch_batches(lengths, 8, np.random.default_rng(seed))

    assert batches(1) == batches(1) != batches(2)
    spans = [max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in batches(1)]
    assert max(spans) < 150
    firsts = [lengths[batch[0]] for batch in batches(1)]
    assert firsts not in (sorted(firsts), sorted(firsts, reverse=True))


def test_batches_of_two_epochs_differ() -> None:
    rng = np.random.default_rng(0)
    lengths = [10] * 64
    first, second = ({frozenset(b) for b in epoch_batches(lengths, 8, rng)} for _ in range(2))
    assert first != second
