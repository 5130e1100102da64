"""The studies of a store at a glance: how far each is, what it found, how namesakes differ."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from harness.findings import OUTCOME_LABELS
from harness.records import ExperimentRecord, JsonValue, StoredStudy, flattened
from harness.review.names import ended_of_planned
from harness.store import STORE_FILE, StoreReader
from harness.store.declaration import spec_changes
from harness.store.study_lock import is_worked_on
from harness.versions import __version__
from harness.wording import ago, cell

State = Literal["running", "finished", "stopped", "not finished"]

SHOWN_DIFFERENCES = 3
VALUE_LIMIT = 24
# Characters of a long text before the place where it differs.
LEAD = 6


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study at a glance, in words."""

    study: StoredStudy
    """The study as stored."""
    state: State
    """Whether a process works on it, a run came to its end, or neither; ``not finished`` where
    this user may not know whether one works on it."""
    trials: str
    """How many of its trials ended."""
    age: str
    """How long ago it was finished; of an unfinished one, how long ago it was last worked on."""
    verdict: str
    """The verdict, or where it is found; empty where the study is not finished."""
    unlike: str
    """What tells it from the newest of its name; empty where it is that one."""


def overview(results: Path, now: str, asked: str | None = None) -> tuple[StudyRow, ...]:
    """Every study of the store, the one declared last at the end.

    Args:
        now: the time, ISO 8601.
        asked: only studies of this name, or whose id begins so.

    Raises:
        InputError: there is no store, or nothing in it that is asked for.
    """
    reader = StoreReader(results / STORE_FILE)
    stored = reader.studies()
    newest = {study.experiment.name: study for study in stored}
    shown = [study for study in stored if asked in (None, study.experiment.name)]
    if asked is not None and not shown:
        found = reader.find(asked).study.experiment.experiment_id
        shown = [study for study in stored if study.experiment.experiment_id == found]
    return tuple(_row(results, study, newest[study.experiment.name], now) for study in shown)


def state_of(results: Path, study: StoredStudy) -> State:
    """Whether a process works on the study, a run of it came to its end, or neither."""
    working = is_worked_on(results / study.experiment.folder)
    if working:
        return "running"
    if study.finished:
        return "finished"
    return "not finished" if working is None else "stopped"


def _row(results: Path, study: StoredStudy, newest: StoredStudy, now: str) -> StudyRow:
    failed = study.trials.get("failed", 0)
    state = state_of(results, study)
    last = study.finished_at or max(study.declared_at, study.worked_at)
    return StudyRow(
        study=study,
        state=state,
        trials=ended_of_planned(study) + (f", {failed:,} failed" if failed else ""),
        age=ago((datetime.fromisoformat(now) - datetime.fromisoformat(last)).total_seconds()),
        verdict=_verdict(study) if state == "finished" else "",
        unlike="" if study is newest else _unlike(study, newest),
    )


def _verdict(study: StoredStudy) -> str:
    verdict = study.verdict
    if verdict is None:
        return f"harness report {study.short_id}"
    label = OUTCOME_LABELS.get(verdict.outcome, verdict.outcome)
    winner = f": {verdict.winner}" if verdict.winner else ""
    # Another version may have other rules.
    by = "" if verdict.harness == __version__ else f" (by harness {verdict.harness})"
    return f"{label}{winner}{by}"


def _unlike(study: StoredStudy, newest: StoredStudy) -> str:
    found = differences(study.experiment, newest.experiment)
    shown = found[:SHOWN_DIFFERENCES]
    if rest := len(found) - len(shown):
        shown.append(f"and {rest} more")
    return f"unlike {newest.short_id}: {'; '.join(shown) or 'nothing in its declaration'}"


def differences(mine: ExperimentRecord, other: ExperimentRecord) -> list[str]:
    """What tells a study from another of its name, a phrase each.

    Fields of the experiment file come first, each with both values, then contents that the file
    only names. Versions and machine are named where nothing else differs.
    """
    here, there = flattened(mine.spec), flattened(other.spec)
    keys = dict.fromkeys(_part(key, here, there) for key in spec_changes(mine, other))
    found = [f"{key} {_sides(key, here, there)}" for key in keys]
    if mine.data.fingerprint != other.data.fingerprint and not _under("data", keys):
        found.append("other rows in the data")
    if mine.model.fingerprint != other.model.fingerprint and not _under("model", keys):
        found.append("other files of the base model")
    if not found:
        names = sorted(mine.environment.keys() | other.environment.keys())
        found = [
            f"{name} {_sides(name, mine.environment, other.environment)}"
            for name in names
            if mine.environment.get(name) != other.environment.get(name)
        ]
    return found


def _under(part: str, keys: dict[str, None]) -> bool:
    return any(key == part or key.startswith(f"{part}.") for key in keys)


def _part(key: str, here: dict[str, JsonValue], there: dict[str, JsonValue]) -> str:
    """The widest part of the file, down to ``key``, of which one side has nothing."""
    names = key.split(".")
    for depth in range(1, len(names)):
        part = ".".join(names[:depth])
        if not all(any(one.startswith(f"{part}.") for one in side) for side in (here, there)):
            return part
    return key


def _sides(key: str, here: dict[str, JsonValue], there: dict[str, JsonValue]) -> str:
    mine, other = (_shown(key, side) for side in (here, there))
    pairs = enumerate(zip(mine, other, strict=False))
    differ = next((place for place, (a, b) in pairs if a != b), min(len(mine), len(other)))
    start = max(0, differ - LEAD)
    if start and max(len(mine), len(other)) > VALUE_LIMIT:
        mine, other = (f"…{text[start:]}" for text in (mine, other))
    return f"{_cut(mine)}, there {_cut(other)}"


def _shown(key: str, side: dict[str, JsonValue]) -> str:
    if key in side:
        return cell(json.dumps(side[key], ensure_ascii=False), limit=10_000)
    return "set" if any(one.startswith(f"{key}.") for one in side) else "not set"


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_LIMIT else f"{text[: VALUE_LIMIT - 1]}…"


__all__ = ["State", "StudyRow", "differences", "overview", "state_of"]
