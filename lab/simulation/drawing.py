"""Studies drawn from a known truth: no model, per-item outcomes from a probit model.

An answer is right where difficulty of the item, what the arm makes of it, of its cluster, the
training seed and the noise of one answer sum to more than 0. All are normal, so the true mean score
of an arm is known exactly, and so is every difference of two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from harness.records import Study
from lab.simulation.abilities import draw_abilities, draw_suite, right
from lab.simulation.effort import as_tried
from lab.simulation.judging import JUDGES, TASK, as_judged
from lab.simulation.study_design import Design
from lab.simulation.writing import kept_worths
from tests.analysis.study_builder import ACCURACY, StudyBuilder, experiment

Floats = NDArray[np.float64]
# Of an instruction that a prompt arm's search selects, and an arm that is trained under it.
SOURCE = {"kind": "prompt", "instruction": {"choices": ["One.", "Another."]}}
TAKER = {"kind": "lora", "instruction": {"from": "prompt-0"}}


@dataclass(frozen=True, slots=True)
class _Items:
    """Items that several arms answer."""

    difficulty: Floats
    """Difficulty of each item, shape (items,)."""
    clusters: NDArray[np.intp]
    """Cluster of each item, shape (items,)."""

    @property
    def names(self) -> list[str]:
        return [f"c{code}" for code in self.clusters]


def draw_study(design: Design, generator: np.random.Generator) -> Study:
    """One study of the design: every arm searched, on a seed of its own, and tested."""
    tuned = [f"tuned-{number}" for number in range(design.trained)]
    prompts = [f"prompt-{number}" for number in range(design.prompts)]
    arms: dict[str, Any] = {
        **dict.fromkeys(prompts, "prompt"), **dict.fromkeys(tuned, "lora"),
    }  # fmt: skip
    if design.added is not None:
        tuned.append("both")
        arms |= {"prompt-0": SOURCE, "both": TAKER}
    built = StudyBuilder(
        experiment(
            arms,
            contrast={"margin": design.margin},
            general={"margin": design.general_margin} if design.tasks else None,
            seeds=list(range(1, design.seeds + 1)),
            search={"repeats": design.repeats},
            **({"task": TASK, "judges": JUDGES} if design.judge else {}),
        ),
        {
            f"task-{number}": replace(ACCURACY, chance=design.trouble.chance)
            for number in range(design.tasks)
        },
    )
    splits = {name: _items(design, generator) for name in ("train", "validation", "test")}
    suite = draw_suite(design, generator)
    base = dict(suite.base)
    where = {name: items.names for name, items in splits.items()}
    base["test"] = _answers(design, splits["test"], design.score, np.zeros(1), generator)[0]
    built.finalist("base", 0, base, clusters=where)
    for arm in (*prompts, *tuned):
        trained = arm in tuned
        still = design.still_prompt and not trained
        score = design.score + (design.gain if trained else 0.0)
        score += (design.added or 0.0) if arm == "both" else 0.0
        spread = 0.0 if still else design.seed_spread
        effects = generator.normal(0, spread, design.seeds)
        search = _tuning(design, generator, trained=trained)
        rows = {
            name: _answers(design, items, score, effects + search, generator, still=still)
            for name, items in splits.items()
        }
        winner = 0
        if trained:
            abilities = draw_abilities(design, suite, effects, generator)
            rows |= abilities.tested
            winner = abilities.winner
        # The search has seeds of its own, none of those that are tested.
        effect = generator.normal(0, spread, 1)
        found = float(
            _answers(design, splits["validation"], score, effect, generator, still=still).mean()
        )
        if trained and abilities.searched:
            built.search(arm, abilities.validation, general=abilities.searched)
        else:
            built.search(arm, [found, found - 0.1])
        for seed in range(design.seeds):
            scores = {name: values[seed] for name, values in rows.items()}
            built.finalist(arm, seed + 1, scores, clusters=where, setting=winner)
    study = as_tried(built.build(), design.tried)
    return as_judged(study, design.judge, generator) if design.judge else study


def _tuning(design: Design, generator: np.random.Generator, *, trained: bool) -> Floats:
    """What its search made of each final run, shape (seeds,)."""
    searches = np.zeros(design.repeats)
    if design.tuning_spread:
        searches = generator.normal(0, design.tuning_spread, design.repeats)
    if design.written is not None and not trained:
        bar = design.latent_spread() * float(norm.ppf(1 - design.score))
        searches = searches + kept_worths(design.written, bar, design.repeats, generator)
    return np.asarray(searches[np.arange(design.seeds) % design.repeats], dtype=np.float64)


def _items(design: Design, generator: np.random.Generator) -> _Items:
    return _Items(generator.normal(0, 1, design.items), _clusters(design))


def _clusters(design: Design) -> NDArray[np.intp]:
    """Which cluster each item of a split belongs to, shape (items,)."""
    rest = design.items - round(design.giant * design.items)
    of_rest = np.arange(rest) // design.cluster_size
    if design.customers:
        shares = 1 / np.arange(1, design.customers + 1)
        ends = np.ceil(np.cumsum(shares) / shares.sum() * rest)
        of_rest = np.searchsorted(ends, np.arange(rest), side="right")
    return np.concatenate([of_rest, np.full(design.items - rest, of_rest[-1] + 1)]).astype(np.intp)


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
    cluster = design.cluster if design.clustered else 0.0
    noise = 0.0 if still else design.noise
    latent = (
        items.difficulty
        + generator.normal(0, cluster, items.clusters.max() + 1)[items.clusters]
        + generator.normal(0, design.own, count)
        + effects[:, None]
        + generator.normal(0, noise, (len(effects), count))
    )
    spread = design.latent_spread(still=still)
    if design.binary:
        return right(latent, spread, score)
    # The mean of the normal distribution function at a normal variable is one again.
    shift = norm.ppf(score) * math.sqrt(1 + spread**2)
    return np.asarray(norm.cdf(latent + shift), dtype=np.float64)


__all__ = ["Design", "draw_study"]
