"""Studies without their last phase, in which single requests of the finalists are timed.

It is two trials an arm, in many studies as many as all others. Tests that say nothing of it leave
it out; that it is run, planned, resumed and stored is what tests/study/test_run.py looks at.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness.forecast import upcoming
from harness.study import coming, stages
from harness.study import run as pipeline

TURNS = coming.TURNS


@contextmanager
def _timed_in(turns: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (coming, pipeline, stages, upcoming):
            patch.setattr(module, "TURNS", turns)
        yield


@pytest.fixture
def untimed() -> Iterator[None]:
    """No study of this test times requests."""
    with _timed_in(0):
        yield


@pytest.fixture(scope="module")
def untimed_module() -> Iterator[None]:
    """No study of this file's tests and fixtures times requests, but of those that ask for it."""
    with _timed_in(0):
        yield


@pytest.fixture
def timed() -> Iterator[None]:
    """Studies of this test time requests, whatever those of the others in its file do."""
    with _timed_in(TURNS):
        yield
