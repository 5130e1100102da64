"""What several studies say together, in one sentence, and what to keep in mind with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from harness import wording
from harness.findings import (
    OUTCOME_LABELS,
    ComparedStudy,
    Contrast,
    PairedAcross,
    StudyComparison,
    UnpairedAcross,
)
from harness.report.compare_changes import changes_of
from harness.report.document import VerdictView
from harness.report.naming import metric_name
from harness.report.scales import scale_of

Across = TypeVar("Across", PairedAcross, UnpairedAcross)

LABELS_OF_REFUSAL = {
    "scores": "scores",
    "pairing": "item by item",
    "general": "general abilities",
}
# Outcome of the leading differences -> label, and the study outcome whose colour it has.
OUTCOMES = {
    "better": ("Better", "fine_tune"),
    "worse": ("Worse", "forgets_too_much"),
    "equivalent": ("No difference that matters", "equivalent"),
    "inconclusive": ("Not decided yet", "inconclusive"),
    "mixed": ("It depends", "equivalent"),
    "unpaired": ("Not told apart from the items", "inconclusive"),
    "refused": ("Not comparable", "inconclusive"),
}
STATES = {
    "better": "is better",
    "worse": "is worse",
    "equivalent": "does as well",
    "inconclusive": "is not told apart",
}


def comparison_verdict(comparison: StudyComparison) -> VerdictView:
    """The decision in words: the best arms of each study against those of the reference."""
    changed = {
        study.label: changes_of(comparison, place).arms
        for place, study in enumerate(comparison.studies)
    }
    leading = [
        pair
        for study in comparison.studies[1:]
        for pair in _first(comparison.paired, study, changed[study.label])
    ]
    samples = [
        pair
        for study in comparison.studies[1:]
        for pair in _first(comparison.unpaired, study, changed[study.label])
    ]
    outcomes: set[str] = {pair.contrast.outcome for pair in leading}
    if samples:
        outcomes.add("unpaired")
    outcome = "mixed" if len(outcomes) > 1 else next(iter(outcomes), "refused")
    label, colour = OUTCOMES[outcome]
    sentences = [*map(_paired, leading), *map(_unpaired, samples)]
    headline = sentences.pop() if len(sentences) == len(comparison.studies) - 1 == 1 else ""
    foremost = {id(pair) for pair in (*leading, *samples)}
    more = [
        _paired(pair) for pair in comparison.paired if pair.leading and id(pair) not in foremost
    ]
    more += [
        _unpaired(pair) for pair in comparison.unpaired if pair.leading and id(pair) not in foremost
    ]
    return VerdictView(
        outcome=colour,
        label=label,
        headline=headline or _headline(comparison, leading, samples),
        detail=_verdicts(comparison.studies),
        reasons=(*sentences, *more, *_attribution(comparison)),
        caveats=tuple(_caveats(comparison)),
        figures=(),
    )


def _headline(
    comparison: StudyComparison,
    leading: Sequence[PairedAcross],
    samples: Sequence[UnpairedAcross],
) -> str:
    """What became of each study, in a few words."""
    states = []
    for study in comparison.studies[1:]:
        state = "is not comparable"
        if any(pair.study == study.label for pair in samples):
            state = "was tested on other items"
        for pair in leading:
            if pair.study == study.label:
                state = STATES[pair.contrast.outcome]
        states.append(f"{wording.cell(study.label)} {state}")
    return f"Compared with {wording.cell(comparison.studies[0].label)}: {'; '.join(states)}."


def _of(arm: str, study: str) -> str:
    return f"{wording.cell(arm)} of {wording.cell(study)}"


def _first(
    differences: tuple[Across, ...], study: ComparedStudy, changed: frozenset[str] | None
) -> list[Across]:
    """The study's foremost difference: that of fine-tuned arms, else of prompt arms.

    Where settings of some arms are all that was changed, one of these: the others only show
    chance.

    Args:
        changed: those arms; None where something else was changed, or nothing.
    """
    own = [pair for pair in differences if pair.study == study.label]
    for pair in sorted(own, key=lambda pair: not pair.leading):
        if changed is not None and not changed.isdisjoint((pair.arm, pair.reference_arm)):
            return [pair]
    return [pair for pair in own if pair.leading][:1]


def _paired(pair: PairedAcross) -> str:
    contrast = pair.contrast
    scale = scale_of(contrast.metric)
    name = wording.cell(contrast.label, 60) or metric_name(contrast.metric)
    against = _of(pair.reference_arm, pair.reference)
    within = scale.difference_interval(contrast.interval)
    size = (
        f"{scale.difference(contrast.difference)} ({wording.level(contrast.interval)} interval "
        f"{within})"
    )
    scores = (
        f"{scale.score(contrast.mean_a)} against {scale.score(contrast.mean_b)} in {name} on "
        f"{wording.plural(contrast.items, 'common test item')}"
    )
    return f"{_of(pair.arm, pair.study)} {_reading(contrast)} {against}: {scores}, {size}."


def _reading(contrast: Contrast) -> str:
    return {
        "better": "is better than",
        "worse": "is worse than",
        "equivalent": "does as well as",
        "inconclusive": "is not told apart from",
    }[contrast.outcome]


def _unpaired(pair: UnpairedAcross) -> str:
    scale = scale_of(pair.metric)
    return (
        f"{_of(pair.arm, pair.study)} scores {scale.score(pair.mean)} in "
        f"{wording.cell(pair.label, 60)} on its own test items, "
        f"{_of(pair.reference_arm, pair.reference)} {scale.score(pair.reference_mean)} on "
        f"others: {scale.difference(pair.difference)} ({wording.level(pair.interval)} interval "
        f"{scale.difference_interval(pair.interval)}), items and settings together."
    )


def _verdicts(studies: tuple[ComparedStudy, ...]) -> str:
    outcomes = {study.verdict.outcome for study in studies}
    if len(outcomes) == 1:
        return f"All of them say: {OUTCOME_LABELS[studies[0].verdict.outcome]}."
    each = "; ".join(
        f"{wording.cell(study.label)}: {OUTCOME_LABELS[study.verdict.outcome]}" for study in studies
    )
    return f"Their own verdicts differ. {each}."


def _attribution(comparison: StudyComparison) -> list[str]:
    """What a difference can be put down to, study by study."""
    sentences = []
    for place, study in enumerate(comparison.studies[1:], start=1):
        compared = [row.study for row in comparison.paired] + [
            row.study for row in comparison.unpaired
        ]
        if study.label not in compared:
            continue
        changes = changes_of(comparison, place)
        sentences.append(changes.sentence(comparison.studies[0].label, study.label))
    return sentences


def _caveats(comparison: StudyComparison) -> list[str]:
    sentences = []
    if comparison.paired or comparison.unpaired:
        sentences.append(
            "No difference between experiments was declared before they ran; p-values are raised "
            "for their number, and a finding is best confirmed on fresh test items."
        )
    if comparison.paired:
        sentences.append(
            "Experiments that share test items share their luck: whichever is chosen by its test "
            "score looks better here than it is."
        )
    for study in comparison.studies:
        if study.untested and len(study.untested) < len(study.arms):
            names = wording.listed([wording.cell(arm) for arm in study.untested])
            sentences.append(
                f"{wording.cell(study.label)} is not finished: {names} "
                f"{'has' if len(study.untested) == 1 else 'have'} no test result."
            )
        seeds = {len(row.seeds) for row in study.arms if row.seeds}
        if seeds == {1}:
            sentences.append(
                f"{wording.cell(study.label)} was tested on one seed: another run of it may differ "
                "by more than the intervals say."
            )
    if comparison.refusals:
        number = wording.plural(len(comparison.refusals), "comparison")
        sentences.append(f"{number} refused: the reasons, and what to do, stand below.")
    return sentences


__all__ = ["LABELS_OF_REFUSAL", "comparison_verdict"]
