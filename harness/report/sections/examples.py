"""Test items on which the best fine-tuned and the best prompt arm differ most, and all others."""

from __future__ import annotations

from collections.abc import Sequence

from harness import wording
from harness.findings import ArmSamples, ArmSummary, RunSamples, Samples
from harness.report.document import Block, Example, Examples, Prose, Section, Unmeasured
from harness.report.sections.explorer import build_explorer, name_of
from harness.report.sections.material import Material

HEADING = "Examples"
EACH_WAY = 1
EMPTY = "(empty reply)"


def examples_section(material: Material) -> Section:
    """The item that differs most in each direction, with both replies; then the list of all."""
    samples = material.samples
    if samples is None or not samples.arms:
        how = "No reply was kept; a study keeps those of its final runs."
        missing = Unmeasured("Replies to look at", how)
        return Section("examples", HEADING, (missing,))
    a, b = (_of(samples, arm) for arm in material.compared())
    first, last = a or samples.arms[0], b or samples.arms[-1]
    explorer = build_explorer(material, samples, (first.arm, last.arm))
    if a is None or b is None:
        return Section("examples", HEADING, (Prose("No pair of arms to compare."), explorer))
    return Section("examples", HEADING, (*_differences(material, samples, a, b), explorer))


def _of(samples: Samples, arm: ArmSummary | None) -> ArmSamples | None:
    return next(
        (arm_samples for arm_samples in samples.arms if arm and arm_samples.arm == arm.arm), None
    )


def _differences(
    material: Material, samples: Samples, a: ArmSamples, b: ArmSamples
) -> Sequence[Block]:
    run, other_run = a.runs[0], b.runs[0]
    gains = [
        (gain, samples.doc_hashes[at], at)
        for at, pair in enumerate(zip(run.scores, other_run.scores, strict=True))
        if (gain := samples.gain(*pair)) is not None
    ]
    if not gains:
        return (Prose("No item was scored for both arms."),)
    ranked = [(gain, at) for gain, _, at in sorted(gains, key=lambda row: (-row[0], row[1]))]
    better = [at for gain, at in ranked if gain > 0]
    worse = [at for gain, at in reversed(ranked) if gain < 0]
    name, other_name = wording.cell(a.arm), wording.cell(b.arm)
    intro = (
        f"Test items on which {name} and {other_name} differ most, one seed each. They illustrate; "
        "the numbers decide."
    )
    runs = ((name, run), (other_name, other_run))
    shown = [
        Examples(
            f"{title} did better",
            tuple(_example(material, samples, at, runs) for at in places[:EACH_WAY]),
        )
        for title, places in ((name, better), (other_name, worse))
        if places
    ]
    return (Prose(intro), *shown)


def _example(
    material: Material, samples: Samples, at: int, runs: Sequence[tuple[str, RunSamples]]
) -> Example:
    return Example(
        item=f"Item {name_of(samples, at)}",
        text=wording.clean(samples.texts[at]),
        target=wording.clean(samples.targets[at]),
        replies=tuple(
            (
                f"{name} (score {material.scale.score(run.scores[at])})",
                wording.clean(run.outputs[at] or "") or EMPTY,
            )
            for name, run in runs
        ),
    )
