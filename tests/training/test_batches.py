"""Batches hold what they should where they should."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import pytest

from harness.models.token_tree import WIDTH
from harness.prompting import TokenisedExample
from harness.training.batches import CHUNK_BATCHES, Layout, as_tree, epoch_batches, padded
from harness.training.losses import summed_loss
from harness.training.peers import SingleProcess
from tests.tiny_model import TinyModels, load_tiny

T = TypeVar("T")


EXAMPLES = [
    TokenisedExample("a", (11, 12, 13), (21, 22)),
    TokenisedExample("b", (14,), (23,)),
    TokenisedExample("c", (15,), (24, 25, 26)),
]


def test_padded_rows_begin_together() -> None:
    batch = padded(EXAMPLES, pad=9)
    assert {name: rows.tolist() for name, rows in batch.inputs.items()} == {
        "input_ids": [[11, 12, 13, 21, 22], [14, 23, 9, 9, 9], [15, 24, 25, 26, 9]]
    }
    assert batch.labels.tolist() == [21, 22, 23, 24, 25, 26]
    assert (batch.tokens, batch.label_tokens) == (11, 6)
    assert batch.kept.tolist() == [0, 1, 2, 3]
    predicting = batch.inputs["input_ids"][:, batch.kept].flatten()[batch.places]
    assert predicting.tolist() == [13, 21, 14, 15, 24, 25]


def test_a_tree_has_every_token_once(tiny_models: TinyModels) -> None:
    twin = TokenisedExample("d", (11, 12, 13), (21, 27))
    batch = as_tree(load_tiny(tiny_models.chat).model, [*EXAMPLES, twin])
    ids = batch.inputs["input_ids"]
    assert sorted(ids[0].tolist()) == [11, 12, 13, 14, 15, 21, 22, 23, 24, 25, 26, 27]
    assert batch.labels.tolist() == [21, 22, 23, 24, 25, 26, 21, 27]
    assert ids[0, batch.kept][batch.places].tolist() == [13, 21, 14, 15, 24, 25, 13, 21]
    assert len(batch.kept) == 5 + 1
    assert (batch.tokens, batch.label_tokens) == (16, 8)


class Second(SingleProcess):
    """The second of two processes that go in step."""

    in_step = True

    def share(self, whole: Sequence[T]) -> Sequence[T]:
        return whole[1::2]

    def rounds(self, length: int, size: int) -> int:
        return -(-length // (2 * size))


@pytest.mark.parametrize("trees", [True, False])
def test_processes_in_step_make_equally_many_passes(tiny_models: TinyModels, trees: bool) -> None:
    model = load_tiny(tiny_models.chat).model
    rows = [TokenisedExample(str(n), (*range(1, 12), n), (n, 2)) for n in range(20, 25)]
    alone = list(Layout(model, 9, SingleProcess(), trees).batches(rows, 2))
    assert [batch.label_tokens for batch in alone] == [4, 4, 2]
    assert [batch.tokens for batch in alone] == [28, 28, 14]
    widths = [batch.inputs["input_ids"].numel() for batch in alone]
    assert widths == ([11 + 6, 11 + 6, 14] if trees else [28, 28, 14])
    # The first process has three rows, hence two passes; this one has two rows.
    mine, idle = Layout(model, 9, Second(), trees).batches(rows, 2)
    assert mine.labels.tolist() == [21, 2, 23, 2]
    assert (idle.tokens, idle.label_tokens) == (0, 0)
    loss = summed_loss(model.requires_grad_(True), idle)
    loss.backward()
    assert loss.item() == 0.0
    assert all(float(p.grad.abs().max()) == 0.0 for p in model.parameters())


def test_a_tree_that_would_grow_too_wide_is_cut_but_where_processes_go_in_step(
    tiny_models: TinyModels,
) -> None:
    model = load_tiny(tiny_models.chat).model
    rng = np.random.default_rng(0)
    rows = [TokenisedExample(str(n), tuple(rng.integers(1, 9, 150)), (1, n)) for n in range(8)]
    cut = list(Layout(model, 9, SingleProcess(), trees=True).batches(rows, 8))
    assert len(cut) > 1
    assert all(batch.inputs["input_ids"].shape[1] <= WIDTH for batch in cut)
    assert sorted(label for batch in cut for label in batch.labels.tolist()) == sorted(
        token for row in rows for token in row.answer
    )
    whole, idle = Layout(model, 9, Second(), trees=True).batches([*rows, rows[0]], 4)
    assert whole.label_tokens == 8
    assert idle.label_tokens == 0


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
