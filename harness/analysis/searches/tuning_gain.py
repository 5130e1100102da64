"""What tuning gained on test over the default setting, which is trial 0 of the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.analysis.statistics.paired import compare, conclude_family
from harness.analysis.statistics.scores import mean_of
from harness.findings import TuningGain
from harness.records import ScoreVector


def assess_tuning(
    arm: str,
    *,
    default_params: Mapping[str, Any],
    selected_params: Mapping[str, Any],
    default: Sequence[ScoreVector],
    selected: Sequence[ScoreVector],
    margin: float,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> TuningGain:
    """The selected setting against the default one, paired item by item on common seeds.

    Where the default itself was selected both are the same models: the gain is 0 and has no
    interval.

    Args:
        default, selected: the primary metric on test, one vector per seed.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    kept = dict(default_params) == dict(selected_params)
    common = {v.seed for v in default} & {v.seed for v in selected}
    comparison = (
        None
        if kept
        else compare(
            [vector for vector in selected if vector.seed in common],
            [vector for vector in default if vector.seed in common],
            margin=margin,
            level=level,
            resamples=resamples,
            generator=generator,
        )
    )
    contrast = conclude_family([comparison])[0] if comparison else None
    on_test = mean_of(selected)
    return TuningGain(
        arm=arm,
        kept_default=kept,
        default_params=dict(default_params),
        selected_params=dict(selected_params),
        default_test=contrast.mean_b if contrast else on_test if kept else mean_of(default),
        selected_test=contrast.mean_a if contrast else on_test,
        gain=contrast.difference if contrast else 0.0 if kept else None,
        interval=contrast.interval if contrast else None,
        outcome=contrast.outcome if contrast else "equivalent" if kept else None,
        seeds=len(selected) if kept else len(common),
    )


__all__ = ["assess_tuning"]
