"""Batches hold what they should where they should."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import pytest

from harness.prompting import TokenisedExample
from harness.training.batches import CHUNK_BATCHES, collate, epoch_batches, own_batches
from harness.training.peers import Alone

T = TypeVar("T")


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


class Second(Alone):
    """The second of two processes that go in step."""

    in_step = True

    def share(self, whole: Sequence[T]) -> Sequence[T]:
        return whole[1::2]

    def rounds(self, length: int, size: int) -> int:
        return -(-length // (2 * size))


def test_processes_in_step_make_equally_many_passes() -> None:
    rows = [TokenisedExample(str(n), (*range(1, 12), n), (n, 2)) for n in range(20, 25)]
    alone = list(own_batches(rows, 2, 9, Alone()))
    assert [batch.label_tokens for batch in alone] == [4, 4, 2]
    assert [batch.prefix.shape[1] for batch in alone] == [11, 11, 0]
    # The first process has three rows, hence two passes; this one has two rows.
    mine, idle = own_batches(rows, 2, 9, Second())
    assert mine.labels.tolist() == [[21, 2], [23, 2]]
    assert mine.prefix.shape[1] == 0
    assert (idle.tokens, idle.label_tokens) == (0, 0)
    assert idle.labels.tolist() == [[-100, -100]]


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
