"""The error tree: its docstring, exit codes and messages."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from harness import errors
from harness.errors import (
    CanaryError,
    DataError,
    HarnessError,
    InputError,
    NoRoomError,
    Problem,
    SpecError,
    StoreError,
    StudyFailedError,
    TrialError,
    UnknownReferenceError,
    UnwritableError,
    refusal,
    writing,
)

TREE = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, HarnessError)
]


def test_the_docstring_draws_the_whole_tree() -> None:
    assert len(TREE) == 12
    assert errors.__doc__ is not None
    for kind in TREE:
        (line,) = [line for line in errors.__doc__.splitlines() if f" {kind.__name__} " in line]
        depth = len(kind.__mro__) - len(HarnessError.__mro__)
        assert line.index(kind.__name__) == 4 + 4 * depth


@pytest.mark.parametrize("kind", [SpecError, DataError, UnknownReferenceError, UnwritableError])
def test_wrong_input_is_exit_code_2(kind: type[InputError]) -> None:
    assert kind("wrong").exit_code == 2
    assert issubclass(kind, InputError)


@pytest.mark.parametrize("kind", [StoreError, CanaryError, StudyFailedError])
def test_other_errors_are_exit_code_1(kind: type[HarnessError]) -> None:
    assert kind("wrong").exit_code == 1


def test_an_input_error_carries_every_problem() -> None:
    first, second = Problem("a.yaml:3", "too long"), Problem("", "too short")
    error = SpecError([first, second])
    assert error.problems == (first, second)
    assert str(error) == "a.yaml:3: too long\ntoo short"
    assert SpecError(first).problems == (first,)
    assert SpecError("plain").problems == (Problem("", "plain"),)


def test_a_trial_error_has_a_kind() -> None:
    error = TrialError("nan_loss", "the loss is not a number")
    assert (error.kind, str(error)) == ("nan_loss", "the loss is not a number")


def test_a_place_that_is_refused_is_named_with_what_to_do(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(UnwritableError) as told, writing(taken, "name another"):
        (taken / "folder").mkdir()
    said = f"{taken} cannot be written (Not a directory at {taken / 'folder'}); name another"
    assert str(told.value) == said
    with pytest.raises(ZeroDivisionError), writing(taken, "name another"):
        raise ZeroDivisionError
    with pytest.raises(NoRoomError), writing(taken, "name another"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(taken))
    with pytest.raises(ConnectionRefusedError), writing(taken, "name another"):
        raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    assert refusal(taken, OSError(errno.EROFS, "Read-only", str(taken)), "x").count("taken") == 1
