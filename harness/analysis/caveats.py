"""What a reader must know before believing the verdict, in full sentences."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.arms.latency import latency_caveats
from harness.analysis.arms.table import Sides
from harness.analysis.brought_caveats import brought_caveats
from harness.analysis.statistics.scores import Scores, repeated_accesses
from harness.analysis.tuning_caveats import ranked_caveats, tuning_caveats
from harness.analysis.verdict.declaration import declaration_caveats
from harness.analysis.verdict.sensitivity import FLAGGED_ITEMS, in_words
from harness.analysis.writing_caveats import writing_caveats
from harness.findings import ArmSummary, Contrast, Sensitivity
from harness.records import AuditRecord, items_of
from harness.spec import Experiment
from harness.spec.kinds import kind_info
from harness.spec.search import Budget
from harness.spec.served_arms import endpoints
from harness.wording import agreeing, listed, plural

FEWEST_SEEDS = 3
_SHOWN_UNSCORED = 5


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
        *_unscored(scores),
        *declaration_caveats(scores.study),
        *_test_looks(scores),
        *_seen_elsewhere(scores),
        *brought_caveats(experiment, scores.study.experiment.data.audit),
        *writing_caveats(scores.study, experiment),
        *_seeds(arms),
        *(tuning_caveats(arms, sides) if experiment.trained_arms() else ranked_caveats(arms)),
        *_budgets(arms, experiment.budget),
        *_finalists(scores, experiment),
        *_lengths(scores, experiment),
        *_limits(experiment, arms),
        *latency_caveats(arms),
        *_served(experiment),
    ]


def missing_items(contrasts: Sequence[Contrast]) -> list[str]:
    """Sentences on items left out of comparisons."""
    sentences = []
    for contrast in contrasts:
        a, b, left_out, unscored = contrast.a, contrast.b, contrast.left_out, contrast.unscored
        if left_out:
            sentences.append(
                f"{plural(left_out, 'item')} of the test set {agreeing(left_out, 'is', 'are')} "
                f"missing for {a} or {b} and left out of their comparison."
            )
        if unscored:
            sentences.append(
                f"{plural(unscored, 'item')} of the test set could not be scored for {a} or {b} "
                f"and {agreeing(unscored, 'is', 'are')} left out of their comparison, not counted "
                f"as wrong{_as_worst(contrast)}."
            )
    return sentences


def _as_worst(contrast: Contrast) -> str:
    """A sentence's end on what is found where those count as the worst that the metric gives."""
    if contrast.unscored_as_worst is None:
        return ""
    found = (
        f"; counted as the worst, the difference is {contrast.unscored_as_worst:.3g} in place of "
        f"{contrast.difference:.3g}"
    )
    if not contrast.rests_on_missing:
        return found
    return f"{found}, which comes out otherwise: the comparison counts as inconclusive"


def leakage_caveats(
    audit: AuditRecord,
    primary: Contrast | None,
    sensitivity: Sensitivity | None,
) -> list[str]:
    """Sentences on items that share text with what was learnt from."""
    test, selection = items_of(audit.flagged["test"]), items_of(audit.selection)
    sentences = []
    if primary and primary.flagged:
        sentences.append(
            f"{plural(primary.flagged, 'item')} of the {primary.items:,} compared in the primary "
            f"contrast {agreeing(primary.flagged, 'shares', 'share')} text with training examples"
            f"{_of_brought(audit, primary)}; {_contrast_without(primary)}."
        )
    elif primary and test:
        sentences.append(
            f"The leakage audit flagged {plural(len(test), 'item')} of the test set, but the "
            "stored scores do not say which items they are of, so none could be left out."
        )
    if selection:
        sentences.append(
            f"{plural(len(selection), 'item')} of the test set "
            f"{agreeing(len(selection), 'shares', 'share')} text with validation, by which "
            "settings were selected."
        )
    if audit.general_not_audited:
        sentences.append(
            f"Not audited for leakage, since their items could not be read: "
            f"{', '.join(audit.general_not_audited)}."
        )
    for perturbation in sensitivity.perturbations if sensitivity else ():
        if perturbation.left_out == FLAGGED_ITEMS and perturbation.changed:
            sentences.append(
                "Without the items that share text with training the verdict would be: "
                f"{in_words(perturbation)}."
            )
    return sentences


def _of_brought(audit: AuditRecord, primary: Contrast) -> str:
    """Of which arms trained elsewhere these examples are, too."""
    arms = [
        arm
        for arm in (primary.a, primary.b)
        if items_of(audit.brought.get(arm, {}).get("test", {}))
    ]
    return f" of the study or of {listed(arms)}" if arms else ""


def _contrast_without(primary: Contrast) -> str:
    clean = primary.without_flagged
    if clean is None:
        return "too few are left without them for a comparison"
    if clean.outcome == primary.outcome:
        return "without them it comes out the same"
    return f"without them it comes out {clean.outcome}, not {primary.outcome}"


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
        if arm.seeds and len(arm.seeds) < FEWEST_SEEDS and depends_on_seed(arm)
    }
    once = [name for name, seeds in few.items() if seeds == 1]
    twice = [name for name in few if name not in once]
    sentences = []
    if once:
        sentences.append(
            f"Tested on one seed only: {', '.join(once)}. The intervals do not cover how much a "
            f"repeated run would differ; a full study uses at least {FEWEST_SEEDS} seeds."
        )
    if twice:
        sentences.append(
            f"Tested on two seeds only: {', '.join(twice)}; a full study uses at least "
            f"{FEWEST_SEEDS}."
        )
    return sentences


def depends_on_seed(arm: ArmSummary) -> bool:
    """Whether another seed could give the arm another score."""
    if kind_info(arm.kind).fine_tuned:
        return True
    params = arm.params
    drawn = params.get("selection", "random") in ("random", "balanced")
    return (drawn or params.get("order") == "shuffled") and params.get("shots", 1) != 0


def _budgets(arms: dict[str, ArmSummary], budget: Budget) -> list[str]:
    sentences = []
    # A trial that was stopped early was seen through: its setting was judged.
    seen = {name: arm.complete + arm.pruned for name, arm in arms.items() if arm.tuned}
    by_trials = budget.tokens is None and budget.minutes is None
    if by_trials and len(set(seen.values())) > 1:
        spent = ", ".join(f"{name} {n} of {arms[name].budget_trials}" for name, n in seen.items())
        sentences.append(f"The arms did not spend equal budgets (trials seen through: {spent}).")
    unsaid = [name for name, arm in arms.items() if arm.search_tokens is None]
    if budget.tokens is not None and unsaid:
        sentences.append(
            f"What tokens {listed(unsaid)} trained on was not told, and counts for nothing in "
            "budget.tokens: the search may have had more than that of the other arms."
        )
    failed = [f"{name} {arm.failed}" for name, arm in arms.items() if arm.failed]
    if failed:
        sentences.append(f"Some trials failed during the search: {', '.join(failed)}.")
    return sentences


def _finalists(scores: Scores, experiment: Experiment) -> list[str]:
    sentences = []
    for name in experiment.arms:
        failed = [t for t in scores.trials(name, "finalist") if t.status != "complete"]
        lost = sorted({t.seed for t in failed} - {t.seed for t in scores.finalists(name)})
        if lost:
            seeds = ", ".join(map(str, lost))
            sentences.append(f"The final run of {name} failed on seed {seeds} and is not counted.")
    return sentences


def _lengths(scores: Scores, experiment: Experiment) -> list[str]:
    """Sentences on training examples and prompts that are longer than a model takes."""
    whole = scores.study.experiment.splits.get("train", 0)
    sentences = []
    for name in experiment.trained_arms():
        trained = {trial.train_examples for trial in scores.finalists(name)} - {None}
        fewest = min((count for count in trained if count is not None), default=whole)
        if fewest < whole:
            sentences.append(
                f"{name} was trained on {fewest:,} of the {whole:,} training examples: the others "
                "are longer than its max_length or than the model reads, so it learnt from fewer "
                "than the prompts could draw on."
            )
    cut = {what for trial in scores.study.trials if trial.phase != "search" for what in trial.cut}
    return [*sentences, *(f"{what}." for what in sorted(cut))]


def _unscored(scores: Scores) -> list[str]:
    """Sentences on replies that metrics of the user's could not score, the searches' last."""
    trials = sorted(scores.study.trials, key=lambda trial: trial.phase == "search")
    told = dict.fromkeys(f"{trial.arm}, {what}" for trial in trials for what in trial.unscored)
    shown = [f"{what.rstrip('.')}." for what in told][:_SHOWN_UNSCORED]
    more = len(told) - len(shown)
    return [*shown, *([f"So it was in {plural(more, 'more score')}."] if more else [])]


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


__all__ = [
    "FEWEST_SEEDS",
    "caveats",
    "depends_on_seed",
    "leakage_caveats",
    "missing_items",
]
