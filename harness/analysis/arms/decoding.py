"""Whether two arms answer in different ways: their difference is then of the decoding too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.findings import ArmSummary, Contrast
from harness.spec.kinds import kind_info

WAYS = {
    "generate": "writes its answer freely",
    "constrained": "can write valid answers only",
    "choice": "picks the likeliest of the valid answers",
}


def with_decoding(contrast: Contrast, arms: Mapping[str, ArmSummary]) -> Contrast:
    """The contrast, with a sentence where the selected settings of its arms answer differently."""
    a, b = (arms[name] for name in (contrast.a, contrast.b))
    how = [WAYS.get(str(arm.params.get("answering"))) for arm in (a, b)]
    if None in how or how[0] == how[1]:
        return contrast
    other = "training" if any(kind_info(arm.kind).fine_tuned for arm in (a, b)) else "prompts"
    return replace(
        contrast,
        decoding=f"{a.arm} {how[0]} and {b.arm} {how[1]}: their difference is of both the {other} "
        "and the decoding.",
    )


__all__ = ["with_decoding"]
