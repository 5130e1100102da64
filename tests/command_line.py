"""The command ``harness`` from its entry point on, without a process of its own."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import cli


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended."""

    returncode: int
    """Its exit code."""
    stdout: str
    """What it printed."""
    stderr: str
    """What it said beside that."""


def harness(*arguments: str | Path, cwd: Path, **environment: str) -> Done:
    """Run the command in ``cwd``, with more variables in its environment."""
    out, err = io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    code: object = None
    try:
        with (
            contextlib.chdir(cwd),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(sys, "argv", ["harness", *map(str, arguments)])
            # What is called is a file of that name, not a module of pytest's.
            patch.setattr(sys.modules["__main__"], "__package__", None, raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            cli.main()
    except SystemExit as end:
        code = end.code
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert isinstance(code, int), code
    return Done(code, out.getvalue(), err.getvalue())
