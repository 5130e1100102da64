"""Which settings of a search mattered: fANOVA (Hutter, Hoos and Leyton-Brown, 2014).

A forest of regression trees is fitted to the trials. A tree predicts a score everywhere in the
space; a setting's share is how much of that variance is left when the prediction for each of its
values is averaged over all other settings. Shares are means over the trees. Ranges count evenly,
logarithmic ones on their scale; so do the values of whole numbers and of choices.

scikit-learn grows the forest. The leaves of all its trees are read at once: Optuna's evaluator
goes through them one by one, and took longer for long searches than a report's statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.analysis.statistics.pairing import Codes, Floats
from harness.spec import Choice, IntRange, Space

EVALUATOR = "fANOVA"
SEED = 0
TREES = 64
# Deeper ones tell one trial from the next, and give the same shares.
DEPTH = 8


@dataclass(frozen=True, slots=True)
class _Leaves:
    """The leaves of all trees: boxes of the space, and what is predicted there."""

    tree: Codes
    """Number of the tree, shape (leaves,)."""
    value: Floats
    """What is predicted, shape (leaves,)."""
    low: Floats
    """Where each box begins, 0 to 1, shape (leaves, columns)."""
    high: Floats
    """Where each box ends, 0 to 1, shape (leaves, columns)."""


def importances(
    space: Mapping[str, Space], settings: Sequence[Mapping[str, Any]], targets: Sequence[float]
) -> dict[str, float]:
    """Share of each setting in the variance of the targets; they add up to 1, the largest first.

    Empty where the targets do not differ, or differ by nothing that was searched.

    Args:
        space: setting -> the values that are searched.
        settings: the setting of each trial, shape (trials,).
        targets: what is explained, shape (trials,).

    Raises:
        ValueError: a trial's setting lies outside the space.
    """
    if not space or len(set(targets)) < 2:
        return {}
    columns = [_columns(name, space[name], [one[name] for one in settings]) for name in space]
    leaves = _grown(np.concatenate(columns, axis=1), targets)
    ends = np.cumsum([own.shape[1] for own in columns])
    of_setting = {
        name: slice(end - own.shape[1], end)
        for name, own, end in zip(space, columns, ends, strict=True)
    }
    sizes = {name: _fraction(leaves, own, space[name]) for name, own in of_setting.items()}
    weights = np.prod(list(sizes.values()), axis=0)
    means = np.bincount(leaves.tree, weights * leaves.value, TREES)
    variances = np.bincount(leaves.tree, weights * (leaves.value - means[leaves.tree]) ** 2, TREES)
    varied = variances > 0
    if not varied.any():
        return {}
    shares = {}
    for name, own in of_setting.items():
        parts, lengths = _marginal(leaves, own, space[name], weights / sizes[name])
        explained = ((parts - means[:, None]) ** 2) @ lengths
        shares[name] = float(np.mean(explained[varied] / variances[varied]))
    total = sum(shares.values())
    ranked = sorted(shares, key=lambda name: -shares[name])
    return {name: shares[name] / total if total > 0 else 1 / len(shares) for name in ranked}


def _columns(name: str, searched: Space, values: Sequence[Any]) -> Floats:
    """A setting's values from 0 to 1, shape (trials, 1); of a choice, 1 where each was taken."""
    if isinstance(searched, Choice):
        codes = [place_of(value, searched) for value in values]
        return np.eye(len(searched.choices))[codes]
    if not all(searched.low <= value <= searched.high for value in values):
        raise ValueError(f"a trial's {name} lies outside {searched.low} to {searched.high}")
    # Each whole number has as much room as the next.
    half = 0.5 if isinstance(searched, IntRange) and not searched.log else 0.0
    ends, own = np.array([searched.low - half, searched.high + half]), np.array(values)
    low, high = np.log10(ends) if searched.log else ends
    placed: Floats = ((np.log10(own) if searched.log else own) - low) / (high - low)
    return placed[:, None]


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


def _grown(values: Floats, targets: Sequence[float]) -> _Leaves:
    """A forest, each tree of trials drawn with replacement.

    Args:
        values: the trials' settings, shape (trials, columns).
        targets: what is explained, shape (trials,).
    """
    # It takes a second to load, and a study without long searches does without it.
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(TREES, max_depth=DEPTH, random_state=SEED, n_jobs=1)
    trees = [grown.tree_ for grown in forest.fit(values, targets).estimators_]
    sizes = [tree.node_count for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]])
    sides = [np.stack([tree.children_left, tree.children_right]) for tree in trees]
    children = np.concatenate(sides, axis=1)
    # A leaf's children are -1.
    inner = children[0] >= 0
    children += np.repeat(roots, sizes)
    column = np.concatenate([tree.feature for tree in trees])
    threshold = np.concatenate([tree.threshold for tree in trees])
    low = np.zeros((len(inner), values.shape[1]))
    high = np.ones_like(low)
    level = roots[inner[roots]]
    while len(level):
        left, right = children[:, level]
        low[left] = low[right] = low[level]
        high[left] = high[right] = high[level]
        high[left, column[level]] = low[right, column[level]] = threshold[level]
        below = children[:, level].ravel()
        level = below[inner[below]]
    number = np.repeat(np.arange(TREES), sizes)
    value = np.concatenate([tree.value[:, 0, 0] for tree in trees])
    return _Leaves(number[~inner], value[~inner], low[~inner], high[~inner])


def _allowed(leaves: _Leaves, own: slice) -> Floats:
    """1 where a leaf takes a choice, 0 where not, shape (leaves, choices)."""
    named = leaves.low[:, own] > 0
    left = leaves.high[:, own] == 1
    return np.where(named.any(axis=1, keepdims=True), named, left).astype(np.float64)


def _fraction(leaves: _Leaves, own: slice, searched: Space) -> Floats:
    """How much of a setting's room each leaf has, shape (leaves,)."""
    if isinstance(searched, Choice):
        return np.asarray(_allowed(leaves, own).mean(axis=1), dtype=np.float64)
    return leaves.high[:, own.start] - leaves.low[:, own.start]


def _marginal(
    leaves: _Leaves, own: slice, searched: Space, weights: Floats
) -> tuple[Floats, Floats]:
    """What each tree predicts by a setting's value, averaged over all other settings.

    Args:
        leaves: the leaves of all trees.
        own: the setting's columns.
        searched: the setting's values.
        weights: room of each leaf in the other settings, shape (leaves,).

    Returns:
        The predictions, shape (trees, parts), and the room of each part, shape (parts,).
    """
    known = weights * leaves.value
    if isinstance(searched, Choice):
        allowed = _allowed(leaves, own).T
        parts = [np.bincount(leaves.tree, known * taken, TREES) for taken in allowed]
        return np.stack(parts, axis=1), np.full(len(allowed), 1 / len(allowed))
    low, high = leaves.low[:, own.start], leaves.high[:, own.start]
    ends = np.unique(np.concatenate([low, high]))
    steps = np.zeros((TREES, len(ends)))
    np.add.at(steps, (leaves.tree, np.searchsorted(ends, low)), known)
    np.subtract.at(steps, (leaves.tree, np.searchsorted(ends, high)), known)
    return np.cumsum(steps, axis=1)[:, :-1], np.diff(ends)


__all__ = ["EVALUATOR", "importances", "place_of"]
