"""Stop a trial that is not worth going on with."""

from __future__ import annotations

from collections.abc import Sequence
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
                value=-step.validation_loss,
                against=judge.against(),
                values=judge.values,
            )
        )


class ItemWatch:
    """Follows the items of a prompt trial.

    Args:
        total: items of the validation set.
        higher_is_better: direction of the metric.
    """

    def __init__(
        self, pruning: Pruning | None, total: int, *, higher_is_better: bool = True
    ) -> None:
        self._judge = None if pruning is None else Judge(pruning)
        self._total = total
        self._sign = 1 if higher_is_better else -1
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
        hopeless = judge.should_prune([(item.place, self._sign * item.value) for item in wave])
        done = len(judge.values)
        if not hopeless or done == self._total:
            return
        raise Pruned(
            Stopped(
                unit="items",
                done=done,
                total=self._total,
                value=fmean(value for _, value in judge.values),
                against=judge.against(),
                values=tuple(sorted(judge.values)),
                tokens=self._tokens,
            )
        )
