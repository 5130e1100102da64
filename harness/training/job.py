"""A training run as plain data, so that it can be done here or in processes of its own."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.prompting import TokenisedExample
from harness.records import JsonValue, ResolvedModel, Runtime, StepReport

if TYPE_CHECKING:
    from harness.training.losses import Predictions
    from harness.training.peers import Peers


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What is trained on what, and how. Fields as in :class:`~harness.records.TrialSpec`.

    examples, validation: of the task. texts: general texts, for settings that use them.
    pad: token id of padding.
    """

    model: ResolvedModel
    runtime: Runtime
    kind: str
    params: dict[str, JsonValue]
    seed: int
    examples: tuple[TokenisedExample, ...]
    validation: tuple[TokenisedExample, ...]
    texts: tuple[TokenisedExample, ...]
    checks_per_epoch: int
    pad: int


def run_job(
    job: TrainingJob,
    model: Any,
    peers: Peers | None = None,
    base: Predictions | None = None,
    trees: bool | None = None,
) -> Generator[StepReport]:
    """Train ``model``, which is the job's base made trainable, in place; see ``train``.

    Checkpointing that is left to the machine (``auto``) is off here: it is for
    :func:`harness.training.fitting.fit` to decide.

    Raises:
        TrialError: ``nan_loss`` when loss or gradient is no longer finite.
    """
    import numpy as np

    from harness.training.checkpointing import checkpointed
    from harness.training.loop import TrainingSettings, train

    with checkpointed(model, job.params["gradient_checkpointing"] is True):
        yield from train(
            model,
            job.examples,
            TrainingSettings.from_params(job.params),
            job.pad,
            np.random.default_rng([job.seed, 2]),
            job.validation,
            texts=job.texts,
            checks_per_epoch=job.checks_per_epoch,
            peers=peers,
            base=base,
            trees=trees,
        )
