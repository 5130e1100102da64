"""What a simulated study is like, truth included."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lab.simulation.effort import Tried
from lab.simulation.judging import Judge
from lab.simulation.writing import Written

PROMPT_SCORE = 0.5
BASE_ABILITY = 0.8


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the general suite is like where tasks and seeds are not all alike."""

    bases: tuple[float, ...] = ()
    """True score of the base on each task; empty where they are all alike."""
    changes: tuple[float, ...] = ()
    """True change of each task; empty where they are all alike."""
    chance: float | None = 0.25
    """Score of guessing that the suite states; None where it states none."""
    collapse: float = 0.0
    """Probability that a seed collapses."""
    depth: float = 0.4
    """What a collapsed seed loses on every task."""
    tried: int = 0
    """Settings of each fine-tuned arm's search, all with the same truth; the best on validation of
    those that kept the margin on the searched items is tested. 0 where the search looks at no
    general task."""
    searched: int = 16
    """Items of each task, the first ones, that the search looks at."""


PLAIN = Trouble()
USUALLY_TRIED = Tried()


@dataclass(frozen=True, slots=True)
class Design:
    """One kind of study, and its truth.

    Standard deviations are in the unit in which an item's difficulty has 1.
    """

    items: int = 200
    """Test items."""
    cluster_size: int = 1
    """Items of a cluster."""
    customers: int = 0
    """Number of clusters in place of ``cluster_size``, whose sizes fall as 1/rank; 0 for none."""
    giant: float = 0.0
    """Share of the items that one more customer has."""
    seeds: int = 3
    """Final runs of each arm."""
    seed_spread: float = 0.15
    """Standard deviation of a seed's effect."""
    noise: float = 0.3
    """Standard deviation of a single answer."""
    own: float = 0.6
    """Standard deviation of what an arm makes of an item."""
    cluster: float = 0.4
    """Standard deviation of what an arm makes of a cluster."""
    binary: bool = True
    """Scores are right or wrong; otherwise they lie between 0 and 1."""
    prompts: int = 1
    """Prompt arms, all alike."""
    trained: int = 1
    """Fine-tuned arms, all alike."""
    still_prompt: bool = False
    """The prompt arm answers alike under every seed."""
    score: float = PROMPT_SCORE
    """True score of the prompt arms."""
    gain: float = 0.0
    """True score of the fine-tuned arms minus that of the prompt arms."""
    added: float | None = None
    """What it adds to the true score of the fine-tuned arms to be trained under the instruction of
    the first prompt arm, as one more arm is; None where none is."""
    change: float = 0.0
    """True change on each general task."""
    tasks: int = 5
    """General tasks; with 0 there is no general suite."""
    task_items: int = 100
    """Items of a general task."""
    margin: float = 0.03
    """Margin of the contrast."""
    general_margin: float = 0.05
    """Margin of forgetting."""
    tuning_spread: float = 0.0
    """Standard deviation of what a search makes of its arm."""
    repeats: int = 1
    """Searches of each arm, over which the seeds are dealt."""
    written: Written | None = None
    """What an optimiser writes for each search of the prompt arms; None where none does."""
    trouble: Trouble = PLAIN
    """What the general suite is like beside that."""
    tried: Tried = USUALLY_TRIED
    """How hard fine-tuning was tried."""
    judge: Judge | None = None
    """The judge that scores the task; None where scores are what they are."""

    @property
    def clustered(self) -> bool:
        """Whether items of one cluster have something in common."""
        return self.cluster_size > 1 or self.customers > 0 or self.giant > 0

    def latent_spread(self, *, still: bool = False) -> float:
        """Standard deviation of the latent value of an answer.

        Args:
            still: of an arm that answers alike under every seed.
        """
        cluster = self.cluster if self.clustered else 0.0
        noise, seed = (0.0, 0.0) if still else (self.noise, self.seed_spread)
        parts = (1.0, cluster, self.own, noise, seed, self.tuning_spread)
        return math.sqrt(sum(part**2 for part in parts))

    @property
    def mean_change(self) -> float:
        """True mean change over the general tasks, collapsed seeds included."""
        changes = [self.change_of(task) for task in range(self.tasks)]
        return float(np.mean(changes)) - self.trouble.collapse * self.trouble.depth

    def base_of(self, task: int) -> float:
        """True score of the base on a general task."""
        return self.trouble.bases[task] if self.trouble.bases else BASE_ABILITY

    def change_of(self, task: int) -> float:
        """True change of a general task by a training that does not collapse."""
        return self.trouble.changes[task] if self.trouble.changes else self.change
