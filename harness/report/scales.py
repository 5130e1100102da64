"""How the scores of a metric are written: as they are, or in per cent where they are shares."""

from __future__ import annotations

from harness.answers.metrics import is_share
from harness.wording import PER_CENT, PLAIN, Scale


def scale_of(metric: str, share: bool | None = None) -> Scale:
    """The scale of a metric; ``share`` says so where the metric's name does not."""
    return PER_CENT if (is_share(metric) if share is None else share) else PLAIN


__all__ = ["scale_of"]
