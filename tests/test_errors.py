"""The error tree: its docstring, exit codes and messages."""

from __future__ import annotations

import pytest

from harness import errors
from harness.errors import (
    CanaryError,
    DataError,
    HarnessError,
    InputError,
    Problem,
    SpecError,
    StoreError,
    TrialError,
    UnknownReferenceError,
)

TREE = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, HarnessError)
]


def test_the_docstring_draws_the_whole_tree() -> None:
    assert len(TREE) == 10
    assert errors.__doc__ is not None
    for kind in TREE:
        (line,) = [line for line in errors.__doc__.splitlines() if f" {kind.__name__} " in line]
        depth = len(kind.__mro__) - len(HarnessError.__mro__)
        assert line.index(kind.__name__) == 4 + 4 * depth


@pytest.mark.parametrize("kind", [SpecError, DataError, UnknownReferenceError])
def test_wrong_input_is_exit_code_2(kind: type[InputError]) -> None:
    assert kind("wrong").exit_code == 2
    assert issubclass(kind, InputError)


@pytest.mark.parametrize("kind", [StoreError, CanaryError])
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
