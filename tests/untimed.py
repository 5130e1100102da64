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


@contextmanager
def without_timing() -> Iterator[None]:
    """Studies that run within this have no turn in which requests are timed."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (coming, pipeline, stages, upcoming):
            patch.setattr(module, "TURNS", 0)
        yield


@pytest.fixture
def untimed() -> Iterator[None]:
    """No study of this test times requests."""
    with without_timing():
        yield


@pytest.fixture(scope="module")
def untimed_module() -> Iterator[None]:
    """No study of this file's tests and fixtures times requests."""
    with without_timing():
        yield
