"""Fit training into the memory there is: smaller micro-batches, then gradient checkpointing.

Neither changes what is learnt but for the order in which floating-point numbers are added up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import TrialError
from harness.prompting import TokenisedExample
from harness.training.activations import Kept, kept_by
from harness.training.batches import Batch, Layout
from harness.training.best_weights import size_of
from harness.training.checkpointing import can_checkpoint
from harness.training.losses import summed_loss
from harness.training.peers import SingleProcess
from harness.wording import mebibytes

if TYPE_CHECKING:
    from harness.training.job import TrainingJob

MIB = 2**20
# What is measured leaves out what allocators waste and libraries keep for themselves.
MARGIN = 1.25
# To halve micro-batches costs what their examples share and passes of few tokens; below this part
# of what was asked for, more than to compute activations twice.
SMALLEST_SHARE = 4
# A float32 gradient, and AdamW's two moments; a master weight where the weight itself is shorter.
GRADIENT_AND_MOMENTS, MASTER = 12, 4


@dataclass(frozen=True, slots=True)
class Fit:
    """How training goes into memory."""

    micro_batch_size: int
    """Examples of a micro-batch."""
    gradient_checkpointing: bool
    """Activations are computed again in the backward pass."""
    needed_mib: float
    """Memory that training needs beyond the loaded weights, MiB, as measured before."""
    available_mib: float
    """Memory that there was for it, MiB."""
    asked: int
    """The micro-batch size that was asked for."""

    @property
    def fits(self) -> bool:
        """Whether there is enough memory."""
        return self.needed_mib <= self.available_mib

    def in_words(self) -> str:
        """What was chosen and why, in a sentence."""
        kept = "computed again" if self.gradient_checkpointing else "kept"
        size = f"{self.micro_batch_size} example{'s' * (self.micro_batch_size > 1)}"
        fewer = f", not {self.asked}" if self.micro_batch_size < self.asked else ""
        there = (
            f"of {mebibytes(self.available_mib)} available"
            if self.fits
            else f"though only {mebibytes(self.available_mib)} are available"
        )
        return (
            f"micro-batches of {size}{fewer}, activations {kept}; training was expected to take "
            f"{mebibytes(self.needed_mib)} beyond the weights, {there}"
        )


def fit(
    model: Any,
    job: TrainingJob,
    available_mib: float,
    trees: bool | None = None,
) -> Fit:
    """Choose micro-batch size and checkpointing for ``job`` on ``model``, made trainable.

    Of the ways that the job's setting allows, the first that needs at most ``available_mib``
    (MiB beyond what is allocated now), fastest first; where none does, the one that needs least.
    Measured on the longest examples by passes whose activations are dropped at once.
    ``trees`` says whether ``model`` takes trees; it is asked if this is None.

    Raises:
        TrialError: the job wants checkpointing, which the model does not support.
    """
    if job.settings.gradient_checkpointing is True and not can_checkpoint(model):
        raise TrialError(
            "error",
            "the model's architecture does not support gradient checkpointing; set "
            "gradient_checkpointing: auto, or false",
        )
    asked = min(job.settings.micro_batch_size, job.settings.batch_size)
    layout = Layout(model, job.pad, SingleProcess(), trees)
    longest = sorted([*job.examples, *job.texts], key=lambda example: -example.length)
    trained = [p for p in model.parameters() if p.requires_grad]
    always = sum(
        p.numel() * (GRADIENT_AND_MOMENTS + MASTER * (p.element_size() < 4)) for p in trained
    )
    # The gradient of tied embeddings is added up from two, each as large as the vocabulary.
    always += 2 * 4 * max((p.numel() for p in trained), default=0)
    if job.keeps_best and job.runtime.device == "cpu":
        always += size_of(trained)
    if job.settings.kl_weight and not hasattr(model, "disable_adapter"):
        always += sum(p.numel() * p.element_size() for p in model.parameters())

    @cache
    def kept(size: int) -> Kept:
        with layout.passing():
            return kept_by(model, lambda: summed_loss(model, _largest(layout, longest[:size])))

    def tried(size: int, again: bool) -> Fit:
        measured = kept(size)
        activations = measured.peak_recomputing if again else measured.peak
        return Fit(size, again, (always + activations * MARGIN) / MIB, available_mib, asked)

    fits: list[Fit] = []
    for size, again in _ways(asked, job.settings.gradient_checkpointing, can_checkpoint(model)):
        fits.append(tried(size, again))
        if fits[-1].fits:
            return fits[-1]
    return min(fits, key=lambda way: way.needed_mib)


def _ways(
    asked: int, checkpointing: Literal["auto"] | bool, possible: bool
) -> Iterator[tuple[int, bool]]:
    """(micro-batch size, whether to checkpoint), fastest first."""
    sizes = [asked]
    while sizes[-1] > 1:
        sizes.append(sizes[-1] // 2)
    automatic = checkpointing == "auto" and possible
    if checkpointing is not True:
        for size in sizes:
            if not automatic or size * SMALLEST_SHARE >= asked:
                yield size, False
    if checkpointing is True or automatic:
        yield from ((size, True) for size in sizes)


def _largest(layout: Layout, examples: Sequence[TokenisedExample]) -> Batch:
    batches = layout.batches(examples, len(examples))
    return max(batches, key=lambda batch: int(batch.inputs["input_ids"].numel()))
