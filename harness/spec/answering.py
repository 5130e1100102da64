"""Whether an experiment's answers can be given in the ways that its arms give them."""

from __future__ import annotations

from collections.abc import Mapping

from harness.answers import Answer
from harness.spec.arms import Arm
from harness.spec.kinds import kind_info


def check_answering(answer: Answer, arms: Mapping[str, Arm]) -> None:
    """See that no arm answers in a way that the answers do not allow.

    Raises:
        ValueError: one does; names it, and says why and what to do.
    """
    for name, arm in arms.items():
        if not kind_info(arm.kind).language_model and (why := answer.why_not_classified()):
            raise ValueError(f"arms.{name}: a classifier {why}")
        ways = arm.values_of("answering")
        if "choice" in ways and (why := answer.why_not_chosen()):
            raise ValueError(f"arms.{name}.answering: choice {why}")
        if "constrained" in ways and (why := answer.why_not_constrained()):
            raise ValueError(f"arms.{name}.answering: constrained {why}")
