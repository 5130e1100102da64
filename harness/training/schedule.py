"""The course of the learning rate."""

from __future__ import annotations

import math


def learning_rate_at(step: int, steps: int, peak: float, warmup: float, schedule: str) -> float:
    """Rate at ``step`` (from 0) of ``steps``: linear warm-up over a share, then the schedule.

    ``cosine`` and ``linear`` fall to a tenth of the peak, so that the last steps still learn.
    """
    warm_steps = round(warmup * steps)
    if step < warm_steps:
        return peak * (step + 1) / (warm_steps + 1)
    done = (step - warm_steps) / max(1, steps - warm_steps)
    match schedule:
        case "constant":
            return peak
        case "linear":
            return peak * (1 - 0.9 * done)
        case "cosine":
            return peak * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))
        case _:
            raise ValueError(f"no schedule is called {schedule!r}")
