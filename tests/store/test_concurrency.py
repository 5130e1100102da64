"""Readers beside a writer, and a writer that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from harness.errors import StoreError
from harness.records import ItemOutput, ItemScore, ScoreRecord
from harness.store import StoreReader, StoreWriter, read_record, write_record
from harness.store.connection import transaction

from .example_records import example_store, experiment, score, trial

READER = """
import sys
from pathlib import Path
from harness.store import StoreReader
reader, seen = StoreReader(Path(sys.argv[1])), 0
print("ready", flush=True)
while seen < 8:
    trials = reader.trials("e1")
    assert len(trials) >= seen and all(len(one.aggregates) == 2 for one in trials)
    seen = len(trials)
print("saw", seen)
"""

HOLDER = """
import sys, time, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("BEGIN")
connection.execute("DELETE FROM trial")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    process.stdout.readline()
    return process


def test_another_process_reads_while_trials_come_in(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    writer = StoreWriter(path)
    writer.declare(experiment())
    process = start(READER, path)
    for seed in range(8):
        assert writer.ingest(trial(f"t{seed}", [score(f"k{seed}")], seed=seed))
    output, _ = process.communicate(timeout=60)
    assert output == "saw 8\n"


def test_the_later_one_waits_for_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    example_store(path)
    process = start(HOLDER, path, 0.7)
    began = time.monotonic()
    assert len(StoreReader(path).trials("e1")) == 4
    assert time.monotonic() - began > 0.3
    process.communicate(timeout=30)


def test_a_lock_that_stays_is_reported_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    example_store(path)
    process = start(HOLDER, path, 60)
    try:
        with pytest.raises(StoreError, match=rf"(?s)another process held.*PID {process.pid}"):
            StoreReader(path, wait_seconds=0.2).experiments()
        with pytest.raises(StoreError, match="another process held"):
            StoreWriter(path, wait_seconds=0.2)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
    assert len(StoreReader(path).trials("e1")) == 4


def test_a_reader_waits_for_a_writer_of_its_own_process(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    example_store(path)
    held = duckdb.connect(str(path))
    with pytest.raises(StoreError, match="another process held"):
        StoreReader(path, wait_seconds=0.1).experiments()
    held.close()
    assert StoreReader(path).experiments()


def test_a_reader_beside_a_writer_of_its_own_process_leaves_the_lock_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    example_store(path)
    opening = f"import duckdb; duckdb.connect({str(path)!r})"

    def read() -> None:
        reader = StoreReader(path, wait_seconds=0.1)
        for ask in (reader.experiments, lambda: reader.query("SELECT 1")):
            with pytest.raises(StoreError, match="another thread of this process held"):
                ask()

    with ThreadPoolExecutor() as threads, transaction(path):
        threads.submit(read).result()
        other = subprocess.run([sys.executable, "-c", opening], check=False, capture_output=True)
        assert b"Could not set lock" in other.stderr
    assert StoreReader(path).query("SELECT 1").rows == ((1,),)


def test_calls_share_one_opening_while_the_file_is_held(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    writer = example_store(path)
    reader = StoreReader(path, wait_seconds=0.1)
    opening = [sys.executable, "-c", f"import duckdb; duckdb.connect({str(path)!r})"]
    with ThreadPoolExecutor() as threads:
        with writer.held_open():
            writer.record_event("e1", "resumed", {"number": 1})
            with writer.held_open():
                assert [one.kind for one in reader.events("e1")].count("resumed") == 1
            with pytest.raises(StoreError, match="is not in this store"):
                writer.record_event("of nobody", "resumed", {})
            with pytest.raises(StoreError, match="another thread of this process held"):
                threads.submit(reader.events, "e1").result()
            other = subprocess.run(opening, check=False, capture_output=True)
            assert b"Could not set lock" in other.stderr
            # What went wrong took nothing else with it.
            writer.record_event("e1", "resumed", {"number": 2})
        found = threads.submit(reader.events, "e1").result()
    assert [one.detail for one in found if one.kind == "resumed"] == [{"number": 1}, {"number": 2}]
    subprocess.run(opening, check=True)


def test_a_file_is_let_go_of_whatever_ends_its_holding(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    writer = example_store(path)
    with pytest.raises(KeyboardInterrupt), writer.held_open():
        writer.record_event("e1", "resumed", {})
        raise KeyboardInterrupt
    subprocess.run(
        [sys.executable, "-c", f"import duckdb; duckdb.connect({str(path)!r})"], check=True
    )
    assert [one.kind for one in StoreReader(path).events("e1")].count("resumed") == 1


def test_threads_of_one_process_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    writer = example_store(path)
    reader = StoreReader(path)
    with ThreadPoolExecutor(8) as threads:
        asked = [
            threads.submit(writer.record_event, "e1", "resumed", {"number": number})
            if number % 2
            else threads.submit(reader.query, "SELECT count(*) FROM event")
            for number in range(24)
        ]
        for each in asked:
            each.result()
    assert [event.kind for event in reader.events("e1")].count("resumed") == 12


def test_twenty_thousand_items(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count = 20_000
    hashes = [f"{number:064x}" for number in range(count)]
    large = ScoreRecord(
        key="k",
        task="feedback-test",
        suite="domain",
        split="test",
        form="base",
        seconds=1.0,
        outputs=tuple(
            ItemOutput(one, one[-6:], one[-3:], "yes", "a reply of some words", 100, 5)
            for one in hashes
        ),
        item_scores=tuple(ItemScore(one, "none", "exact_match", 1.0) for one in hashes),
        aggregates={"exact_match": 1.0},
        higher_is_better={"exact_match": True},
    )
    record = trial(scores=[large])
    writer = StoreWriter(tmp_path / "s.duckdb")
    writer.declare(experiment())
    took: dict[str, float] = {}
    began = time.perf_counter()
    write_record(tmp_path / "t1", record)
    took["write_record"] = time.perf_counter() - began
    began = time.perf_counter()
    read_record(tmp_path / "t1")
    took["read_record"] = time.perf_counter() - began
    began = time.perf_counter()
    writer.ingest(record)
    took["ingest"] = time.perf_counter() - began
    began = time.perf_counter()
    study = StoreReader(tmp_path / "s.duckdb").study("e1")
    took["study"] = time.perf_counter() - began
    assert study.vectors[0].values.shape == (count,)
    assert study.vectors[0].doc_hashes == tuple(hashes)
    with capsys.disabled():
        print("\n20,000 items:", ", ".join(f"{name} {s:.2f} s" for name, s in took.items()))
