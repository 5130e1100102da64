"""The study that is disturbed, as a process of its own: ``python -m lab.chaos.study CASE FOLDER``.

It prints ``ready`` before it plans, and the experiment's id when it is done.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from harness.engine import Engine, Execute
from harness.engine.child import ChildEngine
from harness.engine.in_process import InProcessEngine
from harness.records import Progress, Runtime, Status, TrialSpec
from harness.spec import Experiment, ModelSpec
from harness.study import run as pipeline
from harness.study.executing import executing
from harness.study.preflight import Preflight
from tests import fake_trial

NAME = "stormy"
# A trial takes a moment, so that it can be hit in the middle.
MARK = "[sleep=0.05]"
FAKE_ARMS: dict[str, dict[str, Any]] = {
    "zero-shot": {"kind": "prompt", "instruction": MARK},
    "few-shot": {"kind": "prompt", "instruction": MARK, "shots": {"low": 1, "high": 9}},
    "lora": {"kind": "lora", "instruction": MARK, "curve": [4, 8]},
    "failing": {"kind": "lora", "instruction": "[fail]"},
}
REAL_ARMS: dict[str, dict[str, Any]] = {
    "zero-shot": {"kind": "prompt"},
    "lora": {"kind": "lora", "epochs": 1, "micro_batch_size": 4, "batch_size": 8, "rank": 4},
}

# Of each process: what its trials keep for one another.
_EXECUTE = executing()


def execute_real(
    spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None]
) -> Status | None:
    """A real trial that leaves the same notes as a pretended one."""
    again = (folder / "record").exists()
    fake_trial.note(folder, f"{'again' if again else 'begin'} {spec.trial_id}")
    status = _EXECUTE(spec, folder, on_progress)
    fake_trial.note(folder, f"done {spec.trial_id}")
    return status


@dataclass(frozen=True, slots=True)
class Case:
    """A study to disturb."""

    execute: Execute
    """Runs a trial."""
    workers: int
    """Trials that run side by side."""
    arms: dict[str, dict[str, Any]]
    """Arms of the experiment."""
    trials: int
    """Trials of each search."""
    seeds: tuple[int, ...]
    """Seeds of the final runs."""
    model: dict[str, str] = field(default_factory=dict)
    """Model section of the experiment; empty for its default."""
    preloaded: tuple[str, ...] = tuple(fake_trial.PRELOADED)
    """Modules that the fork server imports once."""

    def experiment(self, folder: Path) -> Experiment:
        """The same trials whatever the number of workers."""
        changes: dict[str, Any] = {}
        if self.execute is execute_real:
            changes["model"] = {
                "reference": str(_tiny_model(folder)),
                "device": "cpu",
                "dtype": "float32",
            }
        return fake_trial.experiment(
            folder,
            arms=self.arms,
            budget={"trials": self.trials, "test_default": True},
            search={"ahead": 3, "pruner": "none", "prompt_pruner": "none"},
            # A child that was killed is started again, however often: it is no failed trial.
            execution={"workers": self.workers, "retries": 1000},
            seeds=list(self.seeds),
            name=NAME,
            **changes,
        )


CASES = {
    "one": Case(fake_trial.execute, 1, FAKE_ARMS, 6, (1, 2, 3)),
    "three": Case(fake_trial.execute, 3, FAKE_ARMS, 6, (1, 2, 3)),
    # For `make test`: fewer trials to disturb.
    "short": Case(fake_trial.execute, 3, FAKE_ARMS, 3, (1,)),
    "real": Case(
        execute_real,
        2,
        REAL_ARMS,
        3,
        (1,),
        preloaded=("harness", "torch", "transformers", "peft", "harness.trial", "tests.fake_trial"),
    ),
}


def run(case: Case, folder: Path, engine: Engine) -> pipeline.StudyRun:
    """Run the study, or go on with it, in ``folder``."""
    with ExitStack() as patches:
        if case.execute is fake_trial.execute:
            # Torch is only asked which device there is, and to read prompts that no model is
            # shown: left out, so that a start takes a second.
            patches.enter_context(patch.object(pipeline, "choose_runtime", _cpu))
            for looks in ("unfit", "renderings"):
                patches.enter_context(patch.object(Preflight, looks, lambda *_: {}))
        return pipeline.run_study(
            case.experiment(folder), folder / "results", open_with=lambda: engine
        )


def undisturbed(case: Case, folder: Path) -> pipeline.StudyRun:
    """Run it in this process."""
    return run(case, folder, InProcessEngine(case.execute))


def _cpu(model: ModelSpec, score_batch_size: int, workers: int) -> Runtime:
    return Runtime("cpu", "float32", score_batch_size, memory_share=1 / workers)


def _tiny_model(folder: Path) -> Path:
    from tests.tiny_model import CHATML, write_model

    place = folder / "tiny"
    return place if place.exists() else write_model(place, CHATML)


def main(arguments: Sequence[str]) -> None:
    case, folder = CASES[arguments[0]], Path(arguments[1])
    limits = case.experiment(folder).execution
    print("ready", flush=True)
    done = run(case, folder, ChildEngine(case.execute, limits, list(case.preloaded)))
    print(done.experiment_id, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
