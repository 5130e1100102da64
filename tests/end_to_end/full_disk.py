"""Studies on a disk that fills up: ``python -m tests.end_to_end.full_disk FOLDER CASE ...``.

A CASE is HOW-FREE-ENGINE. HOW is ``disk``, a file system of 24 MiB of which so many KiB are left
(to be run in a user namespace with a mount namespace of its own, ``unshare -rm``), or ``limit``:
no file may be above them. In a folder of the case's name the command line
is run, then again with room; the exit codes and the outcome are in its ``said.json``, what was said
to standard error in its ``errors.txt``. Each case is a fork of one process that has loaded what all
need.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from harness import cli
from harness.engine import Engine
from harness.engine.child import ChildEngine
from harness.engine.in_process import InProcessEngine
from harness.records import Runtime
from harness.report.formats import html
from harness.spec import ExecutionSpec
from harness.store import STORE_FILE, StoreReader
from harness.study import run as pipeline
from harness.study.preflight import Preflight
from tests import fake_trial

DISK_BYTES = 24 * 2**20
# What the command loads on its way, loaded once for all cases.
LOADED = (
    "harness.cli.progress",
    "harness.cli.run",
    "harness.evaluation.local.constrained",
    "harness.report",
    "harness.review.searches",
    "harness.review.studies",
    "harness.store.vectors",
    "harness.study.remaining",
    "harness.study.tracking",
    "pandas",
    "pyarrow.dataset",
    "scipy.stats",
    "tokenizers",
)
ARMS = {"lora": {"kind": "lora"}}


def main(folder: Path, cases: Sequence[str]) -> None:
    for name in LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    for case in cases:
        how, free, engine = case.split("-", 2)
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            continue
        place = folder / case
        place.mkdir()
        with (place / "errors.txt").open("w", encoding="utf-8") as errors:
            os.dup2(errors.fileno(), sys.stderr.fileno())
        attempt(how, int(free), engine, place)
        sys.stderr.flush()
        os._exit(0)


def attempt(how: str, free: int, engine: str, folder: Path) -> None:
    disk = folder / "disk"
    disk.mkdir()
    values = fake_trial.experiment_values(folder, arms=ARMS, name="cramped")
    file = folder / "experiment.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    command = ["harness", "run", str(file), "--results", str(disk / "results"), "--quiet"]
    command += ["--engine", engine]
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    if how == "disk":
        mount = shutil.which("mount") or "mount"
        subprocess.run(
            [mount, "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)], check=True
        )
        _fill(disk / "filler", free * 1024)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (free * 1024, unlimited[1]))
    with (
        patch.object(pipeline, "open_engine", _stand_in),
        # It would load the libraries of real trials.
        patch.object(pipeline, "start_server", lambda: None),
        patch.object(pipeline, "choose_runtime", lambda *_: Runtime("cpu", "float32", 4)),
        # Torch would read prompts that no model is shown.
        patch.object(Preflight, "unfit", lambda *_: {}),
        patch.object(Preflight, "renderings", lambda *_: {}),
        # Charts take longer than the study, and are drawn once it has ended.
        patch.object(html, "draw", lambda *_: ""),
    ):
        codes = [_code(command)]
        if how == "disk":
            (disk / "filler").unlink()
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        codes.append(_code(command))
    reader = StoreReader(disk / "results" / STORE_FILE)
    (one,) = reader.experiments()
    trials = [
        (t.trial_id, t.status, [(a.task, a.split, a.metric, a.value) for a in t.aggregates])
        for t in reader.trials(one.experiment_id)
    ]
    said = json.dumps({"codes": codes, "trials": trials})
    (folder / "said.json").write_text(said, encoding="utf-8")


def _fill(filler: Path, left: int) -> None:
    """Write until only ``left`` bytes of the disk are free."""
    with filler.open("wb") as file:
        room = os.statvfs(filler)
        file.write(b"x" * (room.f_bavail * room.f_frsize - left))


def _stand_in(name: str, execute: object, limits: ExecutionSpec, **_: Any) -> Engine:
    if name == "in-process":
        return InProcessEngine(fake_trial.execute)
    return ChildEngine(fake_trial.execute, limits, fake_trial.PRELOADED)


def _code(command: list[str]) -> int:
    code: Any = 0
    with patch.object(sys, "argv", command), suppress(SystemExit):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
    return int(code or 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
