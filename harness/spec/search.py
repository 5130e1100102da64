"""How an arm's settings are searched, how far, and under which limits its trials run."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from harness.records.frozen_spec import FrozenSpec
from harness.spec.spaces import Count, PositiveFloat, PositiveInt

Sampler = Literal["tpe", "gp", "qmc", "random", "nsga2"]
TrainedPruner = Literal["none", "median", "halving"]


class Budget(FrozenSpec):
    """What each arm's search may spend: it ends where the first of these is reached."""

    trials: PositiveInt = Field(8, description="Trials of each arm's search.")
    tokens: PositiveInt | None = Field(
        None,
        description="Tokens that each arm's search may process, trained on or scored; null sets "
        "no limit. The trial that passes it is the last.",
    )
    minutes: PositiveFloat | None = Field(
        None,
        description="Minutes that each arm's search may take, its trials added up; null sets no "
        "limit. The trial that passes it is the last.",
    )
    test_default: bool = Field(
        True,
        description="Test the default setting of a tuned arm beside the selected one, to show what "
        "tuning gained.",
    )


class SearchSpec(FrozenSpec):
    """How Optuna proposes settings and when a trial is stopped early."""

    sampler: Sampler = Field(
        "tpe",
        description="Tree-structured Parzen estimator, Gaussian process, quasi-Monte Carlo, random "
        "or the genetic NSGA-II.",
    )
    repeats: PositiveInt = Field(
        1,
        description="How often each arm is searched, each time with other draws, the whole budget "
        "and a setting of its own; the final seeds are dealt over these searches, so that the "
        "intervals cover tuning again.",
    )
    ahead: PositiveInt = Field(
        1,
        description="How many trials of an arm may run at once. A proposal depends on the trials "
        "this many places before it and earlier, whatever runs them, so that the same experiment "
        "makes the same trials on one core and on a cluster.",
    )
    forgetting: Literal["ignore", "constraint", "objective"] = Field(
        "constraint",
        description="What the search of a fine-tuned arm makes of the general abilities it loses: "
        "nothing; settings that lose more than general.margin are infeasible; or a second "
        "objective beside the task's score (no trial is then stopped early).",
    )
    pruner: TrainedPruner | None = Field(
        None,
        description="Stops a fine-tuning trial whose validation loss is hopeless: below the median "
        "of the others, or by successive halving. Median if not given, none with "
        "forgetting: objective.",
    )
    checks_per_epoch: PositiveInt = Field(
        1, description="How often an epoch measures validation loss, at equal distances."
    )
    prompt_pruner: Literal["none", "wilcoxon"] = Field(
        "wilcoxon",
        description="Stops a prompt trial that is significantly worse than the best one on the "
        "items asked so far (one-sided Wilcoxon signed-rank test).",
    )
    prompt_pruner_level: float = Field(
        0.05, gt=0, lt=0.5, description="Significance at which a prompt trial is stopped."
    )
    prompt_pruner_items: PositiveInt = Field(
        24, description="Items that a prompt trial is asked before it may be stopped."
    )

    @model_validator(mode="after")
    def _prunable(self) -> Self:
        if self.forgetting == "objective" and self.pruner not in (None, "none"):
            raise ValueError(
                f"pruner: {self.pruner} cannot judge two objectives; use forgetting: constraint, "
                "or pruner: none"
            )
        return self

    @property
    def trained_pruner(self) -> TrainedPruner:
        """The pruner of fine-tuned arms, with its default worked out."""
        if self.pruner is not None:
            return self.pruner
        return "none" if self.forgetting == "objective" else "median"


class ExecutionSpec(FrozenSpec):
    """Limits of the processes that trials run in. None of it changes what a trial computes."""

    deadline_minutes: PositiveFloat | None = Field(
        None, description="A trial that takes longer is ended and counted as failed; null: never."
    )
    silence_minutes: PositiveFloat = Field(
        30.0,
        description="A trial that reports no step and no scored batch for so long is held to hang, "
        "and is ended.",
    )
    retries: Count = Field(
        1,
        description="How often a trial is started again whose process was killed, crashed or hung, "
        "or whose machine was lost.",
    )
    workers: PositiveInt = Field(
        1,
        description="Trials that run side by side on this machine, and share its cores (engine "
        "child).",
    )
    cpus: PositiveFloat = Field(1.0, description="CPU cores that a trial claims (engine ray).")
    gpus: float | None = Field(
        None,
        ge=0,
        description="GPUs that a trial claims (engine ray); one where the device is a GPU.",
    )
    memory_gib: PositiveFloat | None = Field(
        None, description="Memory that a trial claims, in GiB (engine ray); null claims none."
    )
