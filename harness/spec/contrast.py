"""Whether the arms that an experiment names for its primary contrast can meet there."""

from __future__ import annotations

from collections.abc import Mapping

from harness.spec.arms import Arm
from harness.spec.decision import ContrastSpec
from harness.spec.kinds import kind_info


def check_contrast(contrast: ContrastSpec, arms: Mapping[str, Arm]) -> None:
    """See that the named arms exist, and that each stands on a side of its kind.

    Raises:
        ValueError: one does not; says which, and what to do.
    """
    first, second = contrast.fine_tuned, contrast.against
    for field, chosen in (("fine_tuned", first), ("against", second)):
        if chosen is not None and chosen not in arms:
            raise ValueError(
                f"contrast.{field}: no arm is called {chosen!r}; the arms are {', '.join(arms)}"
            )
        if chosen is not None and not kind_info(arms[chosen].kind).language_model:
            raise ValueError(
                f"contrast.{field}: {chosen!r} is no language model; it is compared with the arm "
                "that the verdict names anyway"
            )
    tuned = {name for name, arm in arms.items() if kind_info(arm.kind).fine_tuned}
    if first is not None and first not in tuned:
        raise ValueError(f"contrast.fine_tuned: arm {first!r} is a prompt arm")
    if first is not None and first == second:
        raise ValueError(f"contrast: arm {first!r} is compared with itself")
    if first is None and second is not None and second in tuned:
        raise ValueError(
            f"contrast.against: {second!r} is fine-tuned; name contrast.fine_tuned as well"
        )
