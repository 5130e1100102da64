"""What to do next: rules over the findings, each with the command or line that would settle it.

The rules stand in the order of their weight. Those that apply are kept up to :data:`MOST_STEPS`;
where the verdict names an arm, the last of them is how it is used.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.analysis.statistics.few_clusters import fewest_clusters
from harness.analysis.statistics.scores import Scores
from harness.analysis.steps.abilities import forget_less, general_items, general_suite
from harness.analysis.steps.effort import harder, search_on, tune_prompt
from harness.analysis.steps.evidence import (
    human_marks,
    more_items,
    more_seeds,
    replies,
    seeds,
    unscored,
)
from harness.analysis.steps.known import Known
from harness.findings import Findings, NextStep
from harness.spec.kinds import kind_info

MOST_STEPS = 3


def next_steps(scores: Scores, findings: Findings) -> tuple[NextStep, ...]:
    """At most :data:`MOST_STEPS` things to do next, the one that matters most first.

    Args:
        scores: the study, of whose trials the times are taken.
        findings: what the analysis made of it, but for these steps.
    """
    known = Known(scores, findings)
    last = use(known)
    doubts: dict[object, NextStep] = {}
    for rule in RULES:
        if (step := rule(known)) is not None:
            # Two rules may ask for the same line; the weightier one says why.
            doubts.setdefault(step.lines or step.what, step)
    kept = list(doubts.values())[: MOST_STEPS - (last is not None)]
    return (*kept, *([last] if last else []))


def finish(known: Known) -> NextStep | None:
    """Nothing was compared: add an arm, go on, or mend what failed."""
    if known.primary is not None:
        return None
    experiment = known.experiment
    changes = "Nothing is compared yet; what finished is not repeated."
    what, lacking = _lacking(known)
    if lacking:
        return NextStep("finish", what, (lacking,), command=False, changes=changes)
    if _met(known):
        least = fewest_clusters((1 - experiment.contrast.level) / 2)
        return NextStep(
            "finish",
            f"Test on {least} independent items or more, of as many groups where data.group names "
            "them",
            (),
            command=False,
            changes=changes,
        )
    failed = any(trial.status == "failed" for trial in known.scores.study.trials)
    mend = ", once what made trials fail is mended" if failed else ""
    return NextStep(
        "finish",
        f"Run {experiment.name} to its end{mend}",
        (f"harness run EXPERIMENT.yaml{' --retry-failed' if failed else ''}",),
        command=True,
        changes=changes,
    )


def _lacking(known: Known) -> tuple[str, str]:
    """What to add so that two arms can be compared, and its line; empty where there are two."""
    experiment = known.experiment
    trained, prompts = experiment.trained_arms(), experiment.prompt_arms()
    add = "Add an arm to compare with"
    if not prompts and len(trained) < 2:
        return add, "arms.few-shot: {kind: prompt, shots: 4}"
    if not prompts and not experiment.contrast.against:
        one, other, *_ = trained
        pair = f"contrast: {{fine_tuned: {one}, against: {other}}}"
        return "Name the two arms that are to be compared, or add a prompt arm", pair
    if not trained and len(prompts) < 2:
        return add, "arms.lora: {kind: lora}"
    return "", ""


def _met(known: Known) -> bool:
    """Both sides of the comparison were tested, and yet could not be paired."""
    experiment, contrast = known.experiment, known.experiment.contrast
    tested = {name for name, arm in known.arms.items() if arm.test is not None}
    trained, prompts = experiment.trained_arms(), experiment.prompt_arms()
    if not trained:
        return len(tested.intersection(prompts)) > 1
    sides = (
        {contrast.fine_tuned} if contrast.fine_tuned else {*trained},
        {contrast.against} if contrast.against else {*prompts},
    )
    return all(tested & side for side in sides)


def use(known: Known) -> NextStep | None:
    """The verdict names an arm: how it is taken into use."""
    winner = known.findings.verdict.winner
    if not winner or winner not in known.arms:
        return None
    kind = kind_info(known.arms[winner].kind)
    what, file = ("model", "winner") if kind.trains else ("prompt", "prompt.json")
    asked = f"harness ask {known.name} --file rows.csv"
    export = f"harness export {what} {known.name} --out {file}"
    # Weights that were brought lie with the user already.
    lines = (asked,) if kind.brought else (asked, export)
    return NextStep(
        "use",
        f"Use {winner}: ask it your own rows" + ("" if kind.brought else ", then hand it over"),
        lines,
        command=True,
        changes="It answers exactly as it was scored; `harness verify` holds what is served "
        "against the scores.",
    )


RULES: tuple[Callable[[Known], NextStep | None], ...] = (
    finish,
    replies,
    unscored,
    human_marks,
    harder,
    more_items,
    more_seeds,
    general_suite,
    general_items,
    forget_less,
    seeds,
    tune_prompt,
    search_on,
)

__all__ = ["MOST_STEPS", "RULES", "next_steps", "use"]
