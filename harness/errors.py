"""Errors that a person at the terminal can act on.

    HarnessError                 anything this package raises on purpose
    ├── InputError               the user's input is wrong; the command exits with code 2
    │   ├── SpecError            the experiment file
    │   ├── DataError            the data set
    │   └── UnknownReferenceError a model, suite or packaged name that cannot be resolved
    ├── StoreError               the DuckDB store or a trial's folder is damaged or busy
    ├── CanaryError              a correctness canary failed: the run's numbers would be wrong
    └── TrialError               one trial failed; the study goes on

Every message states the rule, the value that broke it and the remedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where.

    where: file and line, or the dotted path of a field; empty when it is the whole input.
    what: the rule, the value that broke it, and what to do.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class HarnessError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 1


class InputError(HarnessError):
    """The user's input is wrong. Carries every problem found, not only the first."""

    exit_code = 2

    def __init__(self, problems: str | Problem | Sequence[Problem]) -> None:
        if isinstance(problems, str):
            problems = [Problem("", problems)]
        elif isinstance(problems, Problem):
            problems = [problems]
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SpecError(InputError):
    """The experiment file is not a valid experiment."""


class DataError(InputError):
    """The data set cannot be used as it is."""


class UnknownReferenceError(InputError):
    """A model, suite or packaged data set that cannot be resolved."""


class StoreError(HarnessError):
    """The store, or a trial's folder, is damaged, busy or of another version."""


class CanaryError(HarnessError):
    """A correctness canary failed, so the numbers that would follow are wrong."""


class TrialError(HarnessError):
    """A trial failed for a reason worth recording; the study goes on.

    kind is a stable word: ``nan_loss``, ``out_of_memory``, ``killed``, ``canary``, ``error``.
    """

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)
