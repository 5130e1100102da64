"""Texts that arms are asked to complete: some that they were trained on, and some unseen ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.data.brought import BroughtAudit
from harness.evaluation.memorisation import FEWEST_WORDS, halves
from harness.prompting.render import render_template
from harness.records import Example, Splits, items_of
from harness.spec import BroughtArm, Experiment
from harness.spec.names import MEMORISATION, own_memorisation
from harness.spec.starts import started_from
from harness.wording import listed

NOTHING_LONG = (
    f"no training or no validation text has {FEWEST_WORDS} words or more, so there is nothing to "
    "complete"
)
ALL_SEEN = "every validation text is among those that it was trained on"


@dataclass(frozen=True, slots=True)
class Completions:
    """What one arm, or several, are asked to complete."""

    task: str
    """Name of the lm-eval task that both are scored as."""
    train: tuple[Example, ...]
    """Items that were trained on."""
    validation: tuple[Example, ...]
    """Items that were not."""

    def sets(self) -> dict[str, tuple[str, tuple[Example, ...]]]:
        """Name of each set of items -> its split and items."""
        parts = {"train": self.train, "validation": self.validation}
        return {f"{self.task}_{split}": (split, items) for split, items in parts.items()}


@dataclass(frozen=True, slots=True)
class CompletionsOfArms:
    """What the fine-tuned arms of a study are asked to complete."""

    texts: Mapping[str, Completions] = field(default_factory=dict)
    """Arm -> its texts, of arms that have some."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Whose memorisation is not measured -> why."""
    starts: Mapping[str, str] = field(default_factory=dict)
    """Arm -> the one whose adapter it goes on from, and whose texts it completes, too."""

    def sets_of(self, arm: str) -> list[str]:
        """Names of the sets of items that the arm is asked to complete."""
        asked = filter(None, map(self.texts.get, filter(None, (arm, self.starts.get(arm)))))
        return [name for texts in asked for name in texts.sets()]

    def sentences(self) -> Iterator[str]:
        """What is not measured, a sentence each reason."""
        for reason in dict.fromkeys(self.reasons.values()):
            arms = listed([arm for arm, why in self.reasons.items() if why == reason])
            of_whom = f" of {arms}" if self.texts or len(set(self.reasons.values())) > 1 else ""
            yield f"memorisation{of_whom} is not measured: {reason}"


def to_complete(
    experiment: Experiment, splits: Splits, brought: Mapping[str, BroughtAudit]
) -> CompletionsOfArms:
    """Choose the texts of each fine-tuned arm.

    An arm that was trained elsewhere completes rows that it was trained on there, and so does one
    that goes on from it, beside those of the study. To both, validation items that share text with
    those rows are not unseen.

    Args:
        brought: arm -> what is known of the rows that it was trained on elsewhere.
    """
    arms = experiment.trained_arms()
    if not experiment.memorisation_items or not arms:
        return CompletionsOfArms()

    def some(items: Iterable[Example]) -> tuple[Example, ...]:
        long = [item for item in items if halves(render_template(experiment.task, item))]
        return sample(long, experiment.memorisation_items)

    usual = Completions(MEMORISATION, some(splits.train), some(splits.validation))
    texts: dict[str, Completions] = {}
    reasons: dict[str, str] = {}
    for name, arm in arms.items():
        theirs, known = isinstance(arm, BroughtArm), brought.get(name)
        if theirs and known is None:
            reasons[name] = "what it was trained on is not known; trained_on names its rows"
            continue
        seen = items_of(known.flagged["validation"]) if known else frozenset()
        unseen = [item for item in splits.validation if item.id not in seen]
        own = usual
        if known is not None and (theirs or seen):
            rows = some(known.rows) if theirs else usual.train
            own = Completions(own_memorisation(name), rows, some(unseen))
        if own.train and own.validation:
            texts[name] = own
        else:
            reasons[name] = NOTHING_LONG if unseen else ALL_SEEN
    starts = started_from(arms)
    for name, start in starts.items():
        if start in reasons:
            reasons[f"what {name} was trained on before"] = reasons[start]
    return CompletionsOfArms(texts, reasons, starts)


def sample(examples: Sequence[Example], size: int) -> tuple[Example, ...]:
    """So many examples, drawn at random, in their order; all where there are no more."""
    if len(examples) <= size:
        return tuple(examples)
    chosen = np.random.default_rng(0).permutation(len(examples))[:size]
    return tuple(examples[i] for i in sorted(chosen.tolist()))
