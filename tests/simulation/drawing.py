"""Studies drawn from a known truth: no model, per-item outcomes from a probit model.

An answer is right where difficulty of the item, what the arm makes of it, of its cluster, the
training seed and the noise of one answer sum to more than 0. All are normal, so the true mean score
of an arm is known exactly, and so is every difference of two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from analysis.study_builder import ACCURACY, StudyBuilder, experiment
from numpy.typing import NDArray
from scipy.stats import norm

from harness.records import Study

Floats = NDArray[np.float64]
PROMPT_SCORE = 0.5
BASE_ABILITY = 0.8


@dataclass(frozen=True, slots=True)
class Design:
    """One kind of study, and its truth.

    items: test items, in clusters of ``cluster_size``. seeds: final runs of each arm.
    seed_spread, noise: standard deviations of a seed's effect and of a single answer, where an
        item's difficulty has 1.
    own: the same of what an arm makes of an item; cluster: of what it makes of a cluster.
    binary: scores are right or wrong; else they lie between 0 and 1.
    prompts, trained: arms of each side, all of a side alike.
    still_prompt: the prompt arm answers alike under every seed.
    gain: true score of the fine-tuned arms minus that of the prompt arms.
    change: true mean change on ``tasks`` general tasks of ``task_items`` items.
    """

    items: int = 200
    cluster_size: int = 1
    seeds: int = 3
    seed_spread: float = 0.15
    noise: float = 0.3
    own: float = 0.6
    cluster: float = 0.4
    binary: bool = True
    prompts: int = 1
    trained: int = 1
    still_prompt: bool = False
    gain: float = 0.0
    change: float = 0.0
    tasks: int = 5
    task_items: int = 100
    margin: float = 0.03
    general_margin: float = 0.05


@dataclass(frozen=True, slots=True)
class _Items:
    """Items that several arms answer: their difficulty, shape (items,), and cluster."""

    difficulty: Floats
    clusters: NDArray[np.intp]

    @property
    def names(self) -> list[str]:
        return [f"c{code}" for code in self.clusters]


def draw_study(design: Design, generator: np.random.Generator) -> Study:
    """One study of the design: every arm searched (the scores say nothing) and tested."""
    tuned = [f"tuned-{number}" for number in range(design.trained)]
    prompts = [f"prompt-{number}" for number in range(design.prompts)]
    built = StudyBuilder(
        experiment(
            {**dict.fromkeys(prompts, "prompt"), **dict.fromkeys(tuned, "lora")},
            contrast={"margin": design.margin},
            general={"margin": design.general_margin},
            seeds=list(range(1, design.seeds + 1)),
        ),
        {f"task-{number}": ACCURACY for number in range(design.tasks)},
    )
    splits = {name: _items(design, generator) for name in ("train", "validation", "test")}
    tasks = [_items(design, generator, design.task_items) for _ in range(design.tasks)]
    base = {
        f"general:task-{number}": _right(items.difficulty[None], 1.0, BASE_ABILITY)[0]
        for number, items in enumerate(tasks)
    }
    where = {name: items.names for name, items in splits.items()}
    base["test"] = _answers(design, splits["test"], PROMPT_SCORE, np.zeros(1), generator)[0]
    built.finalist("base", 0, base, clusters=where)
    for arm in (*prompts, *tuned):
        trained = arm in tuned
        still = design.still_prompt and not trained
        score = PROMPT_SCORE + (design.gain if trained else 0.0)
        spread = 0.0 if still else design.seed_spread
        effects = generator.normal(0, spread, design.seeds)
        rows = {
            name: _answers(design, items, score, effects, generator, still=still)
            for name, items in splits.items()
        }
        if trained:
            rows |= {
                f"general:task-{number}": _after(design, items, effects, generator)
                for number, items in enumerate(tasks)
            }
        built.search(arm, [0.5, 0.4])
        for seed in range(design.seeds):
            scores = {name: values[seed] for name, values in rows.items()}
            built.finalist(arm, seed + 1, scores, clusters=where)
    return built.build()


def _items(design: Design, generator: np.random.Generator, items: int | None = None) -> _Items:
    size = 1 if items else design.cluster_size
    count = items or design.items
    return _Items(generator.normal(0, 1, count), np.arange(count) // size)


def _answers(
    design: Design,
    items: _Items,
    score: float,
    effects: Floats,
    generator: np.random.Generator,
    *,
    still: bool = False,
) -> Floats:
    """Scores of one arm, shape (seeds, items), of true mean ``score``."""
    count = len(items.difficulty)
    cluster = design.cluster if design.cluster_size > 1 else 0.0
    noise = 0.0 if still else design.noise
    parts = (1.0, cluster, design.own, noise, 0.0 if still else design.seed_spread)
    latent = (
        items.difficulty
        + generator.normal(0, cluster, items.clusters[-1] + 1)[items.clusters]
        + generator.normal(0, design.own, count)
        + effects[:, None]
        + generator.normal(0, noise, (len(effects), count))
    )
    spread = math.sqrt(sum(part**2 for part in parts))
    if design.binary:
        return _right(latent, spread, score)
    # The mean of the normal distribution function at a normal variable is one again.
    shift = norm.ppf(score) * math.sqrt(1 + spread**2)
    return np.asarray(norm.cdf(latent + shift), dtype=np.float64)


def _after(
    design: Design, items: _Items, effects: Floats, generator: np.random.Generator
) -> Floats:
    """General ability after training, shape (seeds, items): a task hardly moves item by item."""
    count = len(items.difficulty)
    own, noise = design.own / 2, design.noise / 2
    latent = (
        items.difficulty
        + generator.normal(0, own, count)
        + effects[:, None] / 2
        + generator.normal(0, noise, (len(effects), count))
    )
    spread = math.sqrt(1 + own**2 + noise**2 + (design.seed_spread / 2) ** 2)
    return _right(latent, spread, BASE_ABILITY + design.change)


def _right(latent: Floats, spread: float, score: float) -> Floats:
    """Right where the latent value, of standard deviation ``spread``, is among the best."""
    return np.asarray(latent > spread * norm.ppf(1 - score), dtype=np.float64)


__all__ = ["Design", "draw_study"]
