"""The decision and the contrast it rests on."""

from __future__ import annotations

import re
from collections.abc import Callable

from harness import wording
from harness.answers.metrics import METRICS
from harness.findings import OUTCOME_LABELS, ArmSummary, Contrast, Interval
from harness.report.document import Facts, Prose, Section, Unmeasured, VerdictView
from harness.report.scales import scale_of
from harness.report.sections.material import Material
from harness.wording import PER_CENT, Scale

# Characters of a sentence of the analysis: the longest names every sign of a weak fine-tuning.
SENTENCE_LIMIT = 2000
FORGETTING = {"kept": "kept", "forgot": "lost", "inconclusive": "undecided"}


_BY_PEOPLE = ", corrected by people's marks,"


def verdict_view(material: Material) -> VerdictView:
    """The verdict with the few numbers that carry it."""
    verdict = material.findings.verdict
    label = OUTCOME_LABELS.get(verdict.outcome, wording.cell(verdict.outcome))
    lines = {line for step in material.findings.next_steps for line in step.lines}
    headline, stop, detail = _split(_sentence(verdict.sentence))
    return VerdictView(
        outcome=verdict.outcome,
        label=label,
        headline=headline + stop,
        detail=detail,
        reasons=tuple(
            _sentence(new)
            for text in verdict.reasons
            if (new := _new(text, verdict.sentence)) and not _is_step(new, lines)
        ),
        caveats=tuple(_sentence(text) for text in verdict.caveats),
        figures=_key_figures(material),
    )


def _sentence(text: str) -> str:
    """A sentence from the analysis; no line ends between a number and its sign."""
    return re.sub(r"(?<=\d) %", "\u00a0%", wording.cell(text, limit=SENTENCE_LIMIT))


def _new(text: str, told: str) -> str:
    """What of the text has not been told, sentence by sentence."""
    if text in told:
        return ""
    known, sentences = (re.split(r"(?<=\.) (?=[A-Z])", words) for words in (told, text))
    return " ".join(sentence for sentence in sentences if sentence not in known)


def _is_step(text: str, lines: set[str]) -> bool:
    """Whether the text names nothing but lines that stand among the next steps."""
    named = text.removeprefix(wording.RUN_NEXT)
    return named != text and lines.issuperset(named.removesuffix(".").split("; "))


def _split(sentence: str) -> tuple[str, str, str]:
    """First sentence, its full stop, and the rest."""
    headline, stop, detail = sentence.partition(". ")
    return headline, stop.strip(), detail


def _key_figures(material: Material) -> tuple[tuple[str, str], ...]:
    contrast = material.findings.primary
    name = material.metric_name
    sides = _sides(material)
    scale = material.scale
    figures = [_side_figure(material, title, row) for title, row in sides]
    if contrast is not None:
        within = _within(contrast.interval, scale.difference_interval)
        figures.append((f"Difference in {name}{within}", scale.difference(contrast.difference)))
    for forgetting in material.findings.forgetting:
        if forgetting.arm in {row.arm for _, row in sides}:
            state = FORGETTING.get(forgetting.outcome, forgetting.outcome)
            within = _within(forgetting.interval, PER_CENT.difference_interval)
            term = f"Change in general ability of {wording.cell(forgetting.arm)} ({state}){within}"
            figures.append((term, PER_CENT.difference(forgetting.mean_change)))
    if material.findings.verdict.items_needed is not None:
        needed = wording.count(material.findings.verdict.items_needed)
        figures.append(("Test items that would settle it", f"about {needed}"))
    return tuple(figures)


def _side_figure(material: Material, title: str, row: ArmSummary) -> tuple[str, str]:
    """An arm's score; what people would say where they correct a judge, as in the difference."""
    contrast, scale = material.findings.primary, material.scale
    named = f"{title} ({wording.cell(row.arm)})"
    if contrast is not None and contrast.corrected and row.arm in (contrast.a, contrast.b):
        mean = contrast.mean_a if row.arm == contrast.a else contrast.mean_b
        return f"{named}{_BY_PEOPLE.rstrip(',')}", scale.score(mean)
    return f"{named}{_within(row.test_interval, scale.interval)}", scale.score(row.test)


def _within(interval: Interval | None, written: Callable[[Interval, str], str]) -> str:
    """``, 95 % interval 0.41 to 0.52``; empty where there is none."""
    bounds = written(interval, "") if interval else ""
    return f", {wording.level(interval)} interval {bounds}" if interval and bounds else ""


def _sides(material: Material) -> list[tuple[str, ArmSummary]]:
    """The two arms that were compared, each under what it stands for."""
    contrast = material.findings.primary
    rows = {row.arm: row for row in material.findings.arms}
    if contrast is not None and material.prompts_only:
        titles = {"Prompt arm picked on validation": contrast.a, "Prompt arm": contrast.b}
        return [(title, rows[arm]) for title, arm in titles.items() if arm in rows]
    if contrast is not None and material.trains(contrast.b):
        arms = (contrast.a, contrast.b)
        return [("Fine-tuned arm", rows[arm]) for arm in arms if arm in rows]
    titled = []
    declared = material.experiment.contrast
    for kind, arm, row in (
        ("fine-tuned arm", declared.fine_tuned, material.best(prompt=False)),
        ("prompt arm", declared.against, material.best(prompt=True)),
    ):
        if row is not None:
            named = row.arm == arm
            titled.append((wording.capitalised(kind) if named else f"Best {kind}", row))
    return titled


def primary_section(material: Material) -> Section:
    """The contrast that was declared before the run."""
    contrast = material.findings.primary
    if contrast is None:
        needed = "two prompt arms" if material.prompts_only else "a fine-tuned arm and a prompt arm"
        missing = Unmeasured(
            "The primary contrast", f"It needs {needed} that were both scored on the test set."
        )
        return Section("primary", "The question that was asked", (missing,))
    a, b = wording.cell(contrast.a), wording.cell(contrast.b)
    scale = scale_of(contrast.metric)
    counts = ("What it counts", f"{_meaning(material, contrast)}.")
    left_out = ("Not compared", not_compared(contrast, "none: both arms answered every item"))
    clean = (
        "Without items that share text with training", _without_flagged(material, contrast)
    )  # fmt: skip
    facts = [
        (
            "Measure",
            f"{material.named(contrast.metric)}{_BY_PEOPLE if contrast.corrected else ''} on the "
            f"{wording.cell(contrast.split)} set",
        ),
        *([] if contrast.metric in METRICS else [counts]),
        ("Margin", f"differences within ±{scale.margin(contrast.margin)} count as none"),
        ("p-value", _p_value(material, contrast)),
        ("Based on", _basis(contrast)),
        *([left_out] if contrast.left_out or contrast.unscored else []),
        *([clean] if contrast.flagged else []),
        (
            "Smallest difference this test can find",
            f"{scale.gap(contrast.minimum_detectable)} (with 80 % power)",
        ),
    ]
    # What the verdict and the chapter's answer say already, and what is as it should be.
    repeated = [
        ("Compared", f"{_named(material, contrast.a)} against {_named(material, contrast.b)}"),
        counts,
        ("Scores", f"{a} {scale.score(contrast.mean_a)}, {b} {scale.score(contrast.mean_b)}"),
        ("Difference", difference_words(scale, contrast.difference, contrast.interval)),
        ("Reading", reading(contrast)),
        left_out,
        clean,
    ]
    equal = contrast.equivalence_interval
    if contrast.outcome == "equivalent" and equal and scale.difference_interval(equal, ""):
        bounds = scale.difference_interval(equal)
        text = f"{bounds} ({wording.level(equal)}), all within ±{scale.margin(contrast.margin)}"
        facts.insert(2, ("Interval for being equal", text))
    if contrast.outcome == "inconclusive" and material.findings.verdict.rule != "nothing_right":
        needed = wording.count(contrast.items_needed, "more items alone would not settle it")
        facts.append(("Items needed to settle it", needed))
    intro = (
        f"Declared before anything ran: {_question(material, contrast)}, item by item, on data "
        f"that no arm had seen. Positive is better for {a}."
    )
    told = Facts(tuple(pair for pair in repeated if pair not in facts), folded=True)
    blocks = (Prose(intro), told, Facts(tuple(facts)))
    return Section("primary", "The question that was asked", blocks)


def _meaning(material: Material, contrast: Contrast) -> str:
    """What the metric counts, in words."""
    info = METRICS.get(contrast.metric) or material.experiment.task.metric_info(contrast.metric)
    return wording.cell(info.meaning, 300) if info else wording.cell(contrast.metric)


def _question(material: Material, contrast: Contrast) -> str:
    if material.prompts_only:
        second = (
            "the arm named"
            if contrast.b == material.experiment.contrast.against
            else "the one that came second there"
        )
        return f"the prompt arm picked on validation against {second}"
    if material.trains(contrast.b):
        return "one fine-tuned arm against another"
    return "the best fine-tuned arm against the best prompt arm"


def _p_value(material: Material, contrast: Contrast) -> str:
    shown = f"{wording.p_value(contrast.p_value)} ({wording.cell(contrast.test)})"
    family = len(material.findings.secondary) + 1
    if not material.prompts_only or family == 1:
        return shown
    return (
        f"{shown}; {wording.p_value(contrast.p_adjusted)} after Holm's correction for the "
        f"{family} contrasts of the ranking"
    )


def not_compared(contrast: Contrast, none: str) -> str:
    """Test items outside a comparison, and why; ``none`` where all are in it."""
    parts = []
    if contrast.left_out:
        parts.append(f"{wording.count(contrast.left_out)} that one arm lacks")
    if contrast.unscored:
        parts.append(
            f"{wording.count(contrast.unscored)} that could not be scored{_as_worst(contrast)}"
        )
    return wording.listed(parts) if parts else none


def _as_worst(contrast: Contrast) -> str:
    if contrast.unscored_as_worst is None:
        return ""
    again = scale_of(contrast.metric).difference(contrast.unscored_as_worst)
    return f" (with the worst value for what is missing the difference is {again})"


def _without_flagged(material: Material, contrast: Contrast) -> str:
    if not contrast.flagged:
        return "no item compared was flagged"
    number = f"{wording.plural(contrast.flagged, 'item')} flagged"
    left = contrast.without_flagged
    if left is None:
        return f"{number}; too few are left to compare without them"
    again = difference_words(scale_of(contrast.metric), left.difference, left.interval)
    words = {"better": "better", "worse": "worse", "equivalent": "equivalent"}
    outcome = (
        "the same outcome"
        if left.outcome == contrast.outcome
        else f"another outcome: {words.get(left.outcome, 'undecided')}"
    )
    return f"{number}; on the other {wording.count(left.items)} {again}, {outcome}"


def _named(material: Material, arm: str) -> str:
    kind = material.kind_of(arm)
    return f"{wording.cell(arm)} ({kind.label})" if kind else wording.cell(arm)


def difference_words(scale: Scale, difference: float, interval: Interval) -> str:
    """A difference with its interval, where it has one."""
    bounds = scale.difference_interval(interval, missing="")
    shown = scale.difference(difference)
    return f"{shown} ({wording.level(interval)} interval {bounds})" if bounds else shown


def reading(contrast: Contrast) -> str:
    """What a contrast says, in words."""
    a, b = wording.cell(contrast.a), wording.cell(contrast.b)
    if contrast.rests_on_missing:
        return "undecided: it would rest on what could not be scored"
    return {
        "better": f"{a} is better than {b}",
        "worse": f"{a} is worse than {b}",
        "equivalent": f"{a} and {b} are equivalent: the interval lies within the margin",
        "inconclusive": f"undecided: the data cannot tell {a} and {b} apart, nor call them equal",
    }.get(contrast.outcome, contrast.outcome)


def _basis(contrast: Contrast) -> str:
    seeds = (
        wording.plural(contrast.seeds_a, "seed")
        if contrast.seeds_a == contrast.seeds_b
        else f"{contrast.seeds_a} and {contrast.seeds_b} seeds"
    )
    items = wording.plural(contrast.items, "item")
    groups = "" if contrast.clusters == contrast.items else f" in {contrast.clusters:,} groups"
    return f"{items}{groups}, {seeds}"
