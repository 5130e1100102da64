"""Which settings of a search mattered: fANOVA (Hutter, Hoos and Leyton-Brown, 2014).

A forest of regression trees is fitted to the trials. A tree predicts a score everywhere in the
space; a setting's share is how much of that variance is left when the prediction for each of its
values is averaged over all other settings. Shares are means over the trees. Ranges count evenly,
logarithmic ones on their scale; so do the values of whole numbers and of choices.

All trees grow at once, level by level, as matrices: one by one, in libraries made for large
forests, the forests of a report of long searches took longer than its statistics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.analysis.statistics.pairing import Codes, Floats
from harness.spec import Choice, FloatRange, IntRange, Space

EVALUATOR = "fANOVA"
SEED = 0
TREES = 64
# Deeper ones tell one trial from the next, and give the same shares.
DEPTH = 8
# Gains are compared to so many digits: rounding must not choose between settings that split alike.
DIGITS = 9

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Columns:
    """The trials' settings as numbers: a range is a column, a choice one of 0 and 1 a value."""

    values: Floats
    """Shape (trials, columns)."""
    low: Floats
    """The least value of each column, shape (columns,)."""
    high: Floats
    """The greatest value of each column, shape (columns,)."""
    of_setting: Mapping[str, slice]
    """Setting -> its columns."""
    choices: frozenset[str]
    """Settings that are choices."""


@dataclass(frozen=True, slots=True)
class _Leaves:
    """The leaves of all trees: boxes of the space, and what is predicted there."""

    tree: Codes
    """Number of the tree, shape (leaves,)."""
    value: Floats
    """What is predicted, shape (leaves,)."""
    low: Floats
    """Where each box begins, shape (leaves, columns)."""
    high: Floats
    """Where each box ends, shape (leaves, columns)."""


@dataclass(frozen=True, slots=True)
class _Nodes:
    """The nodes that grow further, with their rows: a row is a trial that a tree has drawn."""

    tree: Codes
    """Number of the tree, shape (nodes,)."""
    low: Floats
    """Where each box begins, shape (nodes, columns)."""
    high: Floats
    """Where each box ends, shape (nodes, columns)."""
    start: Codes
    """Place in ``order`` of each node's first row, shape (nodes,)."""
    size: Codes
    """Number of rows of each node, shape (nodes,)."""
    order: Codes
    """By column, the rows by node and, within it, by value, shape (columns, rows)."""

    @property
    def of_place(self) -> Codes:
        """The node at each place in ``order``, shape (rows,)."""
        return np.repeat(np.arange(len(self.size)), self.size)

    def with_rows(self, kept: Flags) -> _Nodes:
        """Some of the nodes, shape (nodes,), with their rows."""
        size = self.size[kept]
        return _Nodes(
            self.tree[kept],
            self.low[kept],
            self.high[kept],
            np.cumsum(size) - size,
            size,
            self.order[:, kept[self.of_place]],
        )


def importances(
    space: Mapping[str, Space],
    settings: Sequence[Mapping[str, Any]],
    targets: Sequence[float],
    trees: int = TREES,
) -> dict[str, float]:
    """Share of each setting in the variance of the targets; they add up to 1, the largest first.

    Empty where the targets do not differ, or differ by nothing that was searched.

    Args:
        space: setting -> the values that are searched.
        settings: the setting of each trial, shape (trials,).
        targets: what is explained, shape (trials,).
        trees: size of the forest.

    Raises:
        ValueError: a trial's setting lies outside the space.
    """
    if not space or len(set(targets)) < 2:
        return {}
    columns = _columns(space, settings)
    leaves = _grown(columns, np.asarray(targets, dtype=np.float64), trees)
    sizes = {name: _fraction(leaves, columns, name) for name in space}
    weights = np.prod(list(sizes.values()), axis=0)
    means = np.bincount(leaves.tree, weights * leaves.value, trees)
    variances = np.bincount(leaves.tree, weights * (leaves.value - means[leaves.tree]) ** 2, trees)
    varied = variances > 0
    if not varied.any():
        return {}
    shares = {}
    for name, size in sizes.items():
        parts, lengths = _marginal(leaves, columns, name, weights / size, trees)
        own = ((parts - means[:, None]) ** 2) @ lengths
        shares[name] = float(np.mean(own[varied] / variances[varied]))
    total = sum(shares.values())
    ranked = sorted(shares, key=lambda name: -shares[name])
    return {name: shares[name] / total if total > 0 else 1 / len(shares) for name in ranked}


def _columns(space: Mapping[str, Space], settings: Sequence[Mapping[str, Any]]) -> _Columns:
    values: list[Floats] = []
    bounds: list[tuple[float, float]] = []
    of_setting: dict[str, slice] = {}
    for name, searched in space.items():
        first = len(values)
        own = [setting[name] for setting in settings]
        if isinstance(searched, Choice):
            codes = np.array([place_of(value, searched) for value in own])
            values += [(codes == code).astype(np.float64) for code in range(len(searched.choices))]
            bounds += [(0.0, 1.0)] * len(searched.choices)
        else:
            if not all(searched.low <= value <= searched.high for value in own):
                raise ValueError(f"a trial's {name} lies outside {searched.low} to {searched.high}")
            values.append(np.log10(own) if searched.log else np.array(own, dtype=np.float64))
            bounds.append(_bounds(searched))
        of_setting[name] = slice(first, len(values))
    low, high = np.array(bounds).T
    choices = frozenset(name for name, searched in space.items() if isinstance(searched, Choice))
    return _Columns(np.stack(values, axis=1), low, high, of_setting, choices)


def place_of(value: object, choice: Choice[Any]) -> int:
    """Place of a value among the choices, whatever JSON has made of it.

    Raises:
        ValueError: it is none of them.
    """
    plain = [_plain(one) for one in choice.choices]
    return plain.index(_plain(value))


def _plain(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    # True is not 1, and 1 is 1.0.
    return isinstance(value, bool), value


def _bounds(searched: FloatRange | IntRange) -> tuple[float, float]:
    if searched.log:
        return math.log10(searched.low), math.log10(searched.high)
    # Each whole number has as much room as the next.
    half = 0.5 if isinstance(searched, IntRange) else 0.0
    return searched.low - half, searched.high + half


def _grown(columns: _Columns, targets: Floats, trees: int) -> _Leaves:
    """A forest, each tree of trials drawn with replacement."""
    generator = np.random.default_rng(SEED)
    count, width = columns.values.shape
    drawn = generator.integers(0, count, (trees, count))
    times = np.stack([np.bincount(draw, minlength=count) for draw in drawn])
    tree, trial = np.nonzero(times)
    weights = times[tree, trial].astype(np.float64)
    values, target = columns.values[trial].T, targets[trial] - targets.mean()
    size = np.bincount(tree, minlength=trees)
    nodes = _Nodes(
        np.arange(trees),
        np.tile(columns.low, (trees, 1)),
        np.tile(columns.high, (trees, 1)),
        np.cumsum(size) - size,
        size,
        np.stack([np.lexsort((column, tree)) for column in values]),
    )
    leaves: list[_Leaves] = []
    for depth in range(DEPTH + 1):
        place, column, splits = _best_splits(
            nodes, values, weights, target, generator.random((width, len(nodes.size)))
        )
        splits &= depth < DEPTH
        leaves.append(_leaves(nodes, weights, target, ~splits))
        if not splits.any():
            break
        kept = nodes.with_rows(splits)
        within = (place - nodes.start)[splits]
        nodes = _split(kept, values, within, column[splits])
    return _Leaves(
        np.concatenate([part.tree for part in leaves]),
        np.concatenate([part.value for part in leaves]) + targets.mean(),
        np.concatenate([part.low for part in leaves]),
        np.concatenate([part.high for part in leaves]),
    )


def _best_splits(
    nodes: _Nodes, values: Floats, weights: Floats, target: Floats, chance: Floats
) -> tuple[Codes, Codes, Flags]:
    """Where each node is best split: after which place, by which column, and whether at all.

    Of columns that split equally well ``chance``, shape (columns, nodes), chooses: a fixed order
    would give all that small nodes explain to the first settings.
    """
    of_place, order = nodes.of_place, nodes.order
    last = nodes.start + nodes.size - 1
    weight = np.cumsum(weights[order], axis=1)
    total = np.cumsum((weights * target)[order], axis=1)
    # Sums up to the node's begin; in the first column as in any, for the rows are the same.
    begun = np.zeros((2, len(nodes.size)))
    begun[:, 1:] = np.stack([weight[0], total[0]])[:, last[:-1]]
    whole = np.stack([weight[0], total[0]])[:, last] - begun
    left_weight, left = weight - begun[0, of_place], total - begun[1, of_place]
    right_weight, right = whole[0, of_place] - left_weight, whole[1, of_place] - left
    placed = np.take_along_axis(values, order, axis=1)
    ends = np.zeros(order.shape, dtype=bool)
    ends[:, :-1] = (of_place[:-1] == of_place[1:]) & (placed[:, :-1] < placed[:, 1:])
    squares = np.cumsum((weights * target**2)[order[0]])
    before = np.concatenate([[0.0], squares[last[:-1]]])
    spread = squares[last] - before - whole[1] ** 2 / whole[0]
    gain = np.full(order.shape, -1.0)
    np.divide(left**2, left_weight, out=gain, where=ends)
    gain += np.divide(right**2, right_weight, out=np.zeros_like(gain), where=ends)
    varied = spread > 1e-12 * float((weights * target**2).sum())
    known = np.where(varied, spread, 1.0)
    share = (gain - (whole[1] ** 2 / whole[0])[of_place]) / known[of_place]
    worth = np.round(share, DIGITS) + 10.0**-DIGITS / 2 * chance[:, of_place]
    worth[~ends] = -np.inf
    best_column = worth.argmax(axis=0)
    best = np.take_along_axis(worth, best_column[None], axis=0)[0]
    most = np.maximum.reduceat(best, nodes.start)
    at = np.flatnonzero(best == most[of_place])
    node, first = np.unique(of_place[at], return_index=True)
    place = np.empty(len(nodes.size), dtype=np.intp)
    place[node] = at[first]
    return place, best_column[place], np.isfinite(most) & varied


def _leaves(nodes: _Nodes, weights: Floats, target: Floats, ended: Flags) -> _Leaves:
    rows = nodes.order[0]
    weight = np.add.reduceat(weights[rows], nodes.start)
    total = np.add.reduceat((weights * target)[rows], nodes.start)
    mean = total[ended] / weight[ended]
    return _Leaves(nodes.tree[ended], mean, nodes.low[ended], nodes.high[ended])


def _split(nodes: _Nodes, values: Floats, within: Codes, column: Codes) -> _Nodes:
    """Each node in two, after the row ``within`` it by ``column``; rows keep their order."""
    number = np.arange(len(nodes.size))
    place = nodes.start + within
    below = values[column, nodes.order[column, place]]
    threshold = (below + values[column, nodes.order[column, place + 1]]) / 2
    of_place = nodes.of_place
    goes_left = values[column[of_place], nodes.order] <= threshold[of_place]
    lefts = np.cumsum(goes_left, axis=1)
    before = lefts - goes_left
    start = nodes.start[of_place]
    own = before - np.take_along_axis(before, np.broadcast_to(start, before.shape), axis=1)
    along = np.arange(len(of_place)) - start
    moved = start + np.where(goes_left, own, (within + 1)[of_place] + along - own)
    order = np.empty_like(nodes.order)
    np.put_along_axis(order, moved, nodes.order, axis=1)
    low, high = np.repeat(nodes.low, 2, axis=0), np.repeat(nodes.high, 2, axis=0)
    high[2 * number, column] = threshold
    low[2 * number + 1, column] = threshold
    size = np.stack([within + 1, nodes.size - within - 1], axis=1).ravel()
    return _Nodes(np.repeat(nodes.tree, 2), low, high, np.cumsum(size) - size, size, order)


def _allowed(leaves: _Leaves, own: slice) -> Floats:
    """1 where a leaf takes a choice, 0 where not, shape (leaves, choices)."""
    named = leaves.low[:, own] > 0
    left = leaves.high[:, own] == 1
    return np.where(named.any(axis=1, keepdims=True), named, left).astype(np.float64)


def _fraction(leaves: _Leaves, columns: _Columns, name: str) -> Floats:
    """How much of a setting's room each leaf has, shape (leaves,)."""
    own = columns.of_setting[name]
    if name in columns.choices:
        return np.asarray(_allowed(leaves, own).mean(axis=1), dtype=np.float64)
    room = columns.high[own] - columns.low[own]
    return np.asarray(((leaves.high[:, own] - leaves.low[:, own]) / room)[:, 0], dtype=np.float64)


def _marginal(
    leaves: _Leaves, columns: _Columns, name: str, weights: Floats, trees: int
) -> tuple[Floats, Floats]:
    """What each tree predicts by a setting's value, averaged over all other settings.

    Args:
        weights: room of each leaf in the other settings, shape (leaves,).

    Returns:
        The predictions, shape (trees, parts), and the room of each part, shape (parts,).
    """
    own, known = columns.of_setting[name], weights * leaves.value
    if name in columns.choices:
        allowed = _allowed(leaves, own).T
        parts = [np.bincount(leaves.tree, known * taken, trees) for taken in allowed]
        return np.stack(parts, axis=1), np.full(len(allowed), 1 / len(allowed))
    low, high = leaves.low[:, own.start], leaves.high[:, own.start]
    ends = np.unique(np.concatenate([low, high]))
    steps = np.zeros((trees, len(ends)))
    np.add.at(steps, (leaves.tree, np.searchsorted(ends, low)), known)
    np.subtract.at(steps, (leaves.tree, np.searchsorted(ends, high)), known)
    return np.cumsum(steps, axis=1)[:, :-1], np.diff(ends) / (ends[-1] - ends[0])


__all__ = ["EVALUATOR", "importances", "place_of"]
