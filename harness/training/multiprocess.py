"""Train in several processes, each on its share of every batch, and take the weights back."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import TrialError
from harness.records import StepReport, from_json, to_json
from harness.training.best_weights import BestWeights, trainable_weights
from harness.training.job import TrainingJob
from harness.training.process import BEST, JOB, TRAINED

# When one process dies, the others fail too, at their next exchange: what they say is no cause.
GRACE_SECONDS = 5.0

Said = queue.Queue[tuple[int, dict[str, Any] | None]]
"""Process and what it said; None when it says no more."""


@dataclass(slots=True)
class SideBySide:
    """A job in ``count`` processes on this machine."""

    job: TrainingJob
    """What is trained."""
    count: int
    """Number of processes."""
    peaks: dict[int, tuple[float, float | None]] = field(default_factory=dict)
    """Process -> its peak memory so far (MiB), and that of its GPU (None on the CPU)."""
    steps_before: int = 0
    """Steps that an earlier run had done; known at the end."""
    note: str = ""
    """What was amiss with writing the training down or taking it up; empty for nothing."""
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    """The processes by rank, once started."""

    @property
    def memory_mib(self) -> float:
        """Peak memory of all processes, added up: what the machine must have."""
        return sum(memory for memory, _ in self.peaks.values())

    @property
    def device_mib(self) -> float | None:
        """Peak memory of the GPU that needed most; None on the CPU."""
        return max((mib for _, mib in self.peaks.values() if mib is not None), default=None)

    def train(self, model: Any, best: BestWeights | None = None) -> Generator[StepReport]:
        """Reports of the steps; at the end the trained weights are in ``model``.

        Those of the last step are, and ``best``, where it is given, holds those of the best check.

        Each process loads the base itself; ``model`` is the same, made trainable. However the
        iterator is left, no process is left running.

        Raises:
            TrialError: too few GPUs, or what a process failed of; ``killed`` where one died.
        """
        from safetensors.torch import load_file

        _check_devices(self.job.runtime.device, self.count)
        with tempfile.TemporaryDirectory(prefix="harness-training-") as name:
            folder = Path(name)
            (folder / JOB).write_text(to_json(self.job), encoding="utf-8")
            with _making_room(model), self._running(folder) as messages:
                yield from self._listen(messages, folder, best)
            _take_over(model, folder / TRAINED)
            if best is not None and (folder / BEST).exists():
                best.weights = load_file(folder / BEST)

    @contextmanager
    def _running(self, folder: Path) -> Iterator[Said]:
        messages: Said = queue.Queue()
        try:
            for rank in range(self.count):
                with _errors_of(folder, rank).open("w", encoding="utf-8") as errors:
                    process = subprocess.Popen(
                        [
                            *(sys.executable, "-m", "harness.training.process"),
                            *(str(folder), str(rank), str(self.count)),
                        ],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=errors,
                        text=True,
                    )
                self.processes.append(process)
                threading.Thread(
                    target=_pass_on, args=(rank, process, messages), daemon=True
                ).start()
            yield messages
        finally:
            for process in self.processes:
                process.kill()
            for process in self.processes:
                process.wait()
                if process.stdin:
                    process.stdin.close()

    def _listen(
        self, messages: Said, folder: Path, best: BestWeights | None = None
    ) -> Iterator[StepReport]:
        done: set[int] = set()
        while len(done) < self.count:
            rank, message = messages.get()
            match message:
                case {"step": step}:
                    yield from_json(StepReport, json.dumps(step))
                case {"memory": [memory, device]}:
                    self.peaks[rank] = (memory, device)
                case {"best": [step, loss]}:
                    if best is not None:
                        best.step, best.loss = step, loss
                case {"resumption": [steps, note]}:
                    self.steps_before, self.note = steps, note
                case {"done": _}:
                    done.add(rank)
                case {"failed": [kind, text]}:
                    raise self._cause(messages, folder, rank, TrialError(kind, text))
                case _ if rank not in done:
                    raise self._death(rank, folder)

    def _cause(self, messages: Said, folder: Path, failed: int, error: TrialError) -> TrialError:
        """Why the first process failed that did: one that died says nothing itself."""
        waiting = set(range(self.count)) - {failed}
        until = time.monotonic() + GRACE_SECONDS
        # An error that has a name of its own is no lost connection.
        while error.kind == "error" and waiting and (left := until - time.monotonic()) > 0:
            try:
                rank, message = messages.get(timeout=left)
            except queue.Empty:
                break
            match message:
                case {"failed": ["error", _]} | {"done": _}:
                    waiting.discard(rank)
                case {"failed": [kind, text]}:
                    failed, error = rank, TrialError(kind, text)
                case None if rank in waiting:
                    return self._death(rank, folder)
        return TrialError(error.kind, self._named(failed, f"failed: {error}"))

    def _death(self, rank: int, folder: Path) -> TrialError:
        code = self.processes[rank].wait()
        if code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
            how += "; if memory ran out, lower micro_batch_size" if code == -signal.SIGKILL else ""
        else:
            last = _errors_of(folder, rank).read_text(encoding="utf-8", errors="replace").strip()
            how = f"ended with exit code {code}: {last[-1000:] or 'it said nothing'}"
        return TrialError("killed" if code < 0 else "error", self._named(rank, how))

    def _named(self, rank: int, what: str) -> str:
        return f"training process {rank + 1} of {self.count} {what}"


@contextmanager
def _making_room(model: Any) -> Iterator[None]:
    """Keep the model off its GPU, which one of the processes needs."""
    import torch

    device = model.device
    # Moving 4-bit weights is for bitsandbytes to decide, and there is little to gain.
    away = device.type == "cuda" and not getattr(model, "is_quantized", False)
    if away:
        model.to("cpu")
        torch.cuda.empty_cache()
    try:
        yield
    finally:
        if away:
            model.to(device)


def _pass_on(
    rank: int,
    process: subprocess.Popen[str],
    messages: Said,
) -> None:
    """Put what a process says into the queue."""
    if process.stdout is not None:
        with process.stdout:
            for line in process.stdout:
                messages.put((rank, json.loads(line)))
    messages.put((rank, None))


def _errors_of(folder: Path, rank: int) -> Path:
    return folder / f"errors-{rank}.txt"


def _check_devices(device: str, count: int) -> None:
    import torch

    if device.startswith("cuda") and torch.cuda.device_count() < count:
        raise TrialError(
            "error",
            f"processes: {count} need as many GPUs, and this trial sees "
            f"{torch.cuda.device_count()}; lower processes",
        )


def _take_over(model: Any, file: Path) -> None:
    """Put trained weights into a model that has the same ones to train."""
    import torch
    from safetensors.torch import load_file

    trained = load_file(file)
    with torch.no_grad():
        for name, weight in trainable_weights(model).items():
            weight.copy_(trained[name])
    model.eval()
