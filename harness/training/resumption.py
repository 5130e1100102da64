"""Going on with a training that was interrupted, from what it left in its trial's folder.

    <trial folder>/
      checkpoint/
        newest.safetensors     weights and state of the optimiser, the best weights so far, and the
                               reports of the steps so far

What a step draws by chance follows from the training's seed and the step's number, so that no
generator's state is kept: a training that goes on does, bit by bit, what it would have done. The
file is written under another name, synced, and renamed into place. It holds a hash of the training
that it is of and one of its own content; where one does not agree, nothing of it is used.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from harness.models.memory import available_mib
from harness.records import CHECKPOINT, StepReport, from_json, sync
from harness.training.best_weights import BestWeights
from harness.training.master_weights import MasterWeightAdamW
from harness.training.peers import Peers

NEWEST = "newest.safetensors"
# A training is written down so rarely that at most this share of its time goes into it...
SHARE = 0.04
# ...and no more often than this: what a short training did is soon done again.
LEAST_SECONDS = 30.0
# What writing is expected to take, until it was measured.
BYTES_A_SECOND, SECONDS_A_FILE = 50e6, 0.1
_HEAD, _BEST = "harness", "best."


@dataclass(frozen=True, slots=True)
class Fitted:
    """A training as it was fitted into memory."""

    training: str
    """Hash of all that it follows from, these two among them."""
    micro_batch_size: int
    """Examples of a micro-batch."""
    gradient_checkpointing: bool
    """Activations are computed again in its backward passes."""


@dataclass(frozen=True, slots=True)
class _Head:
    """What a checkpoint says of itself."""

    fitted: Fitted
    """The training that it is of."""
    steps: tuple[StepReport, ...]
    """Reports of the steps that were done."""
    best_step: int | None
    """Step of the best check so far; None where there was none, or none is held."""
    best_loss: float | None
    """Validation loss there; None where ``best_step`` is."""
    best_score: float | None
    """Primary metric of replies there; None where checks are not scored."""
    content: str
    """SHA-256 over all of its tensors, hex."""


def fitted_as(folder: Path) -> Fitted | None:
    """How the training was fitted into memory that left its checkpoint in a trial's folder.

    None where there is none that says so. Whether it is whole is seen when it is taken up.
    """
    try:
        with safe_open(_file_in(folder), framework="pt") as file:
            return _head_of(file).fitted
    except (OSError, SafetensorError, ValidationError):
        return None


class Resumption:
    """Writes a training down as it goes, and takes it up again.

    Where several processes train together the first one writes, for all of them.

    Args:
        folder: of the trial.
        fitted: the training.
        peers: the processes that train together.

    Attributes:
        done: number of steps that an earlier run had done when it was last written down.
        note: why the training is not written down, or was not taken up; empty where nothing is
            amiss.
    """

    def __init__(self, folder: Path, fitted: Fitted, peers: Peers) -> None:
        self.done = 0
        self.note = ""
        self._fitted, self._peers = fitted, peers
        self._file = _file_in(folder)
        self._cannot_write = False
        self._since = time.perf_counter()
        self._seconds: float | None = None

    def take_up(
        self, model: Any, optimiser: MasterWeightAdamW, best: BestWeights | None
    ) -> tuple[StepReport, ...]:
        """Put the training where it was when it was last written down.

        Every process reads the file itself. A torn or foreign one changes nothing.

        Returns:
            Reports of the steps that were done; none where the training begins anew.
        """
        if not self._file.is_file():
            return ()
        try:
            with safe_open(self._file, framework="pt") as file:
                head = _head_of(file)
                if head.fitted != self._fitted:
                    self.note = "an earlier checkpoint is of another training, and was not used"
                    return ()
                names = set(file.keys())
                if head.content != _digest((name, file.get_tensor(name)) for name in names):
                    raise OSError("its content is not what was written")
                optimiser.restore(file.get_tensor, names)
                if best is not None and head.best_step is not None:
                    loss, score = head.best_loss or 0.0, head.best_score
                    best.restore(model, head.best_step, loss, score, {
                        name.removeprefix(_BEST): file.get_tensor(name)
                        for name in names
                        if name.startswith(_BEST)
                    })  # fmt: skip
        except (OSError, SafetensorError, ValidationError) as error:
            self.note = f"an earlier checkpoint is torn, and was not used ({error})"
            return ()
        self.done = len(head.steps)
        self._since = time.perf_counter()
        return head.steps

    def after_step(
        self,
        model: Any,
        optimiser: MasterWeightAdamW,
        best: BestWeights | None,
        steps: Sequence[StepReport],
    ) -> None:
        """Write the training down, if it is time to.

        Args:
            steps: reports of all steps so far.
        """
        now = time.perf_counter()
        first = self._peers.first
        wanted = (
            first
            and now - self._since >= self._pause(optimiser)
            and self._has_room(model, optimiser, best)
        )
        # One process decides for all, whose parts it needs.
        if not self._peers.totals([float(wanted)])[0]:
            return
        tensors = optimiser.state(held=first)
        if best is not None:
            weights = best.whole(model, held=first)
            tensors |= {_BEST + name: weight for name, weight in weights.items()}
        if first:
            self._write(tensors, best, steps)
        self._since = time.perf_counter()
        self._seconds = self._since - now

    def _pause(self, optimiser: MasterWeightAdamW) -> float:
        """Seconds of training before it may be written down again."""
        if self._cannot_write:
            return math.inf
        seconds = self._seconds
        if seconds is None:
            seconds = SECONDS_A_FILE + optimiser.state_bytes / BYTES_A_SECOND
        return max(LEAST_SECONDS, seconds / SHARE)

    def _has_room(self, model: Any, optimiser: MasterWeightAdamW, best: BestWeights | None) -> bool:
        """Whether main memory holds what is written; if not, nothing is written from then on."""
        needed = optimiser.state_copied_bytes
        needed += best.whole_copied_bytes(model) if best else 0
        needed_mib = needed / 2**20
        # Where nothing is copied, nothing can be short.
        if not needed or needed_mib <= (available := available_mib("cpu")):
            return True
        self._cannot_write = True
        self.note = (
            f"the training was not written down on its way: it takes {needed_mib:.0f} MiB of main "
            f"memory, and {available:.0f} MiB were free"
        )
        return False

    def _write(
        self,
        tensors: Mapping[str, torch.Tensor],
        best: BestWeights | None,
        steps: Sequence[StepReport],
    ) -> None:
        part = self._file.with_suffix(".part")
        try:
            head = _Head(
                self._fitted,
                tuple(steps),
                best_step=best.step if best else None,
                best_loss=best.loss if best and best.step is not None else None,
                best_score=best.score if best else None,
                content=_digest(tensors.items()),
            )
            part.parent.mkdir(parents=True, exist_ok=True)
            # Unlike pydantic's, this JSON keeps a loss that is not a number.
            save_file(dict(tensors), part, {_HEAD: json.dumps(asdict(head))})
            sync(part)
            part.replace(self._file)
            sync(part.parent)
        except (OSError, SafetensorError, ValueError, RuntimeError, MemoryError) as error:
            # It is a safeguard: a training does not end for want of it, whoever refuses what.
            with suppress(OSError):
                part.unlink()
            self._cannot_write = True
            self.note = f"the training could not be written down on its way ({error})"


def _file_in(folder: Path) -> Path:
    return folder / CHECKPOINT / NEWEST


def _head_of(file: Any) -> _Head:
    """What an open checkpoint says of itself.

    Raises:
        ValidationError: it is none, or of another version of the program.
    """
    return from_json(_Head, (file.metadata() or {}).get(_HEAD, ""))


def _digest(tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    """SHA-256 over names and bits of the tensors, whatever their order; hex."""
    each = []
    for name, tensor in tensors:
        found = hashlib.sha256(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        each.append(found.hexdigest())
    return hashlib.sha256("".join(sorted(each)).encode()).hexdigest()
