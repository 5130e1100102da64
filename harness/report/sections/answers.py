"""The questions of the report, each with its answer in a sentence or two."""

from __future__ import annotations

from harness import wording
from harness.findings import Contrast, Forgetting
from harness.records import items_of
from harness.report.document import APPENDIX, Chapter
from harness.report.scales import scale_of
from harness.report.sections.contrasts import short_reading
from harness.report.sections.forgetting import FORGETTING
from harness.report.sections.material import Material
from harness.report.sections.outcome import difference_words, reading
from harness.wording import PER_CENT

BETTER, WHOM, LOSES, COST, CHANCE, RUN = "better", "whom", "loses", "costs", "chance", "ran"


def chapters(material: Material) -> tuple[Chapter, ...]:
    """The questions in the order in which a reader has them."""
    return (
        Chapter(BETTER, "Is it better?", _better(material)),
        Chapter(WHOM, "For whom, and for whom not?", _whom(material)),
        Chapter(LOSES, "What does it lose?", _loses(material)),
        Chapter(COST, "What does it cost?", _costs(material)),
        Chapter(CHANCE, "Could it be chance, luck of tuning, or a leak?", _chance(material)),
        Chapter(RUN, "What was run?", _ran(material)),
        APPENDIX,
    )


def _better(material: Material) -> str:
    contrast = material.findings.primary
    if contrast is None:
        return "Nothing was compared yet."
    scale = scale_of(contrast.metric)
    shown = difference_words(scale, contrast.difference, contrast.interval)
    items = wording.plural(contrast.items, "item")
    told = reading(contrast)
    told = wording.capitalised(told) if contrast.outcome == "inconclusive" else told
    return f"{told}. The difference is {shown} on {items}."


def _whom(material: Material) -> str:
    return f"{_parts(material)} {_items(material)}".strip()


def _items(material: Material) -> str:
    """On how many items each of the compared arms does better; empty where that is not known."""
    samples, contrast = material.samples, material.findings.primary
    scores = {arm.arm: arm.scores for arm in samples.arms} if samples else {}
    if samples is None or contrast is None or not {contrast.a, contrast.b} <= scores.keys():
        return ""
    pairs = zip(scores[contrast.a], scores[contrast.b], strict=True)
    gains = [gain for pair in pairs if (gain := samples.gain(*pair)) is not None]
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    return (
        f"Of {wording.plural(len(gains), 'test item')}, {wording.cell(contrast.a)} does better on "
        f"{better:,} and {wording.cell(contrast.b)} on {worse:,}."
    )


def _parts(material: Material) -> str:
    """On which parts of the test the arm to use does worse, or else who does better where."""
    slicing = material.findings.slicing
    if slicing is None or not slicing.slices:
        return ""
    parts = [part.contrast for part in slicing.slices]
    against = [part for part in slicing.slices if _lost(material, part.contrast)]
    if against:
        names = [f"{wording.cell(p.by, 40)}: {wording.cell(p.value, 60)}" for p in against[:3]]
        return (
            f"The arm to use does worse on {len(against):,} of {wording.plural(len(parts), 'part')}"
            f" of the test items: {wording.listed(names)}."
        )
    settled = [short_reading(part) for part in parts if part.outcome in ("better", "worse")]
    counts = [f"{name} on {settled.count(name):,}" for name in dict.fromkeys(settled)]
    told = wording.listed(counts) or "neither is shown to be better on any"
    return f"Of {wording.plural(len(parts), 'part')} of the test items: {told}."


def _lost(material: Material, contrast: Contrast) -> bool:
    winner = material.findings.verdict.winner
    return (winner, contrast.outcome) in ((contrast.a, "worse"), (contrast.b, "better"))


def _loses(material: Material) -> str:
    measures = [row for row in material.findings.forgetting if wording.is_number(row.mean_change)]
    if not measures:
        return "" if material.prompts_only else "What training cost was not measured."
    told = "; ".join(_lost_words(row) for row in measures)
    return f"Of general ability, on average and in the worst task: {told}."


def _lost_words(row: Forgetting) -> str:
    worst = next((task for task in row.tasks if task.task == row.worst_task), None)
    shown = f", {wording.cell(row.worst_task, 40)} {PER_CENT.difference(worst.change)}" if (
        worst is not None and row.worst_task
    ) else ""  # fmt: skip
    state = FORGETTING.get(row.outcome, row.outcome)
    return f"{wording.cell(row.arm)} {PER_CENT.difference(row.mean_change)} ({state}){shown}"


def _costs(material: Material) -> str:
    volume = material.experiment.cost.requests_per_month
    known = [
        f"{wording.cell(row.arm)} {wording.money(row.cost.first_year, material.currency)}"
        for row in material.compared()
        if row is not None and row.cost.first_year is not None
    ]
    if not known:
        return "" if not material.findings.arms else "The money of the compared arms is not known."
    return f"A year at {volume:,} requests a month, search and training in it: " + (
        f"{wording.listed(known)}."
    )


def _chance(material: Material) -> str:
    found = material.findings
    if found.primary is None:
        return ""
    told = []
    cut = found.sensitivity.perturbations if found.sensitivity else ()
    if cut:
        changed = sum(row.changed for row in cut)
        told.append(
            f"The verdict changes in {changed:,} of {wording.plural(len(cut), 'case')} in which a "
            "part of the evidence is left out."
        )
    shared = len(items_of(material.audit.flagged.get("test", {})))
    told.append(
        f"{wording.plural(shared, 'test item')} of "
        f"{material.study.experiment.splits.get('test', 0):,} "
        f"{wording.agreeing(shared, 'shares', 'share')} text with training."
    )
    return " ".join(told)


def _ran(material: Material) -> str:
    trials = material.study.trials
    if not trials:
        return "Nothing has run yet."
    splits = material.study.experiment.splits
    uses = {"train": "to learn from", "validation": "to choose with", "test": "to test on"}
    rows = [f"{splits[name]:,} {use}" for name, use in uses.items() if name in splits]
    seeds = wording.plural(len(material.experiment.seeds), "seed")
    return f"{wording.plural(len(trials), 'trial')} on {seeds}; of the rows {wording.listed(rows)}."


__all__ = ["BETTER", "CHANCE", "COST", "LOSES", "RUN", "WHOM", "chapters"]
