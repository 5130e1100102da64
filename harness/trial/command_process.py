"""Running a command of the user's: hear what it says, measure what it takes, leave nothing behind.

It belongs to the process group of the trial's process, so that whatever ends that (a deadline, an
interrupt, a crash) ends the command too, with all that it started.
"""

from __future__ import annotations

import os
import queue
import resource
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from harness.errors import TrialError
from harness.models.memory import most_resident, peak_of

# How often its memory is looked at.
LOOK_SECONDS = 0.25
# For what it started to close the pipes that they share, once it has ended itself.
GRACE_SECONDS = 5.0
# Of what it says last, so much is kept for a message.
TAIL_BYTES = 4000
# A longer line of its output is no report.
LONGEST_LINE = 2**20
MIB = 2**20
# Variables that it is given: none of them holds a secret.
USUAL = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "SHELL",
     "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "PYTHONHOME",
     "VIRTUAL_ENV", "CONDA_PREFIX", "SYSTEMROOT", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE",
     "HF_DATASETS_OFFLINE", "HF_DATASETS_CACHE", "TRANSFORMERS_OFFLINE", "TOKENIZERS_PARALLELISM",
     "CC", "CXX"}
)  # fmt: skip
USUAL_STARTS = ("LC_", "XDG_", "CUDA_", "NVIDIA_", "NCCL_", "ROCR_", "HIP_", "OMP_", "MKL_",
                "KMP_", "OPENBLAS_", "TORCH_", "PYTORCH_", "TRITON_")  # fmt: skip
_SECRET = ("TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "_KEY")


def environment_for(named: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """The variables that a command is given: the usual ones, and those that are named.

    Args:
        given: this process's own.

    Raises:
        TrialError: kind ``key``: one that is named is not set.
    """
    if missing := [name for name in named if name not in given]:
        raise TrialError("key", f"the environment variable {missing[0]} is not set")
    usual = {
        name: value
        for name, value in given.items()
        if (name in USUAL or name.startswith(USUAL_STARTS))
        and not any(part in name for part in _SECRET)
    }
    # What it reports is to be heard when it says so.
    return usual | {"PYTHONUNBUFFERED": "1"} | {name: given[name] for name in named}


@dataclass(slots=True)
class Command:
    """A command that runs, or has run.

    What it takes is looked at every quarter of a second. A shorter peak of one of its processes is
    not missed, as the kernel keeps that; one of several together may be.
    """

    words: Sequence[str]
    """Its words; no shell reads them."""
    folder: Path
    """The folder that it runs in."""
    environment: Mapping[str, str]
    """All of its variables."""
    device: str = "cpu"
    """Torch device string; memory of a GPU is measured as what is used there beyond the start."""
    peak_mib: float = 0.0
    """Most memory of the host that it and all that it started held at a time, as far as was seen,
    or that one of its processes held; MiB."""
    peak_device_mib: float | None = None
    """Most memory of the GPU, likewise; None on a CPU."""
    exit_code: int | None = None
    """What it ended with; None before it has ended."""
    _errors: deque[bytes] = field(default_factory=deque)
    """The last of its standard error."""
    _said: deque[bytes] = field(default_factory=lambda: deque(maxlen=20))
    """The last lines of its standard output."""
    _seen: dict[int, psutil.Process] = field(default_factory=dict)
    """All that it started, by process id."""
    _device_before: float | None = None
    """Memory of the GPU that was in use before it began, MiB."""

    def lines(self) -> Generator[str]:
        """Run it: the lines of its standard output, and an empty text for any other sign of life.

        However this is left, nothing of it runs afterwards.

        Raises:
            TrialError: kind ``command``: there is no such program.
        """
        self._device_before = _device_used(self.device)
        try:
            process = subprocess.Popen(
                list(self.words),
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise TrialError("command", f"{self.words[0]} cannot be run: {error}") from error
        said: queue.Queue[tuple[str, bytes]] = queue.Queue()
        of_others = max(map(most_resident, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
        try:
            self._seen[process.pid] = psutil.Process(process.pid)
            for name, pipe in (("out", process.stdout), ("err", process.stderr)):
                if pipe is not None:
                    threading.Thread(target=_pass_on, args=(name, pipe, said), daemon=True).start()
            yield from self._heard(process, said)
        finally:
            self._end(process)
            self.exit_code = process.wait()
            # What it held at its very end, where that is more than any other, this one too, held.
            if (most := most_resident(resource.RUSAGE_CHILDREN)) > of_others:
                self.peak_mib = max(self.peak_mib, most)

    def _heard(
        self, process: subprocess.Popen[bytes], said: queue.Queue[tuple[str, bytes]]
    ) -> Iterator[str]:
        open_pipes, looked, until = 2, 0.0, float("inf")
        while open_pipes and time.monotonic() < until:
            if (now := time.monotonic()) - looked >= LOOK_SECONDS:
                self._look()
                looked = now
            if process.poll() is not None:
                # Something that it started, and left behind, may hold them for ever.
                until = min(until, now + GRACE_SECONDS)
            try:
                name, text = said.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
            if not text:
                open_pipes -= 1
            elif name == "out":
                self._said.append(text)
                yield text.decode("utf-8", errors="replace").strip()
            else:
                self._errors.append(text)
                while sum(map(len, self._errors)) - len(self._errors[0]) > TAIL_BYTES:
                    self._errors.popleft()
                yield ""

    def _look(self) -> None:
        """Take down what it holds now, and all that it started."""
        held = 0.0
        for member in self._family():
            with suppress(psutil.Error):
                held += _memory(member)
            self.peak_mib = max(self.peak_mib, peak_of(member.pid) or 0.0)
        self.peak_mib = max(self.peak_mib, held / MIB)
        used = _device_used(self.device)
        if used is not None and self._device_before is not None:
            grown = max(0.0, used - self._device_before)
            self.peak_device_mib = max(self.peak_device_mib or 0.0, grown)

    def _family(self) -> list[psutil.Process]:
        for member in list(self._seen.values()):
            with suppress(psutil.Error):
                self._seen |= {child.pid: child for child in member.children(recursive=True)}
        # A process id may belong to another one by now, which psutil tells by when it began.
        self._seen = {pid: member for pid, member in self._seen.items() if member.is_running()}
        return list(self._seen.values())

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End it and all that it started, as far as it was ever seen."""
        for _ in range(2):
            # Twice: what was started meanwhile.
            for member in self._family():
                with suppress(psutil.Error):
                    member.kill()
        with suppress(OSError):
            process.kill()

    def last_words(self) -> str:
        """The last of what it said: of its standard error, or of its output where that is empty."""
        text = b"".join(self._errors) or b"".join(self._said)
        whole = text[-TAIL_BYTES:].decode("utf-8", errors="replace")
        # A bar that is drawn over and over is one line.
        lines = [line.rsplit("\r", 1)[-1].strip() for line in whole.splitlines()]
        return "\n".join(line for line in lines[-15:] if line)[-1500:]

    def require_success(self) -> None:
        """Refuse a command that did not end well.

        Raises:
            TrialError: says how it ended, with its last words.
        """
        if self.exit_code == 0:
            return
        last = self.last_words()
        said = f": {last}" if last else ", and said nothing"
        code = self.exit_code if self.exit_code is not None else -signal.SIGKILL
        if "out of memory" in last.lower() or "MemoryError" in last:
            raise TrialError("out_of_memory", f"the command ran out of memory{said}")
        if code < 0:
            name = signal.Signals(-code).name
            hint = "; where memory ran out, that is how the kernel ends it" if code == -9 else ""
            raise TrialError("killed", f"the command was ended by {name}{hint}{said}")
        raise TrialError("command", f"the command ended with exit code {code}{said}")


def _pass_on(name: str, pipe: IO[bytes], said: queue.Queue[tuple[str, bytes]]) -> None:
    """Put what a pipe brings into the queue; at its end, nothing."""
    with suppress(OSError, ValueError), pipe:
        if name == "out":
            for line in iter(lambda: pipe.readline(LONGEST_LINE), b""):
                said.put((name, line))
        else:
            for part in iter(lambda: os.read(pipe.fileno(), 65536), b""):
                said.put((name, part))
    said.put((name, b""))


def _memory(process: psutil.Process) -> float:
    """Bytes that a process holds; what it shares with others is counted in proportion, on Linux."""
    with suppress(psutil.AccessDenied, AttributeError):
        return float(process.memory_full_info().pss)
    return float(process.memory_info().rss)


def _device_used(device: str) -> float | None:
    """MiB in use on a GPU, by whomever; None on a CPU."""
    if not device.startswith("cuda"):
        return None
    import torch

    free, total = torch.cuda.mem_get_info(device)
    return float(total - free) / MIB


__all__ = ["Command", "environment_for"]
