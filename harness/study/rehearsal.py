"""What of a study is known before it runs, found by going through it without running anything."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.engine import Engine
from harness.errors import needing_room
from harness.records import TrialSpec, TrialSummary
from harness.store import STORE_FILE, StoreReader, StoreWriter
from harness.store.connection import reading
from harness.study.bootstrapping import bootstrapped
from harness.study.known_parts import weights_at_hand
from harness.study.observer import Observer
from harness.study.plan import Plan
from harness.study.record import experiment_record
from harness.study.running import TrialRunner
from harness.study.searching import Searches
from harness.study.sources import Listed, Source
from harness.study.stages import after_search, latency_stage
from harness.study.writing import written


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a run of a study would find."""

    plan: Plan
    """The study, with what is known of instructions and worked examples that a model writes; files
    of the examples lie where the copy does."""
    ended: tuple[TrialSummary, ...]
    """Trials that it would take as they are: its own, and those that were run for others."""
    to_run: tuple[TrialSpec, ...]
    """Trials that it would start before it had to wait for one, with what is known of them: of a
    trial that ``adds``, only what is missing is scored."""
    waiting: Mapping[str, str]
    """Arm of which nothing can be said yet -> the arm whose search selects its instruction."""
    reader: StoreReader
    """Of a copy of the store, in which the study names what is known."""

    @property
    def known(self) -> Counter[str]:
        """Arm -> number of trials that are known."""
        return Counter(trial.arm for trial in self.ended)


class _Nowhere:
    """An engine that is never asked to run anything."""

    slots = 1

    def close(self) -> None:
        """Do nothing."""


@dataclass(slots=True)
class _Rehearsing(TrialRunner):
    """Takes what is known, and notes what is not."""

    results: Path = field(kw_only=True)
    """Folder of the real results."""
    to_run: list[TrialSpec] = field(default_factory=list, kw_only=True)
    """Trials that are not known."""

    def work_off(self, source: Source) -> None:
        """Go through ``source`` as far as it goes without the outcome of what is not known."""
        while (spec := source.next()) is not None:
            found = self._ended_before(spec) or self._name(spec)
            if isinstance(found, TrialSummary):
                source.ended(found)
            elif found is not None:
                self._start(found)

    def _weights_at_hand(self, spec: TrialSpec) -> str:
        trials = self.results / self.plan.trials.name
        return weights_at_hand(spec, self.reader, trials, whole=False)

    def _submit(self, spec: TrialSpec) -> None:
        weights = spec.trained_path or self._weights_at_hand(spec)
        self.to_run.append(replace(spec, trained_path=weights))
        self._release(spec.trial_id)


def rehearse(plan: Plan, results: Path, folder: Path) -> Rehearsal:
    """Go through the study on a copy of the store.

    Args:
        results: folder of the store, which is only read, and need not exist.
        folder: an empty folder for the copy.

    Raises:
        StoreError: the store is damaged, busy or of another version.
    """
    store, copy = results / STORE_FILE, folder / STORE_FILE
    if store.is_file():
        log = store.with_name(f"{store.name}.wal")
        # No other process writes to it meanwhile.
        with reading(store), needing_room(copy):
            shutil.copyfile(store, copy)
            if log.exists():
                shutil.copyfile(log, copy.with_name(f"{copy.name}.wal"))
    writer, reader = StoreWriter(copy), StoreReader(copy)
    # Nobody else knows of the copy.
    with writer.held_open():
        return _rehearsed(plan, results, folder, writer, reader)


def _rehearsed(
    plan: Plan, results: Path, folder: Path, writer: StoreWriter, reader: StoreReader
) -> Rehearsal:
    writer.declare(experiment_record(plan))
    # Its trials' folders are the copy's own: none is locked, moved or written among the real ones.
    apart = replace(plan, folder=folder / plan.folder.name)
    engine: Engine = _Nowhere()  # type: ignore[assignment]
    runner = _Rehearsing(apart, engine, writer, reader, Observer(), results=results.resolve())
    runner.recover()
    runner.work_off(Listed([plan.baseline()]))
    apart = bootstrapped(apart, runner, reader, writer, Observer())
    apart = written(apart, runner, Observer())
    plan = replace(plan, worked=apart.worked, writings=apart.writings)
    searches = Searches(apart, runner.searched(), reader, Observer())
    runner.work_off(searches)
    still_searched = {spec.arm for spec in runner.to_run}
    selected = {
        arm: chosen for arm, chosen in searches.selected().items() if arm not in still_searched
    }
    for stage in after_search(plan, selected, searches.defaults()):
        runner.work_off(Listed(stage.trials))
    if not runner.to_run:
        runner.work_off(Listed(latency_stage(plan, selected, runner.known).trials))
    ended = filter(searches.counts, reader.trials(plan.experiment_id))
    return Rehearsal(plan, tuple(ended), tuple(runner.to_run), searches.waiting, reader)
