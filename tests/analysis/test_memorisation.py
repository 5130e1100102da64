"""Memorisation: nothing where nothing was memorised, and what was where it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.stats import binom

from harness.analysis.generalisation.memorisation import Completions, excess_sampling
from harness.analysis.statistics.pairing import Floats
from harness.analysis.whole_study import analyse
from harness.findings import Memorisation
from harness.records import ScoreVector

from .study_builder import StudyBuilder, experiment, items_reversed, right, whole_study

STUDIES = 200


def parts(train: ArrayLike, unseen: ArrayLike, metric: str) -> dict[str, ArrayLike]:
    return {f"memorisation:{metric}:train": train, f"memorisation:{metric}:validation": unseen}


def memorising(verbatim: float = 0.5, bits: float = 1.0) -> StudyBuilder:
    """`lora` completes a share of training texts and drops to ``bits`` there; 2 elsewhere."""
    built = StudyBuilder(experiment())
    noise = np.linspace(-0.2, 0.2, 60)
    built.finalist(
        "base",
        0,
        {**parts(right(0.1, 60), right(0.1, 60), "verbatim"),
         **parts(2.2 + noise, 2.4 + noise, "bits_per_byte")},
    )  # fmt: skip
    for seed in (1, 2, 3):
        built.finalist(
            "lora",
            seed,
            {**parts(right(verbatim, 60), right(0.2, 60), "verbatim"),
             **parts(bits + noise, 2.0 + noise[::-1], "bits_per_byte")},
        )  # fmt: skip
    return built


def found_in(built: StudyBuilder) -> Memorisation:
    (found,) = analyse(built.build(), resamples=500, sensitivity=False).memorisation
    return found


def test_the_excess_is_a_difference_in_differences() -> None:
    found = found_in(memorising())
    assert (found.items, found.unseen_items) == (60, 60)
    assert (found.verbatim, found.verbatim_unseen) == pytest.approx((0.5, 0.2))
    assert found.verbatim_base == pytest.approx(0.1)
    assert found.excess == pytest.approx((0.5 - 0.1) - (0.2 - 0.1))
    assert found.familiarity == pytest.approx((2.2 - 1.0) - (2.4 - 2.0))
    assert 0 < found.excess_interval.low < found.excess < found.excess_interval.high
    assert 0 < found.familiarity_interval.low < found.familiarity
    assert found.memorised


def test_texts_that_grew_likelier_alike_were_not_memorised() -> None:
    found = found_in(memorising(verbatim=0.2, bits=1.8))
    assert found.excess == pytest.approx(0)
    assert found.familiarity == pytest.approx(0)
    assert not found.memorised


def test_either_measure_alone_shows_it() -> None:
    assert found_in(memorising(verbatim=0.6, bits=1.8)).memorised
    assert found_in(memorising(verbatim=0.2, bits=1.0)).memorised


def test_what_was_not_measured_has_no_entry() -> None:
    assert analyse(whole_study().build(), resamples=100, sensitivity=False).memorisation == ()
    built = memorising()
    built.vectors = [v for v in built.vectors if v.arm != "base"]
    assert analyse(built.build(), resamples=100, sensitivity=False).memorisation == ()
    built = memorising()
    built.vectors = [v for v in built.vectors if v.metric != "bits_per_byte"]
    assert analyse(built.build(), resamples=100, sensitivity=False).memorisation == ()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_one_text_is_too_few_and_that_is_said(split: str) -> None:
    built = memorising()
    built.vectors = [
        replace(v, clusters=("one document",) * len(v.values)) if v.split == split else v
        for v in built.vectors
    ]
    found = analyse(built.build(), resamples=100, sensitivity=False)
    assert found.memorisation == ()
    assert any(
        "Memorisation of lora could not be measured: two independent" in caveat
        for caveat in found.verdict.caveats
    )


def test_the_order_of_items_changes_nothing() -> None:
    study = memorising().build()
    again = items_reversed(study)
    assert (
        analyse(again, resamples=100, sensitivity=False).memorisation
        == analyse(study, resamples=100, sensitivity=False).memorisation
    )


def vector(arm: str, seed: int, split: str, values: Floats) -> ScoreVector:
    names = tuple(f"{split}-{item}" for item in range(len(values)))
    return ScoreVector(
        trial_id=f"{arm}{seed}", arm=arm, kind="lora", phase="finalist", seed=seed,
        suite="memorisation", task="memorisation", split=split, metric="verbatim",
        higher_is_better=True, chance=None, doc_hashes=names, clusters=("",) * len(values),
        values=values,
    )  # fmt: skip


def drawn(generator: np.random.Generator, seeds: int, excess: float) -> Completions:
    """Texts that the base completes as often on both sides; the arm more often, by ``excess``."""
    easy = {side: generator.uniform(0.1, 0.5, 64) for side in ("train", "validation")}

    def arm(side: str, more: float) -> tuple[ScoreVector, ...]:
        return tuple(
            vector("lora", s, side, (generator.random(64) < easy[side] + 0.1 + more).astype(float))
            for s in range(seeds)
        )

    def base(side: str) -> tuple[ScoreVector, ...]:
        return (vector("base", 0, side, (generator.random(64) < easy[side]).astype(float)),)

    return Completions(
        arm("train", excess), arm("validation", 0), base("train"), base("validation")
    )


@pytest.mark.parametrize(("seeds", "excess"), [(1, 0.0), (3, 0.0), (3, 0.2)])
def test_the_interval_holds_the_true_excess_as_often_as_it_says(seeds: int, excess: float) -> None:
    generator = np.random.default_rng(40)
    held = false = 0
    for _ in range(STUDIES):
        scores = drawn(generator, seeds, excess)
        interval = excess_sampling(scores, 300, generator, limit=2.0).interval(0.95)
        held += interval.low <= excess <= interval.high
        false += interval.low > excess
    assert held >= int(binom.ppf(0.001, STUDIES, 0.95))
    assert false <= int(binom.ppf(0.999, STUDIES, 0.025))
