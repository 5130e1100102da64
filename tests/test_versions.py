"""One list of libraries serves score keys, records and the check of a cluster's machines."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from harness import versions
from harness.engine.child import ChildEngine
from harness.engine.ray.on_node import Job, Unfit, run_on_node
from harness.study import score_keys
from harness.versions import ABSENT, LIBRARIES, environment_versions, library_versions

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed")


@pytest.fixture(params=["bm25s", "llguidance"])
def planted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A library of which, alone of all, this machine seems to have another version."""
    library_versions.cache_clear()
    monkeypatch.setattr(
        versions,
        "version_of",
        lambda name, real=versions.version_of: "0.0.1" if name == request.param else real(name),
    )
    yield request.param
    library_versions.cache_clear()


def test_all_that_is_listed_is_installed_here() -> None:
    assert ABSENT not in library_versions().values()
    assert versions.version_of("no-such-distribution") == ABSENT


@pytest.mark.parametrize("name", ["bm25s", "llguidance", "sacrebleu", "tokenizers"])
def test_what_can_change_a_score_is_in_every_account(name: str) -> None:
    assert name in LIBRARIES
    accounts = (score_keys.library_versions(), environment_versions(), versions.program_versions())
    assert {account[name] for account in accounts} == {library_versions()[name]}


def test_a_planted_difference_stops_a_machine_and_changes_keys_and_records(planted: str) -> None:
    library_versions.cache_clear()
    assert score_keys.library_versions()[planted] == "0.0.1"
    assert environment_versions()[planted] == "0.0.1"
    there = versions.program_versions() | {planted: "9.9"}
    job: Any = Job(print, None, (), there, False)  # type: ignore[arg-type]
    (said,) = run_on_node(ChildEngine(print), job, {})
    assert isinstance(said, Unfit)
    assert said.differences == (f"{planted} 0.0.1 in place of 9.9",)
