"""The command from its entry point on: exit codes, streams, and how long help takes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.command_line import harness
from tests.fake_trial import experiment_values

HARNESS = Path(sys.executable).with_name("harness")


def process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(HARNESS), *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_help_is_quick() -> None:
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        assert process("--help").returncode == 0
        seconds.append(time.perf_counter() - began)
    assert statistics.median(seconds) < 1.0


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, harness.cli, harness\n"
        "try: harness.cli.group.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pydantic', 'numpy', 'duckdb', 'optuna', 'transformers', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_missing_file_is_code_2(tmp_path: Path, command: str) -> None:
    file = tmp_path / "none.yaml"
    # What the entry point does is done by a process, too.
    done = process(command, file) if command == "check" else harness(command, file, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert "no such file; `harness init` writes one" in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_input_is_code_2_and_says_everything(tmp_path: Path) -> None:
    values = experiment_values(tmp_path, budget={"trials": 0}, seeds=[1, 1])
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    done = harness("run", "e.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("error: e.yaml:") == 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_many_problems_are_cut_short(tmp_path: Path) -> None:
    values = experiment_values(tmp_path)
    (tmp_path / "data.jsonl").write_text('{"text": "a"}\n' * 100, encoding="utf-8")
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    done = harness("check", "e.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) <= 26


def test_wrong_usage_is_code_2(tmp_path: Path) -> None:
    for arguments in (("run",), ("run", "x", "--engine", "none"), ("query",), ("nothing",)):
        done = harness(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert "Usage: harness" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_damaged_store_is_code_1(tmp_path: Path) -> None:
    (tmp_path / "harness.duckdb").write_bytes(b"not a database" * 100)
    done = harness("status", "--results", tmp_path, cwd=tmp_path)
    assert done.returncode == 1
    assert "the store cannot be opened" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without a signal")
def test_a_request_to_end_is_obeyed_in_order() -> None:
    code = (
        "import tempfile, time\n"
        "from harness import cli\n"
        "def work(**rest):\n"
        "    with tempfile.TemporaryDirectory() as folder:\n"
        "        print(folder, flush=True)\n"
        "        time.sleep(60)\n"
        "cli.group.main = work\n"
        "cli.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert folder.is_dir()
    process.terminate()
    _, told = process.communicate(timeout=30)
    assert process.returncode == 143
    assert told.startswith("Stopped. What was finished is kept")
    assert "Traceback" not in told
    assert not folder.exists()


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{HARNESS} doctor | head -1"],  # noqa: S607
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith("python")
    assert done.stderr == ""
