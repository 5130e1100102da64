"""From tokenised examples to what a model is called with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.models.adapter_pass import lean_adapters
from harness.models.token_tree import in_trees, token_tree
from harness.models.tree_attention import attending_to_branches, note_branches, takes_branches
from harness.models.tree_pass import nodes_and_places, takes_trees, to_device, tree_inputs
from harness.prompting import TokenisedExample
from harness.records import ModelWork
from harness.training.peers import Peers

# Examples are sorted by length only within chunks of this many batches: enough to save most
# padding, little enough that each epoch's batches differ.
CHUNK_BATCHES = 16


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples laid out for one pass."""

    inputs: dict[str, Any]
    """What the model is called with, rows of one width."""
    kept: torch.Tensor
    """Positions of a row whose logits are needed."""
    places: torch.Tensor
    """The row of those logits that predicts each answer token, rows of the batch one after the
    other, shape (answer tokens,)."""
    labels: torch.Tensor
    """Token ids of the answers, shape (answer tokens,)."""
    tokens: int
    """Number of tokens of the examples, without padding."""

    @property
    def label_tokens(self) -> int:
        """Tokens that are predicted."""
        return len(self.labels)

    def to(self, device: str | torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(
            to_device(self.inputs, device),
            self.kept.to(device),
            self.places.to(device),
            self.labels.to(device),
            self.tokens,
        )


class Layout:
    """How examples become batches for ``model``: as trees where it takes them, else padded.

    Args:
        pad: the token that fills padded rows.
        peers: the processes that train together.
        trees: whether the model takes trees; it is asked if this is None.

    Attributes:
        work: one pass of each of the batches so far; whoever looks may begin anew.
    """

    def __init__(self, model: Any, pad: int, peers: Peers, trees: bool | None = None) -> None:
        self._model, self._pad, self.peers = model, pad, peers
        self._trees = takes_trees(model) if trees is None else trees
        # Where each process has a part of the weights a model cannot be asked any more.
        self._branches = self._trees and not peers.in_step and takes_branches(model)
        self.work = ModelWork()

    def batches(self, examples: Sequence[TokenisedExample], size: int) -> Iterator[Batch]:
        """This process's share of the examples, at most ``size`` at once.

        Where processes must go in step, each makes as many passes as the one with most to do; a
        process whose share is through goes on with batches without labels, whose loss is 0.
        """
        mine = self.peers.share(examples)
        starts = range(0, len(mine), size)
        for start in starts:
            part = mine[start : start + size]
            if self._trees and not self.peers.in_step:
                tokens = [example.tokens for example in part]
                for group in in_trees(tokens, branches=self._branches):
                    yield self.batch([part[index] for index in group])
            else:
                yield self.batch(part)
        for _ in range(self.peers.rounds(len(examples), size) - len(starts)):
            batch = self.batch(examples[:1])
            yield replace(batch, places=batch.places[:0], labels=batch.labels[:0], tokens=0)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Context of passes of the batches, forward and backward, in which less is computed.

        Where processes have parts of the weights, and where a model cannot, all goes as usual.
        """
        with ExitStack() as stack:
            if self._branches:
                stack.enter_context(attending_to_branches(self._model))
            if not self.peers.in_step:
                stack.enter_context(lean_adapters(self._model))
            yield

    def batch(self, examples: Sequence[TokenisedExample]) -> Batch:
        """All of the examples, for one pass."""
        if self._trees:
            batch = as_tree(self._model, examples, branches=self._branches)
        else:
            batch = padded(examples, self._pad)
        rows, width = batch.inputs["input_ids"].shape
        self.work += ModelWork(passes=1, read=rows * width, predicted=rows * len(batch.kept))
        return batch


def as_tree(model: Any, examples: Sequence[TokenisedExample], *, branches: bool = False) -> Batch:
    """One row in which what the examples share stands once, and nothing is padded.

    Args:
        branches: each example is to be attended to apart (:meth:`Layout.passing`).
    """
    tree = token_tree([example.tokens for example in examples])
    predicting = [
        path[_predicting(example)] for path, example in zip(tree.paths, examples, strict=True)
    ]
    kept, places = nodes_and_places(predicting)
    inputs = tree_inputs(model, tree)
    if branches:
        note_branches(model, inputs, tree)
    return Batch(
        inputs,
        torch.from_numpy(kept),
        torch.from_numpy(places),
        _labels(examples),
        sum(example.length for example in examples),
    )


def padded(examples: Sequence[TokenisedExample], pad: int) -> Batch:
    """A row for each example, padded on the right: no token of an example sees what follows it.

    So no mask is needed, and a layer that carries a state along the row has met no padding.
    """
    width = max(example.length for example in examples)
    ids = torch.full((len(examples), width), pad, dtype=torch.long)
    for index, example in enumerate(examples):
        ids[index, : example.length] = torch.tensor(example.tokens)
    predicting = [_predicting(example) for example in examples]
    kept, places = nodes_and_places(predicting)
    rows = np.repeat(np.arange(len(examples)), [example.learnt_tokens for example in examples])
    return Batch(
        {"input_ids": ids},
        torch.from_numpy(kept),
        torch.from_numpy(places + rows * len(kept)),
        _labels(examples),
        sum(example.length for example in examples),
    )


def _labels(examples: Sequence[TokenisedExample]) -> torch.Tensor:
    return torch.tensor([e.tokens[place] for e in examples for place in e.learnt])


def _predicting(example: TokenisedExample) -> NDArray[np.int64]:
    """Places of the tokens that predict what is learnt: each the one before it."""
    return np.asarray(example.learnt, dtype=np.int64) - 1


def epoch_batches(
    lengths: Sequence[int], batch_size: int, rng: np.random.Generator
) -> list[list[int]]:
    """Indices of every example once, in shuffled batches of like length."""
    order = rng.permutation(len(lengths))
    batches: list[list[int]] = []
    span = batch_size * CHUNK_BATCHES
    for start in range(0, len(order), span):
        chunk = sorted(order[start : start + span].tolist(), key=lambda i: lengths[i])
        batches.extend(chunk[i : i + batch_size] for i in range(0, len(chunk), batch_size))
    return [batches[i] for i in rng.permutation(len(batches)).tolist()]
