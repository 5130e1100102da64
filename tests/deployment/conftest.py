"""One small study for all tests of this folder, whose final runs are real, with a server's arm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from harness.study.run import StudyRun
from tests.export.small_study import ADAPTER, ARMS, experiment, run_small
from tests.fake_server import FakeServer, serving

WRITTEN = {**ADAPTER, "answering": "generate"}
LOCAL = ("written", "chosen", "nearest", "kept", "plain")


@dataclass(frozen=True, slots=True)
class RealStudy:
    """A finished study, with the server that one of its arms asks."""

    run: StudyRun
    server: FakeServer


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStudy]:
    folder = tmp_path_factory.mktemp("deployed")
    with serving() as server:
        arms = {
            "written": {"kind": "lora", **WRITTEN},
            "chosen": {"kind": "lora", **ADAPTER},
            "nearest": ARMS["nearest"],
            "kept": ARMS["kept"],
            "plain": ARMS["plain"],
            "hosted": {"kind": "prompt", "endpoint": {"url": server.url, "model": "little"}},
        }
        spec = experiment(folder, arms)
        yield RealStudy(run_small(spec, folder, *LOCAL, "hosted"), server)
