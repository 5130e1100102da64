"""What became of one malformed input: accepted, refused cleanly, or a fault of the program's."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from unittest.mock import patch

from harness.cli import main
from harness.cli.printing import visible
from harness.data import prepare
from harness.errors import InputError
from harness.evaluation.suites.find import load_suite
from harness.spec import Experiment, load_experiment

EXPERIMENT = "experiment.yaml"
SECONDS = 20
# Longer messages help nobody at a terminal.
LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the program made of an input."""

    outcome: str
    """``accepted``, the class of a clean error, or ``FAULT: ...``."""
    detail: str = ""
    """More on a fault; may be empty."""

    @property
    def fault(self) -> bool:
        return self.outcome.startswith("FAULT")


class HangError(BaseException):
    """No handler of the program's catches it."""


@contextlib.contextmanager
def deadline(seconds: float = SECONDS) -> Iterator[None]:
    """Raise HangError in what takes longer, where the system can."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise HangError

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def judged(action: Callable[[], None], *names: str) -> Outcome:
    """The outcome of an action that is to succeed, or to refuse its input and say where.

    Args:
        names: files of which an error's text must name one.
    """
    try:
        with deadline():
            action()
    except InputError as error:
        return _clean(type(error).__name__, str(error), names)
    except HangError:
        return Outcome(f"FAULT: more than {SECONDS} s", traceback.format_exc())
    except Exception as error:  # noqa: BLE001 - every other error is what is looked for
        return Outcome(f"FAULT: {type(error).__name__}", traceback.format_exc())
    return Outcome("accepted")


def _clean(kind: str, text: str, names: tuple[str, ...]) -> Outcome:
    if not text.strip() or len(text) > LONGEST:
        return Outcome(f"FAULT: {kind} that is empty or too long", text[:500])
    if not any(name in text for name in names):
        return Outcome(f"FAULT: {kind} that names no place", text[:500])
    return Outcome(kind)


def of_experiment(folder: Path, content: bytes) -> Outcome:
    """Load an experiment; what is accepted must stay the same through the store's form."""
    (folder / EXPERIMENT).write_bytes(content)

    def act() -> None:
        spec = load_experiment(folder / EXPERIMENT)
        assert Experiment.model_validate(spec.plain()) == spec
        spec.trial_identity()
        if spec.general is not None:
            load_suite(spec.general.suite)

    return judged(act, EXPERIMENT, "suite")


def of_data(folder: Path, name: str, content: bytes, experiment: bytes) -> Outcome:
    """Read, check, divide and audit a data file under an experiment that names it."""
    (folder / name).write_bytes(content)
    (folder / EXPERIMENT).write_bytes(experiment)
    # A source that was changed is named as it is now; `/proc/self` is resolved on the way.
    places = (name, EXPERIMENT, "data.", str(folder), "packaged", "/proc/")
    return judged(lambda: _prepare(folder), *places)


def _prepare(folder: Path) -> None:
    prepare(load_experiment(folder / EXPERIMENT))


def of_command(arguments: list[str], *names: str) -> Outcome:
    """Run a command in this process: exit code 0 or 2, no traceback, nothing for a terminal."""
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    try:
        with (
            deadline(3 * SECONDS),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            patch.object(sys, "argv", ["harness", *arguments]),
        ):
            main()
    except SystemExit as end:
        code = end.code
    except HangError:
        return Outcome("FAULT: the command hangs", traceback.format_exc())
    except Exception as error:  # noqa: BLE001 - every other error is what is looked for
        return Outcome(f"FAULT: {type(error).__name__}", traceback.format_exc())
    said = out.getvalue() + err.getvalue()
    if said != visible(said):
        return Outcome("FAULT: control characters", repr(said[:500]))
    if "Traceback" in said or code not in (0, 2):
        return Outcome(f"FAULT: exit code {code}", said[:2000])
    return Outcome("exit code 0") if code == 0 else _clean("exit code 2", err.getvalue(), names)
