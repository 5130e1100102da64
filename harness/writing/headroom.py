"""Whether the wording of an instruction moves the score at all, before much is spent on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# To go on for nothing costs tokens; to stop wrongly costs a better prompt: a level above 5 %.
LEVEL = 0.1
DRAWS = 5000
# So many draws are made at once: together they are faster.
_BATCH = 100


def wordings_of(own: str, plain: str) -> tuple[str, ...]:
    """Distinct wordings of a task's instruction, the user's own first.

    Args:
        plain: what a first wording for answers of this kind would be.
    """
    strict = "Give the answer alone, exactly in the form that is asked for, and nothing else."
    careful = "Read the whole input with care, part by part, before you answer."
    every = (own, plain, f"{own}\n\n{strict}", f"{careful}\n\n{own}")
    return tuple(dict.fromkeys(text.strip() for text in every if text.strip() or text is own))


def chance_of(values: NDArray[np.float64], rng: np.random.Generator) -> float:
    """Chance that wordings which all do alike differ by as much as these do.

    A permutation test: within each row the wordings change places, and it is counted how often
    the best mean lies as far above the worst as it does. Rows are paired, and nothing is assumed
    of how a metric is distributed.

    Args:
        values: the primary metric, shape (rows, wordings).
        rng: the only source of randomness.

    Returns:
        The p-value, above 0 to 1; 1 where no row tells the wordings apart.
    """
    if np.ptp(values, axis=1).max(initial=0.0) == 0:
        return 1.0
    seen = _spread(values)
    batch = np.broadcast_to(values, (_BATCH, *values.shape))
    drawn = (_spread(rng.permuted(batch, axis=2)) for _ in range(DRAWS // _BATCH))
    far = sum(int((spreads >= seen - 1e-12).sum()) for spreads in drawn)
    return (1 + far) / (1 + DRAWS)


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the best mean lies above the worst; values: shape (..., rows, wordings)."""
    return np.asarray(np.ptp(values.mean(axis=-2), axis=-1))


def as_matrix(columns: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Values of each wording in the order of rows -> shape (rows, wordings)."""
    return np.array(columns, dtype=np.float64).T


__all__ = ["LEVEL", "as_matrix", "chance_of", "wordings_of"]
