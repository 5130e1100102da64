"""Optuna's samplers by name, each made anew for the trial it proposes.

A sampler's state would be lost in a restart; seeding it by arm and trial keeps a resumed study
equal to one that ran through.
"""

from __future__ import annotations

import warnings

import optuna

from harness.spec.search import Sampler

STARTUP_TRIALS = 5
# Small enough that a search of some dozens of trials sees several generations.
POPULATION = 10


def new_sampler(name: Sampler, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler, seeded."""
    samplers = optuna.samplers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match name:
            case "tpe":
                return samplers.TPESampler(
                    seed=seed,
                    multivariate=True,
                    constant_liar=True,
                    n_startup_trials=STARTUP_TRIALS,
                )
            case "gp":
                return samplers.GPSampler(
                    seed=seed, n_startup_trials=STARTUP_TRIALS, warn_independent_sampling=False
                )
            case "qmc":
                return samplers.QMCSampler(
                    seed=seed,
                    scramble=True,
                    warn_asynchronous_seeding=False,
                    warn_independent_sampling=False,
                )
            case "nsga2":
                return samplers.NSGAIISampler(seed=seed, population_size=POPULATION)
            case "random":
                return samplers.RandomSampler(seed=seed)


def startup_trials(name: Sampler) -> int:
    """How many first trials the sampler would draw at random, the default among them.

    Who asks for random or quasi-random settings gets them from trial 1 on.
    """
    match name:
        case "tpe" | "gp":
            return STARTUP_TRIALS
        case "nsga2":
            return POPULATION
        case "qmc" | "random":
            return 1


def learns(name: Sampler) -> bool:
    """Whether a proposal depends on the scores of earlier trials."""
    return name not in ("random", "qmc")


def remembers(name: Sampler) -> bool:
    """Whether a proposal depends on what the sampler noted with earlier proposals.

    Quasi-random sequences count on, and a genetic sampler writes down generations: both need the
    study replayed proposal by proposal.
    """
    return name in ("qmc", "nsga2")
