"""Trials for machines of a cluster, which look them up by name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from harness.engine.ray.inputs import input_paths
from harness.records import Progress, TrialSpec
from tests import fake_trial
from tests.engine.ray_node_loss import NODE

WEIGHTS = bytes(range(256)) * 2**16


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
