"""What the words of the verdict mean, for who reads a report for the first time."""

from __future__ import annotations

from harness import wording
from harness.report.document import Facts, Prose, Section
from harness.report.sections.material import BASE, Material


def plain_section(material: Material) -> Section:
    """The arms and the terms that the verdict speaks of, each in a sentence."""
    items = [
        (wording.cell(arm), f"{kind.meaning}.")
        for arm in _spoken_of(material)
        if (kind := material.kind_of(arm))
    ]
    metric = material.experiment.task.primary
    items.append(
        (
            wording.capitalised(material.metric_name),
            f"the score here: {wording.cell(metric.meaning, 300)}.",
        )
    )
    items += [
        (
            "Interval",
            "the range in which the true value plausibly lies. A difference whose interval holds 0 "
            "may be chance: that is not decided, which is not the same as equal.",
        ),
    ]
    if not material.prompts_only:
        items.append(
            (
                "General ability",
                "what the untouched model could do on other tasks. Fine-tuning can make it forget "
                "some of that; a change below zero is a loss.",
            )
        )
    intro = (
        "Several ways of using one model, called arms, did the same task. They were compared on "
        "examples that none of them had seen before."
    )
    return Section("plain", "In plain words", (Prose(intro), Facts(tuple(items))))


def _spoken_of(material: Material) -> tuple[str, ...]:
    """The compared arms; every arm where nothing was compared."""
    contrast = material.findings.primary
    arms = (contrast.a, contrast.b) if contrast else material.arms
    return tuple(arm for arm in arms if arm != BASE)
