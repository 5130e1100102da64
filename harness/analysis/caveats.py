"""What a reader must know before believing the verdict, in full sentences."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.arms import Sides
from harness.analysis.forgetting import forgetting_outcome
from harness.analysis.leakage import Leaks
from harness.analysis.scores import Scores, repeated_accesses
from harness.analysis.sensitivity import FLAGGED_ITEMS, in_words
from harness.findings import ArmSummary, Contrast, Forgetting, SearchSummary, Sensitivity
from harness.spec import Experiment
from harness.spec.endpoint import endpoints
from harness.spec.search import Budget

FEWEST_SEEDS = 3


def caveats(
    scores: Scores,
    experiment: Experiment,
    arms: dict[str, ArmSummary],
    sides: Sides,
    primary: Contrast | None,
) -> list[str]:
    """Caveats that the study's course gives rise to, the weightiest first."""
    return [
        *sides.notes,
        *_declaration(scores),
        *_test_looks(scores),
        *_seen_elsewhere(scores),
        *_seeds(arms),
        *_tuning(arms, sides),
        *_budgets(arms, experiment.budget),
        *_finalists(scores, experiment),
        *_lengths(scores, experiment),
        *_limits(experiment, arms),
        *_served(experiment),
        *([_selection()] if primary else []),
    ]


def missing_items(contrasts: Sequence[tuple[str, str, int, int]]) -> list[str]:
    """Sentences on items left out of comparisons: (a, b, left out, unscored) each."""
    found = []
    for a, b, left_out, unscored in contrasts:
        if left_out:
            found.append(
                f"{_items(left_out)} of the test set {_are(left_out)} missing for {a} or {b} "
                "and left out of their comparison."
            )
        if unscored:
            found.append(
                f"{_items(unscored)} of the test set could not be scored for {a} or {b} and "
                f"{_are(unscored)} left out of their comparison, not counted as wrong."
            )
    return found


def leakage_caveats(
    leaks: Leaks,
    primary: Contrast | None,
    forgetting: Sequence[Forgetting],
    sensitivity: Sensitivity | None,
) -> list[str]:
    """Sentences on items that share text with what was learnt from."""
    found = []
    if leaks.found and not leaks.named:
        found.append(
            f"The leakage audit flagged {_items(leaks.found)} of the test set and did not record "
            "which, so nothing is known of the scores without them."
        )
    if primary and primary.flagged:
        found.append(
            f"{_items(primary.flagged)} of the {primary.items:,} compared in the primary contrast "
            f"{_share(primary.flagged)} text with training examples; {_contrast_without(primary)}."
        )
    elif primary and leaks.test:
        found.append(
            f"The leakage audit flagged {_items(len(leaks.test))} of the test set, but the stored "
            "scores do not say which items they are of, so none could be left out."
        )
    if leaks.selection:
        found.append(
            f"{_items(len(leaks.selection))} of the test set {_share(len(leaks.selection))} text "
            "with validation, by which settings were selected."
        )
    found += [_forgetting_without(arm) for arm in forgetting if any(d.flagged for d in arm.tasks)]
    if leaks.not_audited:
        found.append(
            f"Not audited for leakage, since their items could not be read: "
            f"{', '.join(leaks.not_audited)}."
        )
    for one in sensitivity.perturbations if sensitivity else ():
        if one.left_out == FLAGGED_ITEMS and one.changed:
            found.append(
                "Without the items that share text with training the verdict would be: "
                f"{in_words(one)}."
            )
    return found


def _contrast_without(primary: Contrast) -> str:
    clean = primary.without_flagged
    if clean is None:
        return "too few are left without them for a comparison"
    if clean.outcome == primary.outcome:
        return "without them it comes out the same"
    return f"without them it comes out {clean.outcome}, not {primary.outcome}"


def _forgetting_without(arm: Forgetting) -> str:
    flagged = {delta.task: delta.flagged for delta in arm.tasks if delta.flagged}
    shared = (
        f"{_items(sum(flagged.values()))} of the general suite ({', '.join(flagged)}) "
        f"{_share(sum(flagged.values()))} text with training examples"
    )
    if arm.without_flagged is None:
        return f"{shared}; what {arm.arm} lost on average was not measured without them."
    _, interval = arm.without_flagged
    outcome = forgetting_outcome(interval, arm.margin)
    if outcome == arm.outcome:
        return f"{shared}; without them the answer for {arm.arm} is the same ({outcome})."
    return f"{shared}; without them the answer for {arm.arm} is {outcome}, not {arm.outcome}."


def general_caveats(
    forgetting: Sequence[Forgetting], unscored: Sequence[str], accuracy_tasks: Sequence[str]
) -> list[str]:
    """Sentences on general tasks that could not count."""
    found = []
    if unscored:
        found.append(
            "The untouched base has no score on "
            f"{', '.join(unscored)}, so forgetting there was not measured."
        )
    weak = {
        delta.task
        for arm in forgetting
        for delta in arm.tasks
        if delta.kept is None and delta.task in accuracy_tasks
    }
    if weak:
        found.append(
            f"The untouched base is not clearly above chance on {', '.join(sorted(weak))}: what it "
            "could not do it cannot forget, so these are left out of the mean."
        )
    return found


def search_caveats(searches: Sequence[SearchSummary]) -> list[str]:
    """Sentences on searches that found no setting within the margin of forgetting."""
    lost = [one.arm for one in searches if one.choice is not None and not one.choice.kept]
    if not lost:
        return []
    return [
        f"No setting of {', '.join(lost)} kept general abilities within the margin on the search's "
        "items; the one that lost least was tested."
    ]


def _declaration(scores: Scores) -> list[str]:
    fields: set[str] = set()
    for event in scores.study.events:
        if event.kind == "declared" and event.detail.get("test_accessed"):
            for key in ("changed", "changes", "facts"):
                fields.update(map(str, event.detail.get(key) or ()))
    if not fields:
        return []
    return [
        "The declaration was changed after the test set had been seen "
        f"({', '.join(sorted(fields))}); the result is not that of a plan made beforehand."
    ]


def _test_looks(scores: Scores) -> list[str]:
    repeated = repeated_accesses(scores.study)
    if not repeated:
        return []
    who = sorted({arm for arm, _, _ in repeated if arm})
    return [
        f"The test set was looked at more than once{' for ' + ', '.join(who) if who else ''}: "
        "a second look makes a chance finding more likely."
    ]


def _seen_elsewhere(scores: Scores) -> list[str]:
    others: set[str] = set()
    for event in scores.study.events:
        if event.kind == "test_seen_elsewhere":
            others.update(map(str, event.detail.get("experiments") or ()))
    if not others:
        return []
    return [
        "These test items had been scored before by other experiments in the store "
        f"({', '.join(sorted(others))}): what was learnt there may have shaped this one."
    ]


def _seeds(arms: dict[str, ArmSummary]) -> list[str]:
    few = {
        name: len(arm.seeds)
        for name, arm in arms.items()
        if arm.seeds and len(arm.seeds) < FEWEST_SEEDS and _depends_on_seed(arm)
    }
    once = [name for name, seeds in few.items() if seeds == 1]
    twice = [name for name in few if name not in once]
    found = []
    if once:
        found.append(
            f"Tested on one seed only: {', '.join(once)}. The intervals hold for these very runs "
            "and do not cover how much a repeated run would differ; a full study uses at least "
            f"{FEWEST_SEEDS} seeds."
        )
    if twice:
        found.append(
            f"Tested on two seeds only: {', '.join(twice)}; a full study uses at least "
            f"{FEWEST_SEEDS}."
        )
    return found


def _depends_on_seed(arm: ArmSummary) -> bool:
    if arm.kind != "prompt":
        return True
    params = arm.params
    drawn = params.get("selection", "random") in ("random", "balanced")
    return (drawn or params.get("order") == "shuffled") and params.get("shots", 1) != 0


def _tuning(arms: dict[str, ArmSummary], sides: Sides) -> list[str]:
    prompt = arms.get(sides.prompt)
    if prompt is None or prompt.tuned:
        return []
    tuned = [name for name, arm in arms.items() if arm.kind == "prompt" and arm.tuned]
    if tuned:
        return [
            f"The prompt arm {sides.prompt} has nothing to tune; "
            f"prompt arms that were tuned: {', '.join(tuned)}."
        ]
    return [
        f"The prompt arm {sides.prompt} was not tuned: a better prompt may exist, so the gain of "
        "fine-tuning may be overstated."
    ]


def _budgets(arms: dict[str, ArmSummary], budget: Budget) -> list[str]:
    found = []
    # A trial that was stopped early was seen through: its setting was judged.
    seen = {name: arm.complete + arm.pruned for name, arm in arms.items() if arm.tuned}
    by_trials = budget.tokens is None and budget.minutes is None
    if by_trials and len(set(seen.values())) > 1:
        spent = ", ".join(f"{name} {n} of {arms[name].budget_trials}" for name, n in seen.items())
        found.append(f"The arms did not spend equal budgets (trials seen through: {spent}).")
    failed = [f"{name} {arm.failed}" for name, arm in arms.items() if arm.failed]
    if failed:
        found.append(f"Some trials failed during the search: {', '.join(failed)}.")
    return found


def _finalists(scores: Scores, experiment: Experiment) -> list[str]:
    found = []
    for name in experiment.arms:
        failed = [t for t in scores.trials(name, "finalist") if t.status != "complete"]
        lost = sorted({t.seed for t in failed} - {t.seed for t in scores.finalists(name)})
        if lost:
            seeds = ", ".join(map(str, lost))
            found.append(f"The final run of {name} failed on seed {seeds} and is not counted.")
    return found


def _lengths(scores: Scores, experiment: Experiment) -> list[str]:
    """Sentences on training examples and prompts that are longer than a model takes."""
    whole = scores.study.experiment.splits.get("train", 0)
    found = []
    for name in experiment.trained_arms():
        trained = {trial.train_examples for trial in scores.finalists(name)} - {None}
        fewest = min((count for count in trained if count is not None), default=whole)
        if fewest < whole:
            found.append(
                f"{name} was trained on {fewest:,} of the {whole:,} training examples: the others "
                "are longer than its max_length or than the model reads, so it learnt from fewer "
                "than the prompts could draw on."
            )
    cut = {what for trial in scores.study.trials if trial.phase != "search" for what in trial.cut}
    return [*found, *(f"{what}." for what in sorted(cut))]


def _limits(experiment: Experiment, arms: dict[str, ArmSummary]) -> list[str]:
    if experiment.constraints.latency_ms is None:
        return []
    unknown = [
        name for name, arm in arms.items() if arm.test is not None and arm.cost.latency_p95 is None
    ]
    if not unknown:
        return []
    return [
        f"Latency was not measured for {', '.join(unknown)}, so the declared limit was not checked."
    ]


def _served(experiment: Experiment) -> list[str]:
    asked = endpoints(experiment)
    if not asked:
        return []
    away = [name for name, endpoint in asked.items() if not endpoint.local]
    sent = f" Texts of the data were sent to the servers of {', '.join(away)}." if away else ""
    return [
        f"What a server answers may change at any time: the scores of {', '.join(asked)} hold for "
        f"the days of this study.{sent}"
    ]


def _selection() -> str:
    return (
        "Validation scores chose the settings and flatter them; only the test scores are the "
        "result."
    )


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count:,} items"


def _share(count: int) -> str:
    return "shares" if count == 1 else "share"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


__all__ = [
    "caveats",
    "general_caveats",
    "leakage_caveats",
    "missing_items",
    "search_caveats",
]
