"""A metric of one's own works in another process, without its file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from harness.measures import PythonMetric
from harness.spec import TaskSpec

CODE = """\
import os
from dataclasses import dataclass


@dataclass
class Seen:
    process: int


def own(item, reply, target):
    return Seen(os.getpid()).process
"""
PROGRAM = """\
import json, sys
from harness.spec import TaskSpec

(measure,) = TaskSpec.model_validate(json.load(sys.stdin)).measures
print(json.dumps(dict(measure.scorer()({}, "", ""))))
"""


def test_a_task_carries_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(CODE, encoding="utf-8")
    metric = PythonMetric(python="own.py:own", range=(0, None)).located(tmp_path)
    answer = {"kind": "text", "column": "y"}
    task = TaskSpec.model_validate({"instruction": "Say.", "answer": answer, "metrics": [metric]})
    # As a trial's specification holds it.
    plain = json.dumps(task.model_dump(mode="json", by_alias=True))
    (tmp_path / "own.py").unlink()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=plain, capture_output=True, text=True, check=True
    )
    process = json.loads(done.stdout)["own"]
    assert process not in (0, os.getpid())
