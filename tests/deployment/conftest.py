"""One small study for all tests of this folder, whose final runs are real, with a server's arm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.deployment.finalist import loaded_candidate
from harness.export import export_model
from harness.export.final_run import FinalRun, find_final_run
from harness.study.run import StudyRun
from harness.trial.candidate import Candidate
from tests.export.small_study import ADAPTER, ARMS, LABELS, experiment, run_small
from tests.fake_server import FakeServer, serving
from tests.tiny_model import CHATML, write_model

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


@dataclass(frozen=True, slots=True)
class LearntStudy:
    """A finished study of a model that learnt to answer, and that model as it was scored."""

    final: FinalRun
    """The final run of the arm ``written``."""
    candidate: Candidate
    """Its model."""
    folder: Path
    """Folder of the study's model and results."""


@pytest.fixture(scope="session")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LearntStudy]:
    folder = tmp_path_factory.mktemp("learnt")
    arm = {"kind": "lora", **WRITTEN, "epochs": 30, "rank": 8}
    spec = experiment(
        folder,
        {"written": arm, "drawn": ARMS["drawn"]},
        contrast={"margin": 0.3},
        task={
            "instruction": "Is the message positive or negative?",
            "template": "Message: {text}",
            "answer": LABELS,
            "max_new_tokens": 8,
        },
    )
    # Of all faults only this one needs a tokenizer that begins texts.
    write_model(folder / "model", CHATML, bos="<|text|>")
    run_small(spec, folder, "written")
    final = find_final_run(folder / "results", None, "written")
    with loaded_candidate(final) as candidate:
        yield LearntStudy(final, candidate, folder)


@pytest.fixture(scope="session")
def merged(learnt: LearntStudy) -> Path:
    """The learnt model, exported whole."""
    place = learnt.folder / "merged"
    export_model(learnt.final.analysed.results, None, place, arm="written", form="merged")
    return place
