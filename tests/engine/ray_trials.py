"""Trials for machines of a cluster, which look them up by name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness.engine.ray.inputs import input_paths
from harness.models import base_cache
from harness.models.base_cache import BaseCache
from harness.records import Progress, Status, TrialSpec
from harness.store import read_record
from harness.study.executing import execute_trial
from tests import fake_trial
from tests.engine.ray_node_loss import NODE

WEIGHTS = bytes(range(256)) * 2**16
_loads: list[str] = []


def where(folder: Path) -> str:
    """The machine on which :func:`leave_traces` ran."""
    return str(json.loads((folder / "traces" / "seen.json").read_text())["node"])


def paths_seen(folder: Path) -> list[str]:
    """The paths that it was handed."""
    return list(json.loads((folder / "traces" / "seen.json").read_text())["paths"])


def leave_traces(spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None]) -> None:
    """A pretended trial that also leaves what it was handed, weights, and an empty file."""
    traces = folder / "traces"
    traces.mkdir(parents=True)
    seen = {"node": os.environ.get(NODE, "driver"), "paths": list(input_paths(spec))}
    (traces / "seen.json").write_text(json.dumps(seen))
    (traces / "weights").write_bytes(WEIGHTS)
    (traces / "empty").touch()
    fake_trial.execute(spec, folder, on_progress)


def say_process(spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None]) -> Status:
    """A pretended trial that leaves, as ``process``, the id of the process that it ran in."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "process").write_text(str(os.getpid()))
    fake_trial.execute(spec, folder, on_progress)
    return read_record(folder).status


def count_loads(
    spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None], bases: BaseCache
) -> Status:
    """A real trial that leaves, as ``loads``, what its process has loaded from files so far."""
    load = vars(base_cache)["load_arms_base"]
    if load.__name__ != "noting":

        def noting(resolved: Any, runtime: Any, settings: Any) -> Any:
            _loads.append(f"{os.getpid()} {resolved.path} {settings.kind}")
            return load(resolved, runtime, settings)

        vars(base_cache)["load_arms_base"] = noting
    status = execute_trial(spec, folder, on_progress, bases)
    (folder / "loads").write_text("\n".join(_loads))
    return status


# One for all tests: an engine with another would start workers of its own.
COUNTING = partial(count_loads, bases=BaseCache())
