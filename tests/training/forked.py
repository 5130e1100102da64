"""Programs of Python that start as forks of one process, which has loaded the libraries once.

To import torch and peft takes seconds of each process, and most of a short training's time.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from functools import cache
from multiprocessing import forkserver, get_context, reduction
from typing import IO, Any

import pytest

PRELOADED = [
    "harness",
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama",
    "harness.models.peft_library",
    "harness.models.adapters",
    "harness.models.load",
    "harness.training.loop",
    "harness.training.parallel",
    "harness.training.process",
]


@cache
def _server() -> forkserver.ForkServer:
    """A fork server beside the one of ``multiprocessing``, which has other modules."""
    server = forkserver.ForkServer()
    server.set_forkserver_preload(PRELOADED)
    return server


class _Descriptor:
    """An open file that a process is started with."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return _detached, (reduction.DupFd(self.number),)


def _detached(descriptor: Any) -> int:
    return int(descriptor.detach())


def _become(arguments: Sequence[str], *files: int) -> None:
    """Do as the interpreter does that is started with these arguments."""
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    how, what, *rest = arguments
    sys.argv = [how, *rest]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(what, {"__name__": "__main__"})  # noqa: S102 - the program of a test


class ForkedPopen:
    """What :class:`subprocess.Popen` is to a caller who talks to a program through pipes.

    Args:
        command: the interpreter, ``-m`` or ``-c``, and what follows them.
        stderr: file for what the program says beside its output.
    """

    def __init__(self, command: Sequence[str], *, stderr: IO[str], **_: Any) -> None:
        assert command[0] == sys.executable
        heard, self_in = os.pipe()
        self_out, said = os.pipe()
        ends = tuple(map(_Descriptor, (heard, said, stderr.fileno())))
        self._process = get_context("forkserver").Process(target=_become, args=(command[1:], *ends))
        server = _server()
        with pytest.MonkeyPatch.context() as patch:
            for name in ("ensure_running", "connect_to_new_process"):
                patch.setattr(forkserver, name, getattr(server, name))
            self._process.start()
        os.close(heard)
        os.close(said)
        self.stdin = os.fdopen(self_in, "w")
        self.stdout = os.fdopen(self_out)

    @property
    def pid(self) -> int | None:
        """The process."""
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code, the negative signal that ended it, or None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit code, once it has ended."""
        self._process.join(timeout)
        return self._process.exitcode

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training processes are forks."""
    monkeypatch.setattr("harness.training.multiprocess.subprocess.Popen", ForkedPopen)
