"""``python -m lab.simulation.replication``: real runs of an arm against itself.

The simulated studies draw scores from a model of how scores come about. Here they come from real
runs: one fine-tuned arm, and one prompt arm, on many seeds each. Three seeds against three others
are an arm against itself, so every difference found between them is false.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import harness
from harness.analysis.statistics.paired import compare, conclude_primary
from harness.analysis.statistics.scores import DOMAIN, Scores
from harness.findings import Contrast
from harness.records import ScoreVector, Study

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "simulation.md"
EXPERIMENTS = ("one-arm-many-times", "one-prompt-many-times")
START, END = "<!-- replication:start -->\n", "<!-- replication:end -->"
SEEDS_A_SIDE = 3
# Ways to form the pairs anew; they share runs, so these counts are not independent.
PAIRINGS = 50
LEVELS = (0.8, 0.9, 0.95)


def main(arguments: Sequence[str]) -> int:
    """Run the experiments or finish them, count, print, and write the table of the page."""
    results = Path(arguments[0]) if arguments else ROOT / "results" / "replication"
    files = [ROOT / "experiments" / f"{name}.yaml" for name in EXPERIMENTS]
    text = table([harness.run(harness.load(file), results=results).study for file in files])
    print(text)
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    PAGE.write_text(f"{before}{START}{text}{END}{rest.split(END)[1]}", encoding="utf-8")
    return 0


def table(studies: Sequence[Study]) -> str:
    """What was counted, as a Markdown table with a line on the seeds of each arm."""
    arms = [seeds_of(study) for study in studies]
    rows = [
        _row(what, contrasts, level)
        for what, contrasts in (
            *((f"{arm[0].arm}, disjoint pairs", pairs(arm, 1)) for arm in arms),
            ("both, disjoint pairs", [one for arm in arms for one in pairs(arm, 1)]),
            ("both, paired anew", [one for arm in arms for one in pairs(arm, PAIRINGS)]),
        )
        for level in LEVELS
    ]
    return (
        "| three seeds against three | level | a difference was found | share | promised, about |\n"
        "|---|---|---|---|---|\n" + "".join(rows) + "\n" + "\n".join(map(described, arms)) + "\n"
    )


def _row(what: str, contrasts: Sequence[Contrast], level: float) -> str:
    found = sum(one.p_value < 1 - level for one in contrasts)
    return (
        f"| {what} | {level:.0%} | {found} of {len(contrasts):,} "
        f"| {found / len(contrasts):.1%} | {1 - level:.0%} |\n"
    )


def described(vectors: Sequence[ScoreVector]) -> str:
    """How much the seeds of an arm differ, in a sentence."""
    means = [float(np.mean(vector.values)) * 100 for vector in vectors]
    return (
        f"{vectors[0].arm}: {len(vectors)} seeds, {len(vectors[0].values)} test items, "
        f"{np.mean(means):.1f} % right on average, with a standard deviation of "
        f"{np.std(means, ddof=1):.1f} points between seeds."
    )


def seeds_of(study: Study) -> list[ScoreVector]:
    """Test scores of the only arm, one vector a seed."""
    scores = Scores(study)
    (arm,) = scores.experiment.arms
    return scores.vectors(arm, scores.experiment.task.primary_metric, task=DOMAIN, split="test")


def pairs(vectors: Sequence[ScoreVector], pairings: int) -> list[Contrast]:
    """The arm against itself in disjoint pairs; in ``pairings`` ways, which share runs."""
    return [
        contrast
        for pairing in range(pairings)
        for contrast in paired(vectors, np.random.default_rng(pairing))
    ]


def paired(vectors: Sequence[ScoreVector], generator: np.random.Generator) -> list[Contrast]:
    """The arm against itself, in as many pairs as there are seeds for."""
    order = generator.permutation(len(vectors))
    sides = [
        [vectors[place] for place in order[start : start + SEEDS_A_SIDE]]
        for start in range(0, len(order) - SEEDS_A_SIDE + 1, SEEDS_A_SIDE)
    ]
    found = []
    for one, other in zip(sides[::2], sides[1::2], strict=False):
        comparison = compare(
            one, other, margin=0.05, level=0.95, resamples=2000, generator=generator
        )
        if comparison is not None:
            found.append(conclude_primary(comparison))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
