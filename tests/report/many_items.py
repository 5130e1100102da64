"""Test items by the thousand, whose right counts are known without a browser."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from harness.findings import ArmSamples, ArmSummary, RunSamples, Samples
from harness.report import ReportView

from .example_study import arm, findings, study, view_of

LABELS = ("complaint", "praise", "question", "cancellation", "other")


def many_samples(items: int, arms: int, seeds: int = 1, words: int = 40) -> Samples:
    """Items with texts of ``words`` words; each arm is right at random, the later the oftener.

    Every tenth item's reply of the first arm is invalid. Every 1,000th text says ``needle``.
    """
    draw = np.random.default_rng(7)
    vocabulary = np.array([f"w{number:04}" for number in range(4000)])
    texts = [" ".join(row) for row in vocabulary[draw.integers(0, 4000, (items, words))]]
    texts = [f"{text} needle" if at % 1000 == 0 else text for at, text in enumerate(texts)]
    targets = [LABELS[at] for at in draw.integers(0, len(LABELS), items)]

    def run(place: int, seed: int) -> RunSamples:
        right = draw.random(items) < 0.5 + 0.08 * place
        invalid = [place == 0 and at % 10 == 0 for at in range(items)]
        return RunSamples(
            seed=seed,
            outputs=tuple(
                target if good else f"I think {text[:60]}"
                for target, text, good in zip(targets, texts, right, strict=True)
            ),
            scores=tuple(right.astype(float).tolist()),
            valid=tuple(not wrong for wrong in invalid),
        )

    found = []
    for place in range(arms):
        runs = tuple(run(place, seed) for seed in range(1, seeds + 1))
        mean = np.mean(np.array([one.scores for one in runs], dtype=np.float64), axis=0)
        found.append(ArmSamples(f"arm-{place}", runs, tuple(mean.tolist()), runs[0].valid))
    return Samples(
        doc_hashes=tuple(hashlib.sha256(text.encode()).hexdigest() for text in texts),
        item_ids=tuple(f"item-{at}" for at in range(items)),
        texts=tuple(texts),
        targets=tuple(targets),
        arms=tuple(found),
        higher_is_better=True,
        full=1.0,
    )


def examples_only(samples: Samples) -> ReportView:
    """A report of which only the examples are left: drawing charts is not what is tested."""
    kinds = {found.arm: "full" if at else "prompt" for at, found in enumerate(samples.arms)}
    rows = tuple(_summary(name, kind) for name, kind in kinds.items())
    view = view_of(study(), replace(findings(), arms=rows, primary=None), samples=samples)
    return replace(view, first=None, sections=(view.section("examples"),))


def _summary(name: str, kind: str) -> ArmSummary:
    return replace(arm("lora", 0.6), arm=name, kind=kind)
