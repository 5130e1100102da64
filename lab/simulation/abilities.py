"""General abilities of a known truth: of the base, after training, and in a search that filters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from lab.simulation.study_design import Design

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Abilities:
    """One arm's general scores, and those of its search."""

    tested: dict[str, Floats]
    """Task -> scores of the final runs, shape (seeds, items)."""
    validation: list[float]
    """Validation score of each search trial."""
    searched: list[dict[str, Floats]]
    """Task -> scores, shape (searched,), of each search trial."""
    winner: int
    """Index of the search trial that was selected."""


@dataclass(frozen=True, slots=True)
class Suite:
    """The items of each general task, and what the base has right of them."""

    difficulties: tuple[Floats, ...]
    """Difficulty of each item, shape (items,), of each task."""
    base: dict[str, Floats]
    """Task -> scores of the base, shape (items,)."""


def draw_suite(design: Design, generator: np.random.Generator) -> Suite:
    """The general suite of one study."""
    drawn = tuple(generator.normal(0, 1, design.task_items) for _ in range(design.tasks))
    base = {
        _name(task): right(items[None], 1.0, design.base_of(task))[0]
        for task, items in enumerate(drawn)
    }
    return Suite(drawn, base)


def draw_abilities(
    design: Design, suite: Suite, effects: Floats, generator: np.random.Generator
) -> Abilities:
    """One arm after training; a task hardly moves item by item.

    Args:
        effects: effect of each seed, shape (seeds,).
    """
    trouble = design.trouble
    settings = max(1, trouble.tried)
    # What a setting makes of each item stays the same under all its seeds.
    own = [[generator.normal(0, design.own / 2, len(items)) for items in suite.difficulties]
           for _ in range(settings)]  # fmt: skip
    searched = []
    for setting in range(trouble.tried):
        seed = generator.normal(0, design.seed_spread, 1)
        first = slice(0, trouble.searched)
        searched.append(
            {
                name: values[0, first]
                for name, values in _after(design, suite, own[setting], seed, generator).items()
            }
        )
    validation = generator.normal(0.5, 0.02, settings).tolist() if searched else [0.5, 0.4]
    changes = [
        float(np.mean([trial[name].mean() - suite.base[name][: trouble.searched].mean()
                       for name in trial]))
        for trial in searched
    ]  # fmt: skip
    kept = [n for n, change in enumerate(changes) if change >= -design.general_margin - 1e-12]
    winner = (
        max(kept, key=validation.__getitem__)
        if kept
        else max(range(len(changes)), key=changes.__getitem__, default=0)
    )
    tested = _after(design, suite, own[winner], effects, generator)
    return Abilities(tested, validation, searched, winner)


def _after(
    design: Design,
    suite: Suite,
    own: list[Floats],
    effects: Floats,
    generator: np.random.Generator,
) -> dict[str, Floats]:
    noise, spread = design.noise / 2, design.seed_spread / 2
    total = math.sqrt(1 + (design.own / 2) ** 2 + noise**2 + spread**2)
    collapsed = generator.random(len(effects)) < design.trouble.collapse
    lost = design.trouble.depth * collapsed[:, None]
    return {
        _name(task): right(
            items
            + own[task]
            + effects[:, None] / 2
            + generator.normal(0, noise, (len(effects), len(items))),
            total,
            np.clip(design.base_of(task) + design.change_of(task) - lost, 0.0, 1.0),
        )
        for task, items in enumerate(suite.difficulties)
    }


def right(latent: Floats, spread: float, score: float | Floats) -> Floats:
    """Right where the latent value, of standard deviation ``spread``, is among the best."""
    return np.asarray(latent > spread * norm.ppf(1 - np.asarray(score)), dtype=np.float64)


def _name(task: int) -> str:
    return f"general:task-{task}"


__all__ = ["Abilities", "Suite", "draw_abilities", "draw_suite", "right"]
