"""Stop a trial that is not worth going on with."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import fmean
from typing import TYPE_CHECKING

from harness.records import Pruning, StepReport, Stopped
from harness.search import Judge
from harness.trial.candidate import Pruned

if TYPE_CHECKING:
    from harness.evaluation.score_batches import Answered


class LossWatch:
    """Follows the validation loss of a fine-tuning trial."""

    def __init__(self, pruning: Pruning | None) -> None:
        self._judge = None if pruning is None else Judge(pruning)
        self._checks = 0

    def __call__(self, step: StepReport) -> None:
        """Look at a step, which says nothing without a validation loss.

        Raises:
            Pruned: the trial is hopeless.
        """
        if step.validation_loss is None:
            return
        self._checks += 1
        judge = self._judge
        if judge is None or not judge.should_prune([(self._checks, -step.validation_loss)]):
            return
        raise Pruned(
            Stopped(
                unit="steps",
                done=step.step,
                total=step.steps,
                value=step.validation_loss,
                against=-judge.against(),
                values=judge.values,
            )
        )


class ItemWatch:
    """Follows the items of a prompt trial.

    Args:
        total: items of the validation set.
        higher_is_better: direction of the primary metric.
    """

    def __init__(
        self, pruning: Pruning | None, total: int, *, higher_is_better: bool = True
    ) -> None:
        self._sign = 1.0 if higher_is_better else -1.0
        self._judge = None if pruning is None else Judge(pruning)
        self._total = total
        self._asked = 0
        self._tokens = 0

    def __call__(self, wave: Sequence[Answered]) -> None:
        """Look at a batch of answered items.

        Raises:
            Pruned: the trial is hopeless, and there is something left to save.
        """
        self._tokens += sum(item.tokens for item in wave)
        judge = self._judge
        if judge is None:
            return
        self._asked += len(wave)
        # An item that could not be scored says nothing of what the trial is worth.
        scored = [(item.place, self._sign * item.value) for item in wave if isfinite(item.value)]
        hopeless = bool(scored) and judge.should_prune(scored)
        if not hopeless or self._asked == self._total:
            return
        raise Pruned(
            Stopped(
                unit="items",
                done=self._asked,
                total=self._total,
                value=self._sign * fmean(value for _, value in judge.values),
                against=self._sign * judge.against(),
                values=tuple(sorted(judge.values)),
                tokens=self._tokens,
            )
        )
