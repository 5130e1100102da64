"""Whether a written instruction is kept: it must do better on rows that it was not written from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.records import KEPT_LEVEL, Confirmation, Worth

DRAWS = 9_999


@lru_cache(maxsize=64)
def seeded_confirmation(
    text: str,
    written: tuple[tuple[int, float], ...],
    own: tuple[tuple[int, float], ...],
    worths: tuple[Worth, Worth] | None,
    seed: tuple[int, ...],
) -> Confirmation:
    """A :func:`confirmation` by a seed: two trials are compared once, however often asked.

    Args:
        text: what was written.
        written: (place of a validation row, its value under it), higher is better.
        own: the same under the task's own.
        worths: as :func:`confirmation` takes it.
        seed: of the permutations.
    """
    return confirmation(text, dict(written), dict(own), worths, np.random.default_rng(seed))


def confirmation(
    text: str,
    written: Mapping[int, float],
    own: Mapping[int, float],
    worths: tuple[Worth, Worth] | None,
    rng: np.random.Generator,
) -> Confirmation:
    """Hold what was written against the task's own, row by row.

    One-sided: the signs of the rows' differences are flipped, and it is counted how often their
    mean is as high as it is. Of right and wrong answers that is McNemar's exact test.

    Args:
        text: what was written.
        written: place of a validation row -> its value under it, higher is better.
        own: the same under the task's own.
        worths: what a choice ranks the two by, the written one's first; None where the trial of it
            was not seen through.
        rng: the only source of randomness.
    """
    rows = sorted(written.keys() & own.keys())
    theirs, mine = (np.array([values[row] for row in rows]) for values in (written, own))
    p_value = None if worths is None else _chance(theirs - mine, rng)
    better = worths is not None and worths[0] > worths[1]
    return Confirmation(
        instruction=text,
        items=len(rows),
        written=float(theirs.mean()) if rows else None,
        own=float(mine.mean()) if rows else None,
        p_value=p_value,
        kept=better and p_value is not None and p_value <= KEPT_LEVEL,
    )


def _chance(differences: NDArray[np.float64], rng: np.random.Generator) -> float:
    told = differences[differences != 0]
    if not len(told):
        return 1.0
    if len(told) == 1:
        # A permutation of one value is refused; it is above 0 half of the time.
        return 0.5 if told[0] > 0 else 1.0
    # It takes longer to load than most plans take.
    from scipy.stats import permutation_test

    test = permutation_test(
        (told,), np.mean, permutation_type="samples", vectorized=True, n_resamples=DRAWS,
        alternative="greater", rng=rng,
    )  # fmt: skip
    return float(test.pvalue)


__all__ = ["confirmation", "seeded_confirmation"]
