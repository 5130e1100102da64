"""Kill a study at random moments until it is done, and count what that cost.

The coordinator is killed, trial children are killed under it, and between its lives records on
disk are torn or altered. What comes out is compared with the same study run in peace.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.errors import StoreError
from harness.records import TRIALS, TrialSummary
from harness.review.studies import load_study, write_reports
from harness.store import STORE_FILE, StoreReader, verify_record
from lab.chaos.study import CASES, undisturbed
from tests.fake_trial import LOG, executions, note

ROOT = Path(__file__).resolve().parents[2]
# Kills that one study bears before it is let through: so many that most trials are hit.
KILLS_A_STUDY = 25
# Per coordinator's life: trials killed under it, at most, and records spoilt after it.
CHILD_KILLS = (0, 0, 1, 2, 4)
SPOILT = (0, 0, 1, 2)
LIFE_SECONDS = 600

Outcome = tuple[str, str, tuple[tuple[str, str, str, float], ...]]


@dataclass(slots=True)
class Tally:
    """What happened to the studies of one case."""

    case: str
    """Name of the case."""
    studies: int = 0
    """Number of studies that were disturbed to their end."""
    kills: int = 0
    """Number of coordinators killed."""
    child_kills: int = 0
    """Number of trials' processes killed."""
    spoilt: int = 0
    """Number of records torn or altered, of trials in the store and of others."""
    quarantined: int = 0
    """Number of records and folders found set aside."""
    planned: int = 0
    """Number of trials of the undisturbed studies."""
    begun: int = 0
    """Number of times that a trial was begun."""
    lost: int = 0
    """Number of planned trials that are not in the store at the end."""
    repeated: int = 0
    """Number of trials begun again after their record was whole."""
    seconds: float = 0.0
    """Wall time so far."""
    wrong: list[str] = field(default_factory=list)
    """Other sentences about what differs."""

    @property
    def broken(self) -> bool:
        """Whether a promise was."""
        return bool(self.lost or self.repeated or self.wrong)


def brew(name: str, kills: int, seed: int, aloud: bool = False) -> Tally:
    """Disturb studies of the case, one after the other, until ``kills`` coordinators are dead.

    Args:
        aloud: say after each study how far it is.
    """
    tally, began = Tally(name), time.monotonic()
    place = Path(tempfile.mkdtemp(prefix=f"chaos-{name}-"))
    calm = place / "calm"
    calm.mkdir()
    expected = outcomes(calm, undisturbed(CASES[name], calm).experiment_id)
    rng = random.Random(seed)
    while tally.kills < kills:
        folder = place / f"study-{tally.studies}"
        folder.mkdir()
        _Storm(name, folder, rng, tally).blow(min(KILLS_A_STUDY, kills - tally.kills), expected)
        tally.studies += 1
        tally.seconds = time.monotonic() - began
        if aloud:
            told = f"{name}: {tally.kills} of {kills} kills, {tally.seconds:.0f} s"
            print(told, file=sys.stderr, flush=True)
        if tally.broken:
            # Left for whoever looks into it.
            tally.wrong.append(f"see {folder}")
            return tally
    shutil.rmtree(place)
    return tally


def outcomes(folder: Path, experiment_id: str) -> dict[str, Outcome]:
    """Trial -> its status, its failure, and its scores."""
    trials = StoreReader(folder / "results" / STORE_FILE).trials(experiment_id)
    assert len({(t.arm, t.phase, t.number, t.seed) for t in trials}) == len(trials)
    return {trial.trial_id: _outcome(trial) for trial in trials}


def _outcome(trial: TrialSummary) -> Outcome:
    scores = tuple((one.task, one.split, one.metric, one.value) for one in trial.aggregates)
    return (trial.status, trial.failure_kind, scores)


@dataclass(slots=True)
class _Storm:
    """One disturbed study."""

    case: str
    """Name of the case."""
    folder: Path
    """Folder of the study."""
    rng: random.Random
    """Decides what is disturbed, and when."""
    tally: Tally
    """Counts what happens."""

    def blow(self, kills: int, expected: dict[str, Outcome]) -> None:
        """Kill its coordinator so often, then let it end, and look at what is there."""
        killed = 0
        # By turns, so that few kills too are of both kinds.
        early = self.rng.random() < 0.5
        while True:
            code, output = self._live(deadly=killed < kills, early=early)
            if code == 0:
                break
            if code != -9:
                self.tally.wrong.append(f"a coordinator ended with {code}: {output}")
                return
            killed += 1
            early = not early
            self.tally.kills += 1
            self._spoil(self.rng.choice(SPOILT))
        # A study that is done, too, notices what is spoilt, and repeats nothing.
        self._spoil(2)
        code, again = self._live(deadly=False)
        if (code, again) != (0, output):
            self.tally.wrong.append(f"the last run ended with {code}: {again}")
            return
        self._count(output.strip(), expected)

    def _live(self, *, deadly: bool, early: bool = False) -> tuple[int, str]:
        """One life of the coordinator: its exit code, and what it printed after ``ready``."""
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.chaos.study", self.case, str(self.folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert process.stdout is not None
        process.stdout.readline()
        if deadly:
            self._disturb(process, early)
        else:
            # The life that ends the study has its trials killed, too.
            trials = max(CHILD_KILLS)
            while process.poll() is None and trials:
                trials -= self._perhaps_kill_a_trial(process.pid)
                time.sleep(0.005)
        # The pipes end with the last of its children: nothing is written after this.
        output, errors = process.communicate(timeout=LIFE_SECONDS)
        return process.returncode, output or (errors if process.returncode > 0 else "")

    def _disturb(self, process: subprocess.Popen[str], early: bool) -> None:
        """Kill the coordinator at a random moment, and perhaps some of its trials before."""
        trials = self.rng.choice(CHILD_KILLS)
        if early:
            # Some moment of planning, recovery, or the first trials.
            until = time.monotonic() + self.rng.uniform(0, 1.5)
            while time.monotonic() < until and process.poll() is None:
                trials -= bool(trials) and self._perhaps_kill_a_trial(process.pid)
                time.sleep(0.01)
        else:
            # While trials begin, run, are written and taken in.
            wanted = self._begun() + self.rng.choice((1, 2, 3, 5))
            while process.poll() is None and self._begun() < wanted:
                trials -= bool(trials) and self._perhaps_kill_a_trial(process.pid)
                time.sleep(0.005)
            time.sleep(self.rng.uniform(0, 0.25))
        process.kill()

    def _begun(self) -> int:
        """How often a trial began, in all lives so far."""
        log = self.folder / "results" / LOG
        return log.read_text("utf-8").count("begin") if log.exists() else 0

    def _perhaps_kill_a_trial(self, coordinator: int) -> bool:
        if self.rng.random() > 0.05:
            return False
        with suppress(psutil.Error):
            family = psutil.Process(coordinator).children(recursive=True)
            # The coordinator's own children serve all trials; theirs are the trials.
            trials = [one for one in family if one.ppid() != coordinator]
            if trials:
                self.rng.choice(trials).kill()
                self.tally.child_kills += 1
                return True
        return False

    def _spoil(self, number: int) -> None:
        """Tear or alter records on disk, first of trials that the store does not hold yet."""
        trials = self.folder / "results" / TRIALS
        records = [record for record in trials.glob("*/record") if _whole(record.parent)]
        stored = self._stored()
        self.rng.shuffle(records)
        records.sort(key=lambda record: record.parent.name in stored)
        for record in records[:number]:
            path = self.rng.choice(sorted(record.iterdir()))
            content = path.read_bytes()
            match self.rng.choice(("torn", "empty", "altered", "missing")):
                case "torn":
                    path.write_bytes(content[: self.rng.randrange(len(content))])
                case "empty":
                    path.write_bytes(b"")
                case "altered":
                    place = self.rng.randrange(len(content))
                    flipped = bytes([content[place] ^ 1 << self.rng.randrange(8)])
                    path.write_bytes(content[:place] + flipped + content[place + 1 :])
                case _:
                    path.unlink()
            self.tally.spoilt += 1
            if record.parent.name not in stored:
                note(record.parent, f"torn {record.parent.name}")

    def _stored(self) -> set[str]:
        store = self.folder / "results" / STORE_FILE
        if not store.exists():
            return set()
        try:
            found = StoreReader(store).query("SELECT trial_id FROM trial").rows
        except StoreError:
            # Killed before the new file had its tables: the next life makes them.
            return set()
        return {trial_id for (trial_id,) in found}

    def _count(self, experiment_id: str, expected: dict[str, Outcome]) -> None:
        tally = self.tally
        report = write_reports(load_study(self.folder / "results", experiment_id))["md"]
        assert "lora" in report.read_text("utf-8")
        found = outcomes(self.folder, experiment_id)
        tally.planned += len(expected)
        tally.lost += len(expected.keys() - found.keys())
        if more := found.keys() - expected.keys():
            tally.wrong.append(f"{len(more)} trials that the study in peace does not have")
        other = [name for name in found.keys() & expected.keys() if found[name] != expected[name]]
        if other:
            tally.wrong.append(f"{len(other)} trials ended otherwise than in peace: {other}")
        ended: set[str] = set()
        for word, trial_id in executions(self.folder / "results"):
            tally.begun += word in ("begin", "again")
            # Whole before, be it in the store, on disk, or both.
            tally.repeated += word == "again" or (word == "begin" and trial_id in ended)
            if word == "done":
                ended.add(trial_id)
            elif word == "torn":
                ended.discard(trial_id)
        aside = list((self.folder / "results" / TRIALS / "quarantine").glob("*"))
        silent = [place.name for place in aside if not (place / "quarantine-reason.txt").is_file()]
        if silent:
            tally.wrong.append(f"quarantined without a reason: {silent}")
        tally.quarantined += len(aside)
        if tally.quarantined != tally.spoilt:
            tally.wrong.append(f"{tally.spoilt} records spoilt, {tally.quarantined} set aside")


def _whole(folder: Path) -> bool:
    try:
        verify_record(folder)
    except StoreError:
        return False
    return True
