"""A training run as plain data, so that it can be done here or in processes of its own."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.prompting import TokenisedExample
from harness.records import ResolvedModel, Runtime, StepReport, content_hash, to_json
from harness.spec.settings import TrainedSettings
from harness.versions import program_versions

if TYPE_CHECKING:
    from harness.training.best_weights import BestWeights
    from harness.training.loop import Judge
    from harness.training.losses import Predictions
    from harness.training.peers import Peers
    from harness.training.resumption import Fitted, Resumption


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What is trained on what, and how."""

    model: ResolvedModel
    """The base model."""
    runtime: Runtime
    """Where and how it computes."""
    settings: TrainedSettings
    """Settings of the training."""
    seed: int
    """Seed of data order and initialisation."""
    examples: tuple[TokenisedExample, ...]
    """Training examples of the task."""
    validation: tuple[TokenisedExample, ...]
    """Validation examples of the task, for the validation loss; empty where none is measured."""
    texts: tuple[TokenisedExample, ...]
    """General texts, for settings that use them."""
    checks_per_epoch: int
    """How often an epoch measures validation loss."""
    pad: int
    """Token id of padding."""
    folder: str = ""
    """Folder of the trial, in which the training is written down as it goes; empty where it is
    not."""

    @property
    def keeps_best(self) -> bool:
        """Whether the weights of the best check are to be held while training goes on."""
        return self.settings.keep == "best" and bool(self.validation)


def fitted(job: TrainingJob) -> Fitted:
    """The training that a job is: all that it follows from, the job and the versions, as a hash."""
    from harness.training.resumption import Fitted

    return Fitted(
        training=content_hash([to_json(replace(job, folder="")), program_versions()]),
        micro_batch_size=job.settings.micro_batch_size,
        gradient_checkpointing=job.settings.gradient_checkpointing is True,
    )


def begun_as(job: TrainingJob) -> TrainingJob | None:
    """The job as an earlier run, which left a checkpoint of it, had fitted it into memory.

    None where there is no such checkpoint in the job's folder.
    """
    from harness.training.resumption import fitted_as

    left = fitted_as(Path(job.folder)) if job.folder else None
    if left is None:
        return None
    settings = replace(
        job.settings,
        micro_batch_size=left.micro_batch_size,
        gradient_checkpointing=left.gradient_checkpointing,
    )
    begun = replace(job, settings=settings)
    return begun if fitted(begun) == left else None


def resumption_of(job: TrainingJob, peers: Peers) -> Resumption | None:
    """What writes the job down as it goes, and takes it up again; None where it has no folder."""
    from harness.training.resumption import Resumption

    return Resumption(Path(job.folder), fitted(job), peers) if job.folder else None


def run_job(
    job: TrainingJob,
    model: Any,
    peers: Peers | None = None,
    base: Predictions | None = None,
    trees: bool | None = None,
    best: BestWeights | None = None,
    resumption: Resumption | None = None,
    judge: Judge | None = None,
) -> Generator[StepReport]:
    """Train ``model``, which is the job's base made trainable, in place; see ``train``.

    Checkpointing that is left to the machine (``auto``) is off here: it is for
    :func:`harness.training.fitting.fit` to decide.

    Raises:
        TrialError: ``nan_loss`` when loss or gradient is no longer finite.
    """
    import numpy as np

    from harness.models.memory import keeping_freed_memory
    from harness.training.checkpointing import checkpointed
    from harness.training.loop import train

    # Each step takes and frees the gradients and copies of what is trained.
    trained = (p for p in model.parameters() if p.requires_grad and p.device.type == "cpu")
    largest = max((p.numel() * p.element_size() for p in trained), default=0)
    with (
        keeping_freed_memory(largest),
        checkpointed(model, job.settings.gradient_checkpointing is True),
    ):
        yield from train(
            model,
            job.examples,
            job.settings,
            job.pad,
            np.random.default_rng([job.seed, 2]),
            job.validation,
            texts=job.texts,
            checks_per_epoch=job.checks_per_epoch,
            peers=peers,
            base=base,
            trees=trees,
            best=best,
            resumption=resumption,
            judge=judge,
        )
