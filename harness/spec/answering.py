"""Whether an experiment's answers and budget are such as its arms need."""

from __future__ import annotations

import math
from collections.abc import Mapping

from harness.answers import Answer
from harness.answers.metrics import MetricInfo
from harness.errors import Problem, SpecError
from harness.spec.arms import Arm, PromptArm
from harness.spec.kinds import kind_info
from harness.spec.search import Budget
from harness.spec.spaces import greatest
from harness.wording import plural


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


def check_bootstrapped(primary: MetricInfo, arms: Mapping[str, Arm]) -> None:
    """See that worked examples that reason are shown somewhere, and can be known to be right.

    Raises:
        ValueError: they are not; names the arm, and says why and what to do.
    """
    for name, arm in arms.items():
        if not isinstance(arm, PromptArm) or not arm.bootstrapped:
            continue
        if not arm.bootstraps:
            raise ValueError(
                f"arms.{name}.bootstrapped: worked examples have a reasoning where prompts ask for "
                "one: give reasoning: brief or free, or leave it out"
            )
        if not greatest(arm.shots):
            raise ValueError(
                f"arms.{name}.bootstrapped: the prompts show no worked examples: give shots, or "
                "leave it out"
            )
        if math.isinf(primary.best):
            raise ValueError(
                f"arms.{name}.bootstrapped: a reply is right where {primary.name} is at its best, "
                "and it has no best value: put a metric that has one first, or leave it out"
            )


# The task's instruction and the written one, each tried on validation.
_COMPARED = 2


def check_writing(budget: Budget, arms: Mapping[str, Arm]) -> None:
    """See that what writing an instruction leaves of a budget can compare it with the task's.

    Raises:
        ValueError: it cannot; names the arm, and says why and what to do.
    """
    for name, arm in arms.items():
        optimiser = arm.optimiser
        if optimiser is None:
            continue
        left = budget.trials - math.ceil(optimiser.share * budget.trials)
        if left < _COMPARED:
            raise ValueError(
                f"arms.{name}.instruction.optimise.share: {optimiser.share:g} of "
                f"{budget.trials} trials leaves {left} to compare what is written with the task's "
                f"instruction, which takes {_COMPARED}; raise budget.trials or lower the share"
            )


def check_rows_reasoned(
    budget: Budget, arms: Mapping[str, Arm], train: int, validation: int
) -> None:
    """See that what reasoning about training rows leaves of a budget can still search the arm.

    Args:
        train: number of training rows.
        validation: number of validation rows, which a trial answers.

    Raises:
        SpecError: it cannot; names the arm, and says why and what to do.
    """
    problems = []
    for name, arm in arms.items():
        rows = rows_reasoned(arm, train)
        taken = trials_of_rows(rows, validation)
        if not rows:
            continue
        needed = 1 if arm.optimiser is None else _COMPARED
        share = 0.0 if arm.optimiser is None else arm.optimiser.share
        if budget.trials - taken - math.ceil(share * budget.trials) < needed:
            beside = ", and what writing an instruction may take," if share else ""
            what = (
                f"{rows:,} replies that reason stand for {plural(taken, 'trial')} of "
                f"{validation} rows each, which{beside} leaves less than {needed} of the "
                f"{budget.trials} of budget.trials: raise that, or ask about fewer rows"
            )
            problems.append(Problem(f"arms.{name}.bootstrapped", what))
    if problems:
        raise SpecError(problems)


def rows_reasoned(arm: Arm, train: int) -> int:
    """Replies of worked examples that an arm asks for, in all ways of reasoning together.

    Args:
        train: number of training rows.
    """
    if not isinstance(arm, PromptArm):
        return 0
    return len(arm.bootstraps) * min(arm.bootstrapped, train)


def trials_of_rows(rows: int, validation: int) -> int:
    """Trials of a search that answer as many rows, rounded up."""
    return math.ceil(rows / max(1, validation))
