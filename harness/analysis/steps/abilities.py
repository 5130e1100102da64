"""Next steps where it is open what training cost in general abilities, or it cost too much."""

from __future__ import annotations

import math

from harness.analysis.caveats import FEWEST_SEEDS
from harness.analysis.steps.evidence import more_seeds
from harness.analysis.steps.known import Known
from harness.findings import Forgetting, NextStep


def general_suite(known: Known) -> NextStep | None:
    """What a fine-tuned arm that met another forgot was not measured."""
    trained = [arm for arm in known.pair if arm in known.experiment.trained_arms()]
    measured = {row.arm for row in known.findings.forgetting if not math.isnan(row.mean_change)}
    unknown = [arm for arm in trained if arm not in measured]
    if not unknown:
        return None
    suite = "general-mini" if known.experiment.general is None else "standard"
    field = "general" if known.experiment.general is None else "general.suite"
    value = f"{{suite: {suite}}}" if known.experiment.general is None else suite
    return NextStep(
        "general_suite",
        f"Measure what {unknown[0]} forgets",
        (f"{field}: {value}",),
        command=False,
        changes=f"If {unknown[0]} loses more general ability than is allowed, it cannot win.",
    )


def general_items(known: Known) -> NextStep | None:
    """Whether a fine-tuned arm that met another kept its abilities is not settled."""
    for row in known.findings.forgetting:
        if row.arm in known.pair and row.outcome == "inconclusive":
            return _general_items(known, row)
    return None


def _general_items(known: Known, row: Forgetting) -> NextStep | None:
    general = known.experiment.general
    if general is None or math.isnan(row.mean_change):
        return None
    changes = (
        f"Whether {row.arm} kept what the base could do is not settled; if it did not, it "
        "cannot win."
    )
    needed, again = row.items_needed, known.times.general_again()
    counted = [task.items for task in row.tasks if task.kept is not None]
    if needed is None:
        if len(known.experiment.seeds) >= FEWEST_SEEDS or more_seeds(known) is not None:
            return None  # They are among the seeds that are asked for already.
        return known.with_seeds("general_items", FEWEST_SEEDS, changes)
    limited = general.limit is not None and general.limit < needed
    line = f"general.limit: {needed}" if limited else "general.suite: standard"
    # A larger one than the standard suite is the user's own.
    lines = () if general.suite == "standard" and not limited else (line,)
    return NextStep(
        "general_items",
        f"Ask {needed:,} general items a task" + ("" if limited else ", of a larger suite"),
        lines,
        command=False,
        changes=changes,
        seconds=again * needed / min(counted)
        if again is not None and counted and limited
        else None,
    )


def forget_less(known: Known) -> NextStep | None:
    """Fine-tuning works and forgets too much."""
    verdict = known.findings.verdict
    if verdict.outcome != "forgets_too_much" or not known.primary:
        return None
    arm = known.primary.a
    if not known.experiment.arms[arm].allows("replay", 0.1):
        # Another program trains it.
        return None
    trial = known.times.trial(arm)
    return NextStep(
        "forget_less",
        f"Mix general text into the training of {arm}",
        (f"arms.{arm}.replay: {{choices: [0.1, 0.25]}}",),
        command=False,
        changes=f"{arm} may keep what it lost here and still do the task.",
        seconds=None if trial is None else known.experiment.budget.trials * trial,
    )


__all__ = ["forget_less", "general_items", "general_suite"]
