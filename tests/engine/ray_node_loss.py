"""A study on a cluster that loses a machine in its midst, beside the same study in one process.

From ``tests/``: ``python -m engine.ray_node_loss``. Every machine is a Ray node of one core on this
computer, with processes of its own; it is lost as if its plug were pulled.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from harness.engine import RayEngine
from harness.engine.ray.inputs import input_paths, with_paths
from harness.records import Progress, TrialRecord, TrialSpec
from harness.store import StoreReader, read_record
from harness.store.relocate import relocate_record
from harness.study.observer import Observer
from harness.study.run import StudyRun, run_study
from tests import fake_trial

NODE, LOG = "TEST_NODE_NAME", "TEST_NODE_LOG"
SLOW = "[sleep=0.1] Classify."
STUDY: dict[str, Any] = {
    "arms": {
        "zero-shot": {"kind": "prompt", "instruction": SLOW},
        "few-shot": {"kind": "prompt", "instruction": SLOW, "shots": {"low": 1, "high": 9}},
        "lora": {"kind": "lora", "instruction": SLOW, "curve": [4, 8]},
    },
    "budget": {"trials": 5, "test_default": True},
    "search": {"ahead": 3},
    "seeds": [1, 2],
    "general": {"limit": 5, "search_limit": 3},
    "execution": {"retries": 1},
}
SHORT = {**STUDY, "budget": {"trials": 2, "test_default": False}, "seeds": [1]}
SMALL_GIB = 4
# A machine that answers none of five calls is lost. Where nobody listens each fails at once; one
# that is busy has ten seconds for each.
LOST_SOON = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 200,
    "health_check_failure_threshold": 5,
}
Pull = Callable[["Nodes", str], None]


def execute(spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None]) -> None:
    """A pretended trial that notes where it runs; on a machine that is to be lost, it waits.

    The other machines wait for that one to begin: it may be slow to start, and the study short.
    """
    node = os.environ.get(NODE, "driver")
    log = Path(os.environ[LOG]) if LOG in os.environ else None
    if log is not None and _doomed(log).exists():
        if _doomed(log).read_text() == node:
            _note(log, f"stuck {node} {spec.trial_id}")
            on_progress(Progress(spec.trial_id, spec.arm, "load", 0, 1))
            time.sleep(60)
        patience = time.monotonic() + 120
        while _doomed(log).exists() and time.monotonic() < patience:
            time.sleep(0.05)
    fake_trial.execute(spec, folder, on_progress)
    if log is not None:
        _note(log, f"done {node} {spec.trial_id}")


def _doomed(log: Path) -> Path:
    """The file that names the machine that is about to be lost."""
    return log.with_name("doomed")


def _note(log: Path, line: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


class Nodes:
    """A cluster of nodes with a core each; the first is the driver's and cannot be lost."""

    def __init__(self, folder: Path, memory_gib: Sequence[int]) -> None:
        import ray
        from ray.cluster_utils import Cluster

        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        self.log = folder / "machines.log"
        self.log.touch()
        self._folder = folder
        self._named: dict[str, Any] = {}
        self._cluster = Cluster()
        for each in memory_gib:
            self.add(each)
        ray.init(self._cluster.address, log_to_driver=False, logging_level="ERROR")

    def add(self, memory_gib: int = SMALL_GIB) -> str:
        """One more; its name."""
        name = f"node{len(self._named)}"
        # Of the first alone, for all.
        config = {} if self._named else {"_system_config": LOST_SOON}
        self._named[name] = self._cluster.add_node(
            **config,
            num_cpus=1,
            include_dashboard=False,
            object_store_memory=2**27,
            memory=memory_gib * 2**30,
            env_vars={
                NODE: name,
                LOG: str(self.log),
                "HARNESS_CACHE": str(self._folder / "caches" / name),
                "PYTHONPATH": str(Path(fake_trial.__file__).parents[1]),
            },
        )
        return name

    @property
    def names(self) -> list[str]:
        """Of all that were ever there."""
        return list(self._named)

    def lose(self, name: str) -> None:
        """Pull its plug."""
        self._cluster.remove_node(self._named[name], allow_graceful=False)

    def kill_workers(self, name: str) -> None:
        """Kill Ray's processes there that run trials, but not Ray itself."""
        raylet = self._named[name].all_processes["raylet"][0].process.pid
        for process in psutil.Process(raylet).children():
            if "ray::Worker" in " ".join(process.cmdline()):
                process.send_signal(signal.SIGKILL)

    def shut_down(self) -> None:
        """End them all."""
        import ray

        ray.shutdown()
        self._cluster.shutdown()

    def doom(self, name: str) -> None:
        """From now on its trials wait."""
        _doomed(self.log).write_text(name)

    def reprieve(self) -> None:
        """No machine is to be lost."""
        _doomed(self.log).unlink()

    def noted(self, what: str) -> list[tuple[str, str]]:
        """Machine and trial of what was noted: ``stuck``, or ``done``."""
        lines = [line.split() for line in self.log.read_text(encoding="utf-8").splitlines()]
        return [(node, trial) for word, node, trial in lines if word == what]


@dataclass
class Pulling(Observer):
    """Once ``after`` trials have ended, loses a machine in the midst of its next trial."""

    nodes: Nodes
    name: str
    after: int
    pull: Pull
    cut_off: str = ""
    ended: int = 0
    earlier: int = 0

    def trial_ended(self, record: TrialRecord) -> None:
        """Count."""
        self.ended += 1
        if self.ended == self.after:
            self.earlier = len(self.nodes.noted("stuck"))
            self.nodes.doom(self.name)

    def progress(self, progress: Progress) -> None:
        """Strike when the doomed machine has begun a trial."""
        if self.cut_off or self.ended < self.after:
            return
        if (self.name, progress.trial_id) in self.nodes.noted("stuck")[self.earlier :]:
            self.cut_off = progress.trial_id
            self.nodes.reprieve()
            self.pull(self.nodes, self.name)


@dataclass(frozen=True)
class Loss:
    """What a study made of a loss.

    cut_off: trial that ran there. finished_on: machines on which it then ended. missing, twice,
    unequal: ids of trials, against one process.
    """

    what: str
    machines: int
    trials: int
    cut_off: str
    finished_on: list[str]
    retried: int
    failed: int
    missing: set[str]
    twice: set[str]
    unequal: set[str]


def in_one_process(folder: Path, study: dict[str, Any]) -> StudyRun:
    """The study without a cluster."""
    spec = fake_trial.experiment(folder, **study)
    return run_study(spec, folder / "one-process", open_with=fake_trial.Watching)


def lose_one(
    folder: Path,
    study: dict[str, Any],
    nodes: Nodes,
    name: str,
    after: int,
    alone: StudyRun,
    pull: Pull = Nodes.lose,
) -> Loss:
    """Run the study on the cluster, losing ``name`` once ``after`` trials have ended.

    alone: the same study without a cluster.
    """
    spec = fake_trial.experiment(folder, **study)
    observer = Pulling(nodes, name, after, pull)
    machines = len(_alive())
    before = len(nodes.noted("done"))
    done = run_study(
        spec,
        folder / f"cluster-{name}-{after}",
        observer=observer,
        open_with=lambda: RayEngine(
            execute, relocate_record, spec.execution, preload=fake_trial.PRELOADED
        ),
    )
    here, there = records(alone), records(done)
    reader = StoreReader(done.store)
    stored = Counter(trial.trial_id for trial in reader.trials(done.experiment_id))
    events = Counter(event.kind for event in reader.study(done.experiment_id).events)
    finished = nodes.noted("done")[before:]
    return Loss(
        what="worker" if pull is Nodes.kill_workers else "machine",
        machines=machines,
        trials=stored.total(),
        cut_off=observer.cut_off,
        retried=events["trial_retried"],
        failed=done.trials_failed,
        missing=set(here) - set(stored),
        twice={trial for trial, times in stored.items() if times > 1} | (set(stored) - set(here)),
        unequal={trial for trial in set(here) & set(there) if here[trial] != there[trial]},
        finished_on=[node for node, trial in finished if trial == observer.cut_off],
    )


def records(done: StudyRun) -> dict[str, TrialRecord]:
    """Trial -> its record with every score that it asked for, paths relative to the run's folder.

    A score that another trial has is not computed again; which of two computes it depends on
    which ends first, so here both have it.
    """
    left = [read_record(folder) for folder in sorted((done.folder.parent / "trials").glob("*/"))]
    by_key = {score.key: score for record in left for score in record.scores}
    return {
        record.spec.trial_id: replace(
            record,
            spec=_without_folder(
                replace(record.spec, known_scores=(), replies_path=""), done.folder
            ),
            replies=(),
            scores=tuple(by_key[request.key] for request in record.spec.scores),
        )
        for record in left
    }


def _without_folder(spec: TrialSpec, folder: Path) -> TrialSpec:
    results = str(folder.parent)
    trained = spec.trained_path.replace(results, "results")
    paths = {path: path.replace(results, "results") for path in input_paths(spec)}
    return replace(with_paths(spec, paths), trained_path=trained)


def _alive() -> list[Any]:
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


ROUNDS: tuple[tuple[int, Pull], ...] = (
    (2, Nodes.lose),
    (9, Nodes.lose),
    (14, Nodes.kill_workers),
    (19, Nodes.lose),
)


HEAD = ("lost", "machines", "after", "trials", "cut off", "then finished", "retried", "failed",
        "missing", "twice", "unequal", "seconds")  # fmt: skip


def main() -> None:
    """Lose a machine, or a worker on it, early and late; print the table."""
    rows: list[tuple[str, ...]] = [HEAD]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        alone = in_one_process(folder, STUDY)
        nodes = Nodes(folder, [SMALL_GIB] * 3)
        for after, pull in ROUNDS:
            began = time.monotonic()
            loss = lose_one(folder, STUDY, nodes, nodes.names[-1], after, alone, pull)
            sets = (loss.missing, loss.twice, loss.unequal)
            cut_off, finished = int(bool(loss.cut_off)), len(loss.finished_on)
            counts = (loss.machines, after, loss.trials, cut_off, finished, loss.retried,
                      loss.failed, *map(len, sets))  # fmt: skip
            took = round(time.monotonic() - began)
            rows.append((loss.what, *map(str, counts), str(took)))
            if pull is Nodes.lose:
                nodes.add()
        nodes.shut_down()
    print("\n".join(" | ".join(row) for row in rows))


if __name__ == "__main__":
    # The machines look `execute` up by its module's name, which must not be __main__.
    from tests.engine import ray_node_loss  # noqa: PLW0406

    ray_node_loss.main()
