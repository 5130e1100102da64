"""Trials on a cluster of several machines, each a Ray node of one core on this computer."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli.run import command
from harness.data import write_examples
from harness.engine import Engine, Execute, RayEngine, open_engine
from harness.engine.ray import cluster as ray_cluster
from harness.engine.ray.claims import claims_of
from harness.engine.ray.inputs import input_paths
from harness.errors import InputError
from harness.records import (
    Endpoint,
    Progress,
    ScoreRequest,
    Seat,
    TrialRecord,
    TrialSpec,
    file_sha256,
    to_plain,
)
from harness.spec import ExecutionSpec, LoraArm, PromptArm
from harness.store import read_record
from harness.store.relocate import relocate_record
from harness.study.executing import execute_trial
from tests import fake_trial
from tests.engine import ray_trials, troublemakers
from tests.engine.contract import EngineContract, ignored, run, trial
from tests.engine.ray_node_loss import SHORT, SMALL_GIB, Nodes, in_one_process, lose_one
from tests.fake_trial import PRELOADED, fake_weights, pretend
from tests.processes import gone
from tests.tiny_model import TASK, TinyModels, messages, resolved, runtime, tiny_models

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed: no cluster was tested")

__all__ = ["tiny_models"]
pytestmark = pytest.mark.ray
ROOMY_GIB = 8


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two machines, the second with more memory."""
    cluster = Nodes(tmp_path_factory.mktemp("cluster"), (SMALL_GIB, ROOMY_GIB))
    yield cluster
    cluster.shut_down()


class Engines:
    """Engines on the cluster. One that is asked for again has its workers, which take seconds."""

    def __init__(self) -> None:
        self._asked: Any = None
        self._engine: RayEngine | None = None

    def __call__(self, execute: Execute, **named: Any) -> RayEngine:
        asked = (execute, named)
        if self._engine is None or asked != self._asked:
            # Two have no room beside each other.
            self.close()
            self._asked, self._engine = asked, engine_of(execute, **named)
        return self._engine

    def tidy(self) -> None:
        """Leave nothing of a test that failed to the next."""
        if self._engine is not None and (self._engine._tasks or self._engine._running_here):
            self.close()

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()


def engine_of(
    execute: Execute,
    *,
    in_place: bool = True,
    preload: list[str] | None = PRELOADED,
    **limits: float,
) -> RayEngine:
    limited = ExecutionSpec.model_validate(limits)
    return RayEngine(execute, relocate_record, limited, in_place=in_place, preload=preload)


@pytest.fixture(scope="module")
def engines(nodes: Nodes) -> Iterator[Engines]:
    held = Engines()
    yield held
    held.close()


@pytest.fixture
def opened(engines: Engines) -> Iterator[Engines]:
    """Opens an engine on the cluster, in place of the last."""
    yield engines
    engines.tidy()


class TestRay(EngineContract):
    """An actor for each trial that runs at once."""

    @pytest.fixture
    def engine(self, opened: Engines) -> Engine:
        return opened(fake_trial.execute)

    @pytest.mark.parametrize(
        ("mark", "kind", "message"),
        [
            ("[killed]", "killed", "SIGKILL; on Linux that is most often"),
            ("[segfault]", "killed", "SIGSEGV"),
            ("[exit]", "error", "exit code 7"),
            ("[raise]", "error", "the trial raised"),
        ],
    )
    def test_a_death_is_an_outcome(
        self, engine: Engine, tmp_path: Path, mark: str, kind: str, message: str
    ) -> None:
        spec, folder = trial(tmp_path, mark)
        outcome = run(engine, spec, folder)
        assert (outcome.finished, outcome.kind) == (False, kind)
        assert message in outcome.message
        assert not (folder / "record").exists()


def test_limits_of_time_hold_on_the_machine(opened: Engines, tmp_path: Path) -> None:
    silent = opened(troublemakers.wait_there, silence_minutes=1 / 60)
    assert run(silent, *trial(tmp_path)).kind == "hung"
    endless = opened(troublemakers.talk_for_ever, deadline_minutes=1 / 60)
    heard: list[Progress] = []
    assert run(endless, *trial(tmp_path), heard.append).kind == "deadline"
    # A hundred a second are said there.
    assert 1 <= len(heard) <= 6


def test_slots_are_what_the_machines_can_hold(opened: Engines, nodes: Nodes) -> None:
    assert opened(fake_trial.execute).slots == 2
    assert opened(fake_trial.execute, cpus=0.1).slots == 20
    assert opened(fake_trial.execute, cpus=2).slots == 1
    assert opened(fake_trial.execute, cpus=0.1, memory_gib=1.5).slots == 2 + 5


def test_a_trial_on_a_gpu_claims_one(
    opened: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "PATIENCE", 0.0)
    spec, folder = trial(tmp_path)
    engine = opened(fake_trial.execute)
    engine.submit(replace(spec, runtime=replace(spec.runtime, device="cuda:1")), folder)
    with pytest.raises(InputError, match="claims 1 CPU, 1 GPU, and none of 2 machines has that"):
        engine.wait(ignored)
    free = opened(fake_trial.execute, gpus=0)
    assert run(free, replace(spec, runtime=replace(spec.runtime, device="cuda:1")), folder).finished
    assert read_record(folder).spec.runtime.device == "cuda:1"


@pytest.mark.parametrize(
    ("limits", "device", "processes", "gpus"),
    [({}, "cpu", 2, 0), ({}, "cuda", 1, 1), ({}, "cuda:3", 2, 2), ({"gpus": 0.5}, "cuda", 1, 0.5)],
)
def test_gpus_follow_the_device(
    tmp_path: Path, limits: dict[str, float], device: str, processes: int, gpus: float
) -> None:
    spec, _ = trial(tmp_path)
    spec = replace(
        spec,
        runtime=replace(spec.runtime, device=device),
        params={**spec.params, "processes": processes},
    )
    claims = claims_of(ExecutionSpec.model_validate(limits), spec)
    assert claims == {"CPU": 1.0, "GPU": gpus, "memory": 0}


def test_one_and_a_half_gpus_cannot_be_claimed() -> None:
    with pytest.raises(InputError, match=r"execution\.gpus: 1\.5; write a whole number"):
        RayEngine(fake_trial.execute, relocate_record, ExecutionSpec(gpus=1.5))


# --------------------------------------------------------------------------- files


def reading(tmp_path: Path, name: str) -> tuple[TrialSpec, Path]:
    """A trial that reads items and a model."""
    spec, folder = trial(tmp_path, None, name)
    model = fake_trial.write_model(tmp_path / "model")
    return replace(spec, model=replace(spec.model, path=str(model))), folder


def test_files_travel_both_ways(opened: Engines, nodes: Nodes, tmp_path: Path) -> None:
    engine = opened(ray_trials.leave_traces, in_place=False)
    submitted = [reading(tmp_path, name) for name in "abcd"]
    for spec, folder in submitted:
        engine.submit(spec, folder)
    for _ in submitted:
        ended = engine.wait(ignored)
        assert ended.outcome.finished, ended.outcome
    places: dict[str, set[tuple[str, ...]]] = {}
    for spec, folder in submitted:
        assert read_record(folder) == pretend(spec)
        assert (folder / "traces" / "weights").read_bytes() == ray_trials.WEIGHTS
        assert (folder / "traces" / "empty").read_bytes() == b""
        assert sorted(path.name for path in folder.iterdir()) == ["record", "traces"]
        places.setdefault(ray_trials.where(folder), set()).add(tuple(ray_trials.paths_seen(folder)))
    assert set(places) <= set(nodes.names)
    for name, seen in places.items():
        # Every trial of a machine was handed the same files, of the machine's own cache.
        (paths,) = seen
        assert len(paths) == len(input_paths(submitted[0][0])) == 2
        assert all(f"caches/{name}/cluster/inputs" in path for path in paths)
        assert file_sha256(Path(paths[0])) == file_sha256(tmp_path / "items.parquet")
        assert (Path(paths[1]) / "model.safetensors").read_bytes() == fake_weights("fake weights")


def test_requests_are_timed_on_one_machine_with_the_weights_of_another(
    opened: Engines, tmp_path: Path
) -> None:
    engine = opened(ray_trials.leave_traces, in_place=False)
    trained = tmp_path / "artifact"
    trained.mkdir()
    (trained / "adapter_model.safetensors").write_bytes(b"learnt")
    machines = set()
    for name in "abcd":
        spec, folder = reading(tmp_path, name)
        spec = replace(spec, phase="latency", trained_path=str(trained))
        assert run(engine, spec, folder).finished
        machines.add(ray_trials.where(folder))
        weights = Path(ray_trials.paths_seen(folder)[-1])
        assert (weights / "adapter_model.safetensors").read_bytes() == b"learnt"
        assert read_record(folder).spec.trained_path == str(trained)
    assert len(machines) == 1


def test_files_at_the_same_path_are_used_in_place(opened: Engines, tmp_path: Path) -> None:
    engine = opened(ray_trials.leave_traces)
    spec, folder = reading(tmp_path, "a")
    assert run(engine, spec, folder).finished
    assert ray_trials.paths_seen(folder) == list(input_paths(spec))
    assert not engine._parts


def test_who_asks_a_server_stays_here(opened: Engines, nodes: Nodes, tmp_path: Path) -> None:
    engine = opened(ray_trials.leave_traces)
    server = Endpoint("http://localhost:1/v1", "m", None, 1, None, 1.0, 0, 0, 0, None, "EUR",
                      str(tmp_path / "ledger.jsonl"))  # fmt: skip
    asking, asking_folder = trial(tmp_path, "[sleep=0.2]", "asking")
    other, other_folder = trial(tmp_path, None, "other")
    judged, judged_folder = trial(tmp_path, None, "judged")
    engine.submit(replace(asking, endpoint=server), asking_folder)
    engine.submit(replace(judged, judges=(Seat("j", "a", None, server),)), judged_folder)
    engine.submit(other, other_folder)
    ended = [engine.wait(ignored) for _ in range(3)]
    assert all(one.outcome.finished for one in ended)
    assert ray_trials.where(asking_folder) == ray_trials.where(judged_folder) == "driver"
    assert ray_trials.where(other_folder) in nodes.names


# --------------------------------------------------------------------------- machines


def test_a_machine_with_other_libraries_stops_the_study(
    opened: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "versions_for", lambda spec: {"numpy": "0.1"})
    engine = opened(fake_trial.execute)
    engine.submit(*trial(tmp_path))
    with pytest.raises(InputError, match=r"numpy \d.* in place of 0\.1: install there"):
        engine.wait(ignored)


def test_a_lost_worker_is_told(opened: Engines, nodes: Nodes, tmp_path: Path) -> None:
    pids: list[int] = []

    def kill(progress: Progress) -> None:
        pids.append(progress.done)
        for name in nodes.names:
            nodes.kill_workers(name)

    outcome = run(opened(troublemakers.wait_there), *trial(tmp_path), kill)
    assert (outcome.finished, outcome.kind) == (False, "lost")
    assert len(pids) == 1
    assert gone(pids)
    assert run(opened(fake_trial.execute), *trial(tmp_path)).finished


def test_a_worker_that_was_lost_while_idle_takes_no_trial_with_it(
    opened: Engines, nodes: Nodes, tmp_path: Path
) -> None:
    engine = opened(ray_trials.say_process)
    first = process_of(engine, tmp_path, None, "a")
    for name in nodes.names:
        nodes.kill_workers(name)
    assert gone([first])
    assert process_of(engine, tmp_path, None, "b") != first


def test_a_worker_stays_unless_its_trial_failed(opened: Engines, tmp_path: Path) -> None:
    engine = opened(ray_trials.say_process)
    first = process_of(engine, tmp_path, None, "a")
    assert process_of(engine, tmp_path, "[fail]", "b") == first
    after = process_of(engine, tmp_path, None, "c")
    assert after != first
    engine.close()
    assert gone([first, after])


def test_idle_workers_make_room(opened: Engines, tmp_path: Path) -> None:
    # So much memory one machine alone has.
    holding = opened(ray_trials.say_process, memory_gib=ROOMY_GIB)
    other = engine_of(ray_trials.say_process, memory_gib=ROOMY_GIB)
    assert run(holding, *trial(tmp_path, None, "a")).finished
    # For a trial of the same run that claims something else, at once.
    holding._limits = ExecutionSpec(cpus=0.5, memory_gib=ROOMY_GIB)
    assert run(holding, *trial(tmp_path, None, "b")).finished
    assert [slot.wanted.claims["CPU"] for slot in holding._slots._held] == [0.5]
    # For another run, when this one has nothing to do.
    other.submit(*trial(tmp_path, None, "c"))
    assert other._poll_cluster(ignored) is None
    assert other._slots.starting()
    holding.rest()
    assert other.wait(ignored).outcome.finished
    other.close()


def process_of(engine: RayEngine, folder: Path, mark: str | None, name: str) -> int:
    """The process that a trial ran in."""
    spec, place = trial(folder, mark, name)
    assert run(engine, spec, place).finished
    return int((place / "process").read_text())


def test_closing_ends_what_runs_elsewhere(opened: Engines, tmp_path: Path) -> None:
    engine = opened(troublemakers.wait_there)
    engine.submit(*trial(tmp_path))
    pids: list[int] = []

    def leave(progress: Progress) -> None:
        pids.append(progress.done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.wait(leave)
    assert len(pids) == 1
    assert gone(pids)


def test_a_study_survives_the_loss_of_a_machine(nodes: Nodes, tmp_path: Path) -> None:
    alone = in_one_process(tmp_path, SHORT)
    name = nodes.add()
    loss = lose_one(tmp_path, SHORT, nodes, name, after=2, alone=alone)
    assert loss.machines == 3
    assert loss.trials == alone.trials_run > 9
    assert loss.cut_off
    # The trial that was cut off, and perhaps one whose record had not come over yet.
    assert loss.retried in (1, 2)
    (elsewhere,) = loss.finished_on
    assert elsewhere != name
    assert (loss.failed, loss.missing, loss.twice, loss.unequal) == (0, set(), set(), set())


# --------------------------------------------------------------------------- a real trial


def test_a_base_is_loaded_once(tiny_models: TinyModels, opened: Engines, tmp_path: Path) -> None:
    engine = opened(ray_trials.COUNTING, in_place=False, preload=None)
    loads = []
    for name, kind in (("a", "prompt"), ("b", "prompt"), ("c", "lora")):
        spec, folder = trial(tmp_path, None, name)
        arm = PromptArm(kind="prompt") if kind == "prompt" else LoraArm(kind="lora")
        spec = replace(
            spec,
            kind=kind,
            params=to_plain(arm.resolve(arm.defaults())),
            model=resolved(tiny_models.chat),
            task=TASK.model_dump(mode="json", by_alias=True),
            runtime=runtime(),
        )
        write_examples(Path(spec.train_path), messages(8))
        assert run(engine, spec, folder).finished
        assert read_record(folder).status == "complete", read_record(folder).failure_message
        loads.append((folder / "loads").read_text().splitlines())
    assert len(loads[0]) == 1
    assert loads[1] == loads[2] == loads[0]


def test_a_real_trial_gives_the_same_numbers(
    tiny_models: TinyModels, opened: Engines, tmp_path: Path
) -> None:
    sets = {"train": messages(12), "validation": messages(4, 20)}
    for name, examples in sets.items():
        write_examples(tmp_path / f"{name}.parquet", examples)
    arm = LoraArm.model_validate(
        {"kind": "lora", "epochs": 2, "rank": 4, "batch_size": 4, "learning_rate": 1e-3}
    )
    validation = str(tmp_path / "validation.parquet")
    spec = replace(
        trial(tmp_path)[0],
        kind="lora",
        params=to_plain(arm.resolve({})),
        model=resolved(tiny_models.chat),
        task=TASK.model_dump(mode="json", by_alias=True),
        train_path=str(tmp_path / "train.parquet"),
        validation_path=validation,
        scores=(ScoreRequest("v", "domain_validation", "domain", "validation", validation),),
        runtime=runtime(),
        keep_artifact=True,
    )
    here, there = tmp_path / "here", tmp_path / "there"
    execute_trial(spec, here, ignored)
    assert run(opened(ray_trials.COUNTING, in_place=False, preload=None), spec, there).finished
    assert numbers(read_record(there)) == numbers(read_record(here))
    assert read_record(there).artifacts
    for artifact in read_record(there).artifacts:
        assert file_sha256(there / artifact.path) == artifact.sha256
    weights = "artifact/adapter_model.safetensors"
    assert file_sha256(there / weights) == file_sha256(here / weights)
    kept = json.loads((there / "artifact" / "adapter_config.json").read_text())
    assert kept["base_model_name_or_path"] == spec.model.path


def numbers(record: TrialRecord) -> TrialRecord:
    """The record without what a clock or the memory gave."""
    assert record.status == "complete", record.failure_message
    assert record.steps
    return replace(
        record,
        started_at="",
        ended_at="",
        cost=None,
        # Settings beside the weights list names in an order that differs by process.
        artifacts=(),
        # How many MiB were free.
        environment={k: v for k, v in record.environment.items() if k != "training_memory"},
        steps=tuple(replace(step, seconds=0.0, check_seconds=0.0) for step in record.steps),
        scores=tuple(replace(score, seconds=0.0, latencies=()) for score in record.scores),
    )


# --------------------------------------------------------------------------- at the terminal


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'harness\[ray\]'"):
        open_engine("ray", fake_trial.execute, ExecutionSpec(), relocate=relocate_record)


def test_rays_client_is_refused() -> None:
    with pytest.raises(InputError, match="--ray-address auto"):
        RayEngine(fake_trial.execute, relocate_record, address="ray://somewhere:10001")


@pytest.mark.parametrize("place", ["127.0.0.1:1", "nonsense"])
def test_an_address_where_nobody_answers_is_refused_at_once(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(InputError, match=f"no Ray cluster can be used at {place}"):
        RayEngine(fake_trial.execute, relocate_record, address=place)


def test_an_address_needs_the_engine() -> None:
    told = CliRunner().invoke(command, ["none.yaml", "--ray-address", "auto"])
    assert told.exit_code == 2
    assert "--ray-address is for --engine ray" in told.output
