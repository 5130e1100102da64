"""A judge over a drawn study: what people would say is known, the judge favours one side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.records import CalibrationRow, ItemRow, Study

JUDGE = "quality"
TASK: dict[str, Any] = {
    "instruction": "Answer the customer.",
    "answer": {"kind": "text", "column": "answer"},
    "metrics": [f"judge:{JUDGE}"],
}
JUDGES: dict[str, Any] = {
    JUDGE: {"model": "smollm2-135m-instruct", "rubric": "Is it a good answer?", "scale": [0, 1]}
}


@dataclass(frozen=True, slots=True)
class Judge:
    """What a judge is like, and how many of its marks people check."""

    favour: float = 0.1
    """What it adds to the marks of fine-tuned arms."""
    slope: float = 0.7
    """What it makes of a difference of one in people's marks."""
    noise: float = 0.15
    """Standard deviation of its error on one reply."""
    marked: int = 40
    """Test items of which people mark a reply of each arm; 0 for none."""


def as_judged(study: Study, judge: Judge, generator: np.random.Generator) -> Study:
    """The study, whose scores were people's marks, as the judge sees it.

    People mark the first items, which are drawn like all others: of each arm the reply of a run
    that is drawn item by item.
    """
    kinds = {trial.arm: trial.kind for trial in study.trials}
    vectors, items, rows = [], [], []
    finals: dict[tuple[str, int], Any] = {}
    for vector in study.vectors:
        if vector.suite != "domain":
            vectors.append(vector)
            continue
        kind = judge.favour if kinds[vector.arm] != "prompt" else 0.0
        people = np.asarray(vector.values)
        seen = 0.5 + judge.slope * (people - 0.5) + kind
        seen = np.clip(seen + generator.normal(0, judge.noise, len(people)), 0, 1)
        vectors.append(replace(vector, values=seen))
        if vector.split == "test" and vector.phase == "finalist":
            finals[vector.arm, vector.seed] = (vector, people, seen)
    seeds = sorted({seed for _, seed in finals})
    for arm in dict.fromkeys(arm for arm, _ in finals):
        run_of = generator.choice(seeds, size=judge.marked)
        for seed in seeds:
            vector, people, seen = finals[arm, seed]
            for n, doc_hash in enumerate(vector.doc_hashes):
                reply = f"{arm}/{seed}/{n}"
                items.append(
                    ItemRow(arm, seed, doc_hash, vector.item_ids[n], "", reply, float(seen[n]))
                )
                if n < judge.marked and run_of[n] == seed:
                    rows.append(CalibrationRow(vector.item_ids[n], reply, float(people[n])))
    data = replace(study.experiment.data, calibration={JUDGE: tuple(rows)} if rows else {})
    return replace(
        study,
        vectors=tuple(vectors),
        items=tuple(items),
        experiment=replace(study.experiment, data=data),
    )


__all__ = ["JUDGE", "JUDGES", "TASK", "Judge", "as_judged"]
