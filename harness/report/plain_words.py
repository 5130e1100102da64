"""What the words of the verdict mean, for who reads a report for the first time."""

from __future__ import annotations

from harness.report import wording
from harness.report.document import Facts, Prose, Section
from harness.report.material import BASE, Material

KINDS = {
    "prompt": "the model as it is, told in words what to do (a prompt)",
    "full": "the model after all its weights were trained on examples of the task",
    "lora": "the model with a small set of added weights that were trained on examples of the task",
    "qlora": "the same added weights, on a model shrunk to 4 bits so that it needs less memory",
}


def plain_section(material: Material) -> Section:
    """The arms and the terms that the verdict speaks of, each in a sentence."""
    items = [
        (wording.cell(arm), f"{KINDS[material.kind_of(arm)]}.")
        for arm in _spoken_of(material)
        if material.kind_of(arm) in KINDS
    ]
    if material.metric in wording.METRICS:
        name, meaning = wording.METRICS[material.metric]
        items.append((wording.capitalised(name), f"the score here: {meaning}."))
    items += [
        (
            "Interval",
            "the range in which the true value plausibly lies. A difference whose interval holds 0 "
            "may be chance: that is not decided, which is not the same as equal.",
        ),
        (
            "General ability",
            "what the untouched model could do on other tasks. Fine-tuning can make it forget some "
            "of that; a change below zero is a loss.",
        ),
    ]
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
