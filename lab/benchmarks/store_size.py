"""Commands that read the store, over ten million item scores: seconds and memory of each.

    python -m lab.benchmarks.store_size [--rows 10000000] [--folder FOLDER] [--runs 3]

Makes the store (see store_rows.py) in FOLDER unless it is there; without FOLDER it is temporary.
Every run is a new process, started as a user starts it, so that imports are on the clock. Prints
the median of the seconds and the largest peak of resident memory, beside the goal. This process
imports nothing heavy, for a child's peak includes what its parent held when it was started.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOAL_SECONDS = 2.0
GOAL_MIB = 1024.0
LARGEST = "large"
_OF = f"FROM {{}} WHERE experiment = '{LARGEST}'"
# What a user asks of each view.
QUERIES = {
    "trials": f"SELECT arm, phase, status, count(*), avg(last_loss), sum(unscored) "
    f"{_OF.format('trials')} GROUP BY ALL",
    "scores": f"SELECT arm, phase, suite, task, split, metric, avg(value), sum(items), "
    f"avg(prompt_tokens) {_OF.format('scores')} GROUP BY ALL",
    "items": f"SELECT arm, suite, split, metric, avg(value), count(DISTINCT cluster) "
    f"{_OF.format('items')} AND phase = 'finalist' GROUP BY ALL",
    "finalists": f"SELECT * {_OF.format('finalists')}",
    "costs": f"SELECT * {_OF.format('costs')}",
    "test_accesses": f"SELECT * {_OF.format('test_accesses')}",
}


def main() -> None:
    """Make the store, measure each command, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="commands whose name contains this")
    options = parser.parse_args()
    if options.folder is not None:
        measure(options.folder, options.rows, options.runs, options.only)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options.rows, options.runs, options.only)


def measure(folder: Path, rows: int, runs: int, only: str) -> None:
    """Print one row a command."""
    subprocess.run(
        [sys.executable, "-m", "lab.benchmarks.store_rows", folder, "--rows", str(rows)], check=True
    )
    print(f"\n| command | seconds | MiB | under {GOAL_SECONDS:g} s and {GOAL_MIB:g} MiB |")
    print("|---|---|---|---|")
    for name, arguments in commands(folder).items():
        if only in name:
            seconds, mebibytes = zip(*(run(arguments) for _ in range(runs)), strict=True)
            middle, peak = statistics.median(seconds), max(mebibytes)
            met = "yes" if middle < GOAL_SECONDS and peak < GOAL_MIB else "no"
            print(f"| {name} | {middle:.2f} | {peak:.0f} | {met} |", flush=True)


def commands(folder: Path) -> dict[str, list[str]]:
    """Name -> arguments of the ``harness`` command line."""
    results = ["--results", str(folder)]
    found = {"--help": ["--help"], "status": ["status", *results]}
    for view, sql in QUERIES.items():
        found[f"query {view}"] = ["query", sql, *results]
    written = ["--output", str(folder / "report")]
    found[f"report {LARGEST}"] = ["report", LARGEST, *results, *written]
    return found


def run(arguments: list[str]) -> tuple[float, float]:
    """Seconds and peak resident MiB of one run.

    Raises:
        RuntimeError: the command failed.
    """
    program = Path(sys.executable).with_name("harness")
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen([program, *arguments], stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{arguments}: {output.read().decode(errors='replace')[-2000:]}")
    # Linux counts kibibytes, macOS bytes.
    return seconds, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
