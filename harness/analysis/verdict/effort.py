"""How hard fine-tuning was tried: signs that an arm could do better than its study let it.

A prompt that was not tuned flatters fine-tuning; a training that was hardly tried flatters the
prompt. Each sign comes with what to run next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.analysis.statistics.scores import Scores
from harness.findings import Effort, EffortReason, LearningCurve
from harness.records import TrialSummary
from harness.spec import Experiment, FloatRange
from harness.spec.kinds import kind_info
from harness.wording import per_cent

# One setting is a guess; from two on, validation has chosen.
FEWEST_SETTINGS = 2
# AdamW moves a weight by about the rate in a step, and warm-up and decay halve the rate on average:
# below this the model has moved by fewer than 25 full steps from where it began.
FEWEST_STEPS = 50
# Of the loss at the check before: smaller falls are what the end of a schedule leaves.
STILL_FALLING = 0.05
# Of the rows there are: a smaller part left out moves no verdict.
PART_LEFT_OUT = 0.1
TRIALS_TO_TRY = 8
# Ways of answering that can give valid answers only.
CLOSED = ("choice", "constrained")


def assess_effort(
    scores: Scores,
    experiment: Experiment,
    curves: Mapping[str, LearningCurve],
    arm: str,
    prompt: str,
) -> Effort:
    """How hard a fine-tuned arm was tried, beside the prompt arm that it is held against.

    What was not recorded is no sign.

    Args:
        curves: arm -> its learning curve, of those that have one.
        prompt: the prompt arm; empty where there is none.
    """
    if not kind_info(experiment.arms[arm].kind).trains:
        # What was tried of its training is not known here.
        return Effort(arm, ())
    searched = scores.trials(arm, "search")
    tried = _Tried(
        experiment=experiment,
        available=scores.study.experiment.data.available,
        splits=scores.study.experiment.splits,
        arm=arm,
        seen=[trial for trial in searched if trial.status != "failed"],
        failed=any(trial.status == "failed" for trial in searched),
        finalists=scores.finalists(arm),
        prompts=scores.finalists(prompt),
        prompt=prompt,
        curve=curves.get(arm),
    )
    return Effort(arm, tuple(tried.reasons()) if tried.finalists else ())


@dataclass(frozen=True, slots=True)
class _Tried:
    """What was tried of one arm."""

    experiment: Experiment
    """The experiment as declared."""
    available: Mapping[str, int]
    """Split -> examples there were before the limits."""
    splits: Mapping[str, int]
    """Split -> its number of examples."""
    arm: str
    """Name of the fine-tuned arm."""
    seen: Sequence[TrialSummary]
    """Search trials that were seen through, as pruned ones are."""
    failed: bool
    """A trial of the search failed."""
    finalists: Sequence[TrialSummary]
    """Its complete final runs."""
    prompts: Sequence[TrialSummary]
    """Complete final runs of ``prompt``."""
    prompt: str
    """The prompt arm that it is held against; empty where there is none."""
    curve: LearningCurve | None
    """Its learning curve; None where it has none."""

    def reasons(self) -> Iterator[EffortReason]:
        """Every sign that the arm was hardly tried."""
        signs: tuple[Callable[[], EffortReason | None], ...] = (
            self._one_setting,
            self._few_steps,
            self._loss_falling,
            self._curve_rising,
            self._part_of_the_rows,
            self._rows_left_out,
            self._decoding,
        )
        yield from (reason for sign in signs if (reason := sign()) is not None)

    def _one_setting(self) -> EffortReason | None:
        # How its answers are read is no setting of training.
        settings = {
            repr({**trial.params, "answering": None}) for trial in (*self.seen, *self.finalists)
        }
        if len(settings) >= FEWEST_SETTINGS:
            return None
        spec = self.experiment.arms[self.arm]
        if not spec.search_space():
            rate = type(spec).model_fields.get("learning_rate")
            wanted = _range(rate.default) if rate else ""
            next_step = self._line("learning_rate", wanted, "several settings")
        elif self.experiment.budget.trials < TRIALS_TO_TRY:
            next_step = f"budget.trials: {TRIALS_TO_TRY}"
        elif self.failed:
            next_step = "mend what made its other trials fail; the report names it"
        else:
            next_step = "a larger budget.tokens or budget.minutes"
        return EffortReason(
            "one_setting", f"Only one setting of {self.arm} was seen through.", next_step
        )

    def _few_steps(self) -> EffortReason | None:
        made = max((_steps(trial) for trial in self.finalists), default=0)
        longest = max((_steps(trial) for trial in self.seen), default=0)
        # Longer training that was tried and not chosen was no lack of effort.
        if not made or max(made, longest) >= FEWEST_STEPS:
            return None
        return EffortReason(
            "few_steps",
            f"The final runs of {self.arm} made {made} optimiser steps; below {FEWEST_STEPS} "
            "training has hardly begun.",
            self._longer(),
        )

    def _loss_falling(self) -> EffortReason | None:
        falls = [fall for trial in self.finalists if (fall := _last_fall(trial)) is not None]
        falling = [fall for fall in falls if fall > STILL_FALLING]
        epochs = self._epochs(self.finalists) or 1
        if 2 * len(falling) <= len(falls) or (self._epochs(self.seen) or 0) > epochs:
            return None
        least = min(falling)
        return EffortReason(
            "loss_falling",
            f"The validation loss of {self.arm} was still falling when training ended, by "
            f"{per_cent(least, 1)} or more at the last check in {len(falling)} of "
            f"{len(falls)} final runs.",
            self._longer(),
            fall=least,
        )

    def _curve_rising(self) -> EffortReason | None:
        gain = self.curve.last_gain_interval if self.curve else None
        if self.curve is None or gain is None or not gain.low > 0:
            return None
        before, after = (point.train_items for point in self.curve.points[-2:])
        return EffortReason(
            "curve_rising",
            f"The learning curve of {self.arm} was still rising from {before:,} to {after:,} "
            "training rows: more of them would probably help.",
            f"more training rows than {after:,} in data.source, or a higher data.limits.train",
        )

    def _part_of_the_rows(self) -> EffortReason | None:
        limit, available = self.experiment.data.limits.train, self.available["train"]
        if limit is None or limit >= (1 - PART_LEFT_OUT) * available:
            return None
        if self._flat():
            return None
        return EffortReason(
            "part_of_the_rows",
            f"{self.arm} was trained on {limit:,} of the {available:,} training rows there are "
            "(data.limits.train).",
            "data.limits.train: null",
        )

    def _rows_left_out(self) -> EffortReason | None:
        whole = self.splits.get("train", 0)
        trained = [t.train_examples for t in self.finalists if t.train_examples is not None]
        fewest = min(trained, default=whole)
        if fewest >= (1 - PART_LEFT_OUT) * whole:
            return None
        longer = 2 * int(self.finalists[0].params.get("max_length") or 1024)
        return EffortReason(
            "rows_left_out",
            f"{self.arm} was trained on {fewest:,} of {whole:,} training examples, as the others "
            "are longer than its max_length or than the model reads.",
            self._line("max_length", str(longer), "room for longer rows"),
        )

    def _decoding(self) -> EffortReason | None:
        asked = {str(t.params["answering"]) for t in self.prompts if "answering" in t.params}
        # One that was stopped early was scored in none of its ways.
        runs = [t for t in (*self.seen, *self.finalists) if t.status == "complete"]
        used = {t.params.get("answering") for t in runs}
        used |= {way.answering for t in runs for way in t.ways}
        closed = [way for way in CLOSED if way in asked]
        if not closed or used != {"generate"}:
            return None
        return EffortReason(
            "decoding",
            f"{self.prompt} answers by {closed[0]}, which can give valid answers only; "
            f"{self.arm} was scored with generate alone.",
            self._line("answering", f"{{choices: [generate, {closed[0]}]}}", "another answering"),
        )

    def _flat(self) -> bool:
        """Whether a learning curve shows that more rows would not help by the margin."""
        gain = self.curve.last_gain_interval if self.curve else None
        return gain is not None and gain.high < self.experiment.contrast.margin

    def _longer(self) -> str:
        """The epochs of the final runs beside more, enough for ``FEWEST_STEPS``."""
        epochs = self._epochs(self.finalists) or 1
        made = max((_steps(trial) for trial in self.finalists), default=0)
        more = max(2 * epochs, math.ceil(epochs * FEWEST_STEPS / made))
        choices = f"{{choices: [{epochs}, {more}, {2 * more}]}}"
        return self._line("epochs", choices, "longer training")

    def _epochs(self, trials: Iterable[TrialSummary]) -> int | None:
        epochs = [int(t.params["epochs"]) for t in trials if "epochs" in t.params]
        return max(epochs, default=None)

    def _line(self, name: str, value: str, words: str) -> str:
        """The line of a setting; ``words`` for it, where only the arm's own command knows it."""
        if name in type(self.experiment.arms[self.arm]).model_fields:
            return f"arms.{self.arm}.{name}: {value}"
        return f"{words}, by arms.{self.arm}.parameters"


def _steps(trial: TrialSummary) -> int:
    """Optimiser steps that the setting asks for; a pruned trial was seen through all the same."""
    return trial.steps[-1].steps if trial.steps else 0


def _last_fall(trial: TrialSummary) -> float | None:
    """Share by which validation loss fell at the last check; 0 unless it is the lowest.

    None with fewer than two checks.
    """
    losses = [step.validation_loss for step in trial.steps if step.validation_loss is not None]
    if len(losses) < 2:
        return None
    before, last = list(pairwise(losses))[-1]
    return 1 - last / before if last == min(losses) and before > 0 else 0.0


def _range(rate: object) -> str:
    if not isinstance(rate, FloatRange):
        raise TypeError(f"a learning rate is searched over a range, not {rate!r}")
    return f"{{low: {rate.low:g}, high: {rate.high:g}, log: true}}"


__all__ = ["FEWEST_SETTINGS", "FEWEST_STEPS", "assess_effort"]
