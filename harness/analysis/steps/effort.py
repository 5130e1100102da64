"""Next steps where one side was not tried as hard as it could be."""

from __future__ import annotations

import re

from harness.analysis.steps.known import Known
from harness.analysis.verdict.effort import TRIALS_TO_TRY
from harness.findings import NextStep
from harness.spec import FloatRange

FIELD = re.compile(r"^[a-z_]+(\.[\w-]+)*: ")
# A prompt that was not tuned: how many shots are tried.
SHOTS = (0, 2, 4, 8)
# Signs that were made by too little training, which is then tried longer, up to four times.
TOO_SHORT = frozenset({"few_steps", "loss_falling"})
LONGER = 1 + 2 + 4


def harder(known: Known) -> NextStep | None:
    """A fine-tuned arm that met another was hardly tried."""
    for effort in known.findings.effort:
        if effort.arm not in known.pair or not effort.reasons:
            continue
        steps = dict.fromkeys(reason.next_step for reason in effort.reasons)
        lines = tuple(step for step in steps if FIELD.match(step))
        words = [step for step in steps if step not in lines]
        beside = f" ({'; '.join(words)})" if words else ""
        kinds: set[str] = {reason.shortfall for reason in effort.reasons}
        return NextStep(
            "harder",
            f"Try {effort.arm} harder{beside}",
            lines,
            command=False,
            changes=f"{effort.reasons[0].sentence} It may do better than it did here.",
            seconds=_harder_seconds(known, effort.arm, kinds),
        )
    return None


def _harder_seconds(known: Known, arm: str, signs: set[str]) -> float | None:
    """Trials of a wider search, of which some train longer, and the final runs again."""
    trial, training = known.times.trial(arm), known.times.training(arm)
    final = known.times.trial(arm, "finalist")
    if trial is None or training is None or final is None:
        return None
    more = TRIALS_TO_TRY * trial if "one_setting" in signs else trial
    longer = LONGER * training if signs & TOO_SHORT else training
    rows = known.scores.study.experiment.data.available.get("train", 0)
    limit = known.experiment.data.limits.train
    grown = rows / limit if "part_of_the_rows" in signs and limit else 1.0
    seeds = len(known.experiment.seeds_of(arm))
    return more + grown * longer + seeds * (final + (max(grown, 1.0) - 1) * training)


def tune_prompt(known: Known) -> NextStep | None:
    """Fine-tuning won over a prompt that was not tuned."""
    verdict = known.findings.verdict
    if verdict.outcome not in ("fine_tune", "inconclusive") or not known.primary:
        return None
    arm = known.primary.b
    row = known.arms[arm]
    if row.tuned or arm not in known.experiment.prompt_arms():
        return None
    allowed = [shots for shots in SHOTS if known.experiment.arms[arm].allows("shots", shots)]
    trial = known.times.trial(arm)
    return NextStep(
        "tune_prompt",
        f"Tune the prompt of {arm}",
        (f"arms.{arm}.shots: {{choices: {allowed}}}",),
        command=False,
        changes=f"{arm} was not tuned: a better prompt may do as well as fine-tuning.",
        seconds=None if trial is None else len(allowed) * trial,
    )


def search_on(known: Known) -> NextStep | None:
    """A search of an arm that met another ended where it still rose, or at an edge."""
    for row in known.findings.searches:
        if row.arm not in known.pair:
            continue
        trial = known.times.trial(row.arm)
        wider = (_wider(known, row.arm, edge.name, edge.beyond) for edge in row.edges)
        lines = [line for line in wider if line]
        more = row.rising.more if row.rising else 0
        if more:
            lines.append(f"budget.trials: {known.experiment.budget.trials + more}")
        if lines:
            return NextStep(
                "search_on",
                f"Search {row.arm} further",
                tuple(lines),
                command=False,
                changes=f"The search of {row.arm} ended "
                + ("while it still got better." if more else "at the edge of its range."),
                seconds=None if trial is None else (more or row.asked) * trial,
            )
    return None


def _wider(known: Known, arm: str, name: str, beyond: float) -> str:
    """The line of a range that reaches further; empty where it is no range."""
    space = known.experiment.arms[arm].search_space().get(name)
    if not isinstance(space, FloatRange):
        return ""
    low, high = min(space.low, beyond), max(space.high, beyond)
    log = ", log: true" if space.log else ""
    return f"arms.{arm}.{name}: {{low: {low:g}, high: {high:g}{log}}}"


__all__ = ["harder", "search_on", "tune_prompt"]
