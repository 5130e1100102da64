"""Whether the primary contrast that an experiment declares can be made: its arms, its margin."""

from __future__ import annotations

from collections.abc import Mapping

from harness.spec.arms import Arm
from harness.spec.decision import ContrastSpec
from harness.spec.kinds import kind_info
from harness.spec.task import TaskSpec


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


def check_margin(contrast: ContrastSpec, task: TaskSpec) -> None:
    """See that the margin is a part of what the primary metric can differ by, and said if need be.

    Raises:
        ValueError: it is not; says why and what to do.
    """
    # What a metric that the user brings declares is not known until its file is read.
    if not task.is_located:
        return
    primary, margin = task.primary, contrast.margin
    span = primary.highest - primary.lowest
    if not margin < span:
        raise ValueError(
            f"contrast.margin: {margin:g} is not less than the {span:g} that {primary.name} "
            "can differ by at all"
        )
    if span != 1 and "margin" not in contrast.model_fields_set:
        raise ValueError(
            f"contrast.margin: say which difference in {primary.name} is still none: the "
            f"{margin:g} that is taken without it is meant for metrics from 0 to 1"
        )
