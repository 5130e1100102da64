"""What several studies say together, in one sentence, and what to keep in mind with it."""

from __future__ import annotations

from typing import TypeVar

from harness.findings import (
    ComparedStudy,
    Contrast,
    PairedAcross,
    StudyComparison,
    UnpairedAcross,
)
from harness.report import wording
from harness.report.document import VerdictView
from harness.report.outcome import LABELS
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
# Where model and data lie; what they hold is told by their fingerprints.
PLACES = frozenset({"model.reference", "data.source"})
# Parts of the setting that can change a score on the task.
SCORING = {
    "model": "the model",
    "data": "the data",
    "task": "the task's wording",
    "arms": "the arms",
    "search": "the search",
    "machine": "versions or machine",
}


def comparison_verdict(found: StudyComparison) -> VerdictView:
    """The decision in words: the best arms of each study against those of the reference."""
    leading = [one for study in found.studies[1:] for one in _first(found.paired, study)]
    samples = [one for study in found.studies[1:] for one in _first(found.unpaired, study)]
    outcomes: set[str] = {one.contrast.outcome for one in leading}
    if samples:
        outcomes.add("unpaired")
    outcome = "mixed" if len(outcomes) > 1 else next(iter(outcomes), "refused")
    label, colour = OUTCOMES[outcome]
    sentences = [*map(_paired, leading), *map(_unpaired, samples)]
    headline = sentences.pop() if len(sentences) == len(found.studies) - 1 == 1 else ""
    told = {id(one) for one in (*leading, *samples)}
    more = [_paired(one) for one in found.paired if one.leading and id(one) not in told]
    more += [_unpaired(one) for one in found.unpaired if one.leading and id(one) not in told]
    return VerdictView(
        outcome=colour,
        label=label,
        headline=headline or _headline(found),
        detail=_verdicts(found.studies),
        reasons=(*sentences, *more, *_attribution(found)),
        caveats=tuple(_caveats(found)),
        figures=(),
    )


def _headline(found: StudyComparison) -> str:
    """What became of each study, in a few words."""
    told = []
    for study in found.studies[1:]:
        state = "is not comparable"
        if _first(found.unpaired, study):
            state = "was tested on other items"
        for one in _first(found.paired, study):
            state = STATES[one.contrast.outcome]
        told.append(f"{wording.cell(study.label)} {state}")
    return f"Compared with {wording.cell(found.studies[0].label)}: {'; '.join(told)}."


def _of(arm: str, study: str) -> str:
    return f"{wording.cell(arm)} of {wording.cell(study)}"


def _first(found: tuple[Across, ...], study: ComparedStudy) -> list[Across]:
    """The study's foremost leading difference: that of fine-tuned arms, else of prompt arms."""
    return [one for one in found if one.study == study.label and one.leading][:1]


def _paired(one: PairedAcross) -> str:
    contrast = one.contrast
    scale = scale_of(contrast.metric)
    name = wording.metric(contrast.metric)
    against = _of(one.reference_arm, one.reference)
    within = scale.difference_interval(contrast.interval)
    size = (
        f"{scale.difference(contrast.difference)} ({wording.level(contrast.interval)} interval "
        f"{within})"
    )
    scores = (
        f"{scale.score(contrast.mean_a)} against {scale.score(contrast.mean_b)} in {name} on "
        f"{wording.plural(contrast.items, 'common test item')}"
    )
    return f"{_of(one.arm, one.study)} {_reading(contrast)} {against}: {scores}, {size}."


def _reading(contrast: Contrast) -> str:
    return {
        "better": "is better than",
        "worse": "is worse than",
        "equivalent": "does as well as",
        "inconclusive": "is not told apart from",
    }[contrast.outcome]


def _unpaired(one: UnpairedAcross) -> str:
    scale = scale_of(one.metric)
    return (
        f"{_of(one.arm, one.study)} scores {scale.score(one.mean)} in {wording.metric(one.metric)} "
        f"on its own test items, {_of(one.reference_arm, one.reference)} "
        f"{scale.score(one.reference_mean)} on others: {scale.difference(one.difference)} "
        f"({wording.level(one.interval)} interval {scale.difference_interval(one.interval)}), "
        "items and settings together."
    )


def _verdicts(studies: tuple[ComparedStudy, ...]) -> str:
    said = {study.verdict.outcome for study in studies}
    if len(said) == 1:
        return f"All of them say: {LABELS[studies[0].verdict.outcome]}."
    each = "; ".join(
        f"{wording.cell(study.label)}: {LABELS[study.verdict.outcome]}" for study in studies
    )
    return f"Their own verdicts differ. {each}."


def _attribution(found: StudyComparison) -> list[str]:
    """What a difference can be put down to, study by study."""
    sentences = []
    for place, study in enumerate(found.studies[1:], start=1):
        compared = [one.study for one in found.paired] + [one.study for one in found.unpaired]
        if study.label not in compared:
            continue
        changed = [
            one
            for one in found.settings
            if one.part in SCORING
            and one.setting not in PLACES
            and one.values[place] != one.values[0]
        ]
        parts = [name for part, name in SCORING.items() if part in {one.part for one in changed}]
        pair = f"{wording.cell(found.studies[0].label)} and {wording.cell(study.label)}"
        if not changed:
            text = f"Between {pair} nothing differs that could change a score, but chance."
        elif len(changed) == 1:
            text = f"Between {pair} only {wording.cell(changed[0].setting)} differs."
        else:
            text = (
                f"Between {pair} {len(changed)} settings differ ({wording.listed(parts)}): what "
                "changed in the score belongs to all of them together."
            )
        sentences.append(text)
    return sentences


def _caveats(found: StudyComparison) -> list[str]:
    sentences = []
    if found.paired or found.unpaired:
        sentences.append(
            "No difference between experiments was declared before they ran; p-values are raised "
            "for their number, and a finding is best confirmed on fresh test items."
        )
    if found.paired:
        sentences.append(
            "Experiments that share test items share their luck: whichever is chosen by its test "
            "score looks better here than it is."
        )
    for study in found.studies:
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
    if found.refusals:
        number = wording.plural(len(found.refusals), "comparison")
        sentences.append(f"{number} refused: the reasons, and what to do, stand below.")
    return sentences


__all__ = ["LABELS_OF_REFUSAL", "comparison_verdict"]
