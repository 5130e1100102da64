"""What training asks of a model, counted batch by batch as the training loop would make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.data import read_examples_file
from harness.prompting import PromptRenderer, TokenisedExample
from harness.prompting.token_tree import in_trees, tree_size
from harness.records import Example, TrialSpec
from harness.training.batches import epoch_batches
from harness.trial.fine_tuning import VALIDATION_LOSS_EXAMPLES


@dataclass(frozen=True, slots=True)
class TrainingWork:
    """What training takes.

    steps: tokens computed in each optimiser step, in order, what examples share once. tokens: of
    the examples, over all steps; general texts that an arm repeats are not counted. checks:
    measurements of validation loss. check: (micro-batches, tokens computed) of one of them.
    """

    steps: tuple[float, ...]
    tokens: int
    checks: int
    check: tuple[float, float]


def training_work(
    spec: TrialSpec, renderer: PromptRenderer, pool: Sequence[Example]
) -> TrainingWork:
    """The work of a fine-tuning trial's training. pool: the examples that it trains on."""
    params = spec.params
    encoded = [renderer.encode(item) for item in pool]
    examples = [one for one in encoded if one.length <= params["max_length"]]
    lengths = [one.length for one in examples]
    rng = np.random.default_rng([spec.seed, 2])
    micro = params["micro_batch_size"]
    steps: list[float] = []
    for _ in range(params["epochs"]):
        for batch in epoch_batches(lengths, params["batch_size"], rng):
            parts = [batch[start : start + micro] for start in range(0, len(batch), micro)]
            steps.append(sum(_computed([examples[i] for i in part]) for part in parts))
    validation: list[TokenisedExample] = []
    if spec.validation_path:
        items = read_examples_file(Path(spec.validation_path))[:VALIDATION_LOSS_EXAMPLES]
        validation = sorted((renderer.encode(item) for item in items), key=lambda one: one.length)
    parts_checked = [
        validation[start : start + micro] for start in range(0, len(validation), micro)
    ]
    per_epoch = len(steps) // params["epochs"]
    return TrainingWork(
        steps=tuple(steps),
        tokens=sum(lengths) * params["epochs"],
        checks=min(spec.checks_per_epoch, per_epoch) * params["epochs"] if validation else 0,
        check=(float(len(parts_checked)), sum(map(_computed, parts_checked))),
    )


def _computed(examples: Sequence[TokenisedExample]) -> float:
    """Tokens computed for one micro-batch: what examples share once for each of its trees."""
    whole = [example.prompt + example.answer for example in examples]
    return float(sum(tree_size([whole[i] for i in group]) for group in in_trees(whole)))
