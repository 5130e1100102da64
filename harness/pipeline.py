"""The story of a study, top to bottom: plan, search every arm on validation, test finalists once.

This is the only place where data, search, engine and store meet. The search is handed proposals
and validation scores and nothing else; test items are named only in the trials of finalists, of
default settings and of the untouched base, and each is noted in the store before it runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock, Timeout

from harness.data import prepare, with_general
from harness.data.label_notes import label_notes
from harness.engine import Engine, EngineName, open_engine, start_server
from harness.errors import InputError, StudyFailedError, writing
from harness.evaluation.suite_texts import suite_texts
from harness.evaluation.suites import load_suite
from harness.models.resolve import resolve_model
from harness.models.runtime import choose_runtime
from harness.observer import Observer
from harness.packaged import Progress as FetchProgress
from harness.planning import BASE, Plan, make_plan, models_of
from harness.preflight import Preflight
from harness.records import (
    Example,
    Progress,
    ResolvedModel,
    TrialSpec,
    TrialSummary,
    utc_now,
)
from harness.running import Listed, TrialRunner
from harness.searching import Searches
from harness.spec import Experiment
from harness.spec.endpoint import missing_keys
from harness.stages import after_search, final_counts
from harness.store import (
    STORE_FILE,
    StoreReader,
    StoreWriter,
    write_record,
)
from harness.store.restate import restate_record
from harness.study_record import experiment_record
from harness.trial import run_trial


@dataclass(frozen=True, slots=True)
class StudyRun:
    """What :func:`run_study` did. trials_run: in this call; trials_known: of earlier runs.

    without_result: arm -> why the first of its trials failed, where none of them ended well.
    """

    experiment_id: str
    store: Path
    folder: Path
    trials_run: int
    trials_known: int
    trials_failed: int
    without_result: dict[str, str] = field(default_factory=dict)
    arms: int = 0

    def require_result(self) -> None:
        """Raise unless some arm has a trial that ended well.

        Raises:
            StudyFailedError: none has; names the first cause.
        """
        if self.arms and len(self.without_result) == self.arms:
            cause = next(iter(self.without_result.values()))
            raise StudyFailedError(
                f"no trial of any arm ended well, so that there is nothing to compare; the first "
                f"failed by: {cause}. Once that is mended, run again with --retry-failed"
            )


def execute_trial(spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None]) -> None:
    """Run a trial and leave its whole record in ``folder``. What an engine calls."""
    write_record(folder, run_trial(spec, folder, on_progress))


def plan_study(
    experiment: Experiment,
    results: Path,
    observer: Observer | None = None,
    fetch_progress: FetchProgress | None = None,
    *,
    held: Path | None = None,
) -> Plan:
    """Everything before the first trial: data, audit, model, prompts, machine, suite, identity.

    Parameters:
        held: folder of the store that knows when the study began, where that is not ``results``.

    Raises:
        InputError: the data, model, prompts, suite or device cannot be used; says why and what to
            do.
    """
    observer = observer or Observer()
    suite = load_suite(experiment.general.suite) if experiment.general else None
    if suite and (notice := suite.code_notice()):
        observer.warning(notice)
    observer.stage("Preparing data")
    models: dict[str, ResolvedModel] = {}
    prompts = Preflight(experiment, models)

    def unfit(splits: Mapping[str, Sequence[Example]]) -> dict[str, dict[str, str]]:
        # Once the data are known to be readable: models may have to be fetched.
        observer.stage(f"Preparing model {experiment.model.reference}")
        models.update(models_of(experiment, lambda spec: resolve_model(spec, fetch_progress)))
        observer.stage("Looking at prompts")
        return prompts.unfit(splits)

    prepared = prepare(experiment, unfit)
    if prepared.dropped:
        observer.warning(f"{len(prepared.dropped)} rows dropped as the experiment says")
    if suite and experiment.general:
        read = suite_texts(suite, experiment.general.limit)
        prepared = with_general(prepared, read.texts, read.unread)
        for task, why in read.unread.items():
            observer.warning(f"{task} was not audited for leakage, its items were not read: {why}")
    runtime = choose_runtime(
        experiment.model, experiment.score_batch_size, experiment.execution.workers
    )
    own = {arm: model for arm, model in models.items() if model is not models[BASE]}
    plan = make_plan(experiment, prepared, models[BASE], runtime, suite, results, own)
    notes = [*prepared.notes, *label_notes(prepared), *prompts.notes]
    if prepared.contradictions.texts:
        notes.append(prepared.contradictions.sentence())
    date = _began(held or results, plan.experiment_id) or utc_now()[:10]
    return replace(plan, date=date, renderings=prompts.renderings(date), notes=tuple(notes))


def _began(results: Path, experiment_id: str) -> str | None:
    """The day on which the study began, as its store has it; None where there is none."""
    store = results.resolve() / STORE_FILE
    if not store.exists():
        return None
    dates = {one.experiment_id: one.data.get("date") for one in StoreReader(store).experiments()}
    return dates.get(experiment_id)


def require_writable(results: Path) -> None:
    """Try to write where a study is to lie, before anything is spent on it. Leaves nothing.

    Raises:
        UnwritableError: the system refuses. NoRoomError: the disk is full.
    """
    folder = results.absolute()
    nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    with writing(results, "name another folder with --results"):
        try:
            TemporaryDirectory(prefix="harness-", dir=nearest).cleanup()
        except OSError as error:
            # The folder that could not be made is of no interest, but where it was to be.
            error.filename = str(nearest)
            raise


def run_study(
    experiment: Experiment,
    results: Path,
    *,
    engine: EngineName = "child",
    observer: Observer | None = None,
    fetch_progress: FetchProgress | None = None,
    open_with: Callable[[], Engine] | None = None,
    retry_failed: bool = False,
    ray_address: str | None = None,
) -> StudyRun:
    """Run a study to its end, or finish one that was stopped: nothing that ended is repeated.

    Parameters:
        results: folder of the store and of the runs.
        open_with: makes the engine, in place of ``engine``; for tests and other engines.
        retry_failed: run trials again that failed in an earlier run.
        ray_address: of the cluster for engine ``ray``; None takes ``RAY_ADDRESS``, or starts one.

    Raises:
        InputError: bad input, or another process runs the same experiment in ``results``.
        StoreError: the store is damaged, busy or of a newer version.
    """
    observer = observer or Observer()
    require_writable(results)
    if missing := missing_keys(experiment, os.environ):
        raise InputError(missing)
    if engine == "child" and open_with is None:
        start_server()
    store = results.resolve() / STORE_FILE
    if store.exists():
        # The plan reads it, which takes one of today's version: not an older or unfinished one.
        StoreWriter(store)
    plan = plan_study(experiment, results, observer, fetch_progress)
    plan.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(plan.folder / "running.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"another process runs this experiment in {plan.folder}; wait for it, or stop it first"
        ) from None
    limits = experiment.execution
    runner = (
        open_with()
        if open_with
        else open_engine(
            engine, execute_trial, limits, restate=restate_record, ray_address=ray_address
        )
    )
    try:
        study = _Study(plan, store, runner, observer, retry_failed=retry_failed)
        return study.run()
    finally:
        runner.close()
        lock.release()


class _Study:
    """One run of a plan against a store."""

    def __init__(
        self, plan: Plan, store: Path, engine: Engine, observer: Observer, *, retry_failed: bool
    ) -> None:
        self._plan = plan
        self._experiment = plan.experiment
        self._writer = StoreWriter(store)
        self._reader = StoreReader(store)
        self._engine = engine
        self._observer = observer
        self._runner = TrialRunner(
            plan, engine, self._writer, self._reader, observer, retry_failed=retry_failed
        )

    def run(self) -> StudyRun:
        plan, runner = self._plan, self._runner
        self._writer.declare(experiment_record(plan))
        self._note_other_studies()
        runner.recover()
        for problem in (*plan.left_out(), *plan.notes):
            self._observer.warning(problem)
        searched = sum(self._experiment.trials_of(arm) for arm in self._experiment.arms)
        later = final_counts(self._experiment, plan.prepared.splits)
        self._observer.planned(searched + 1 + later.total)
        # Before the search, which compares with it what a setting forgets.
        self._observer.stage("Scoring the untouched base")
        runner.work_off(Listed([plan.baseline()]))
        selected = self._search()
        stages = after_search(plan, selected, self._broken_defaults())
        tried = sum(trial.phase == "search" for trial in runner.known.values())
        self._observer.planned(tried + 1 + sum(len(stage.trials) for stage in stages))
        for stage in stages:
            self._observer.stage(stage.title)
            runner.work_off(Listed(stage.trials))
        return StudyRun(
            plan.experiment_id,
            self._writer.path,
            plan.folder,
            trials_run=runner.ran,
            trials_known=runner.reused,
            trials_failed=runner.failed,
            without_result=self._without_result(),
            arms=len(self._experiment.arms),
        )

    def _without_result(self) -> dict[str, str]:
        """Arms of which every trial failed, each with the first failure."""
        trials = self._runner.known.values()
        found = {}
        for arm in self._experiment.arms:
            of_arm = [trial for trial in trials if trial.arm == arm]
            if of_arm and all(trial.status == "failed" for trial in of_arm):
                first = min(of_arm, key=lambda trial: trial.started_at)
                found[arm] = f"{first.failure_message} ({first.failure_kind})"
        return found

    def _search(self) -> dict[str, dict[str, Any]]:
        """Spend every arm's budget; arm -> the setting that validation selects."""
        runner, identity = self._runner, self._plan.experiment_id
        known = [trial for trial in runner.known.values() if trial.phase == "search"]
        runner.reused += len(known)
        searches = Searches(
            self._plan,
            known,
            self._observer,
            item_values=self._item_values,
            general_changes=lambda: self._reader.general_changes(identity),
        )
        self._say_if_idle()
        runner.work_off(searches)
        noted = [one.detail for one in self._reader.events(identity) if one.kind == "search_ended"]
        for end in searches.ends():
            if end not in noted:
                self._writer.record_event(identity, "search_ended", end)
        return searches.selected()

    def _item_values(self, trial: TrialSummary) -> dict[int, float]:
        """The primary metric of a prompt trial by place in the validation set."""
        values = self._reader.item_values(
            trial.trial_id, "domain", "validation", self._experiment.task.primary_metric
        )
        validation = self._plan.prepared.splits.validation
        return {n: values[item.id] for n, item in enumerate(validation) if item.id in values}

    def _say_if_idle(self) -> None:
        """Say so if the engine could run more trials at once than the searches ask for."""
        at_once = self._experiment.search.ahead * len(self._experiment.arms)
        if self._engine.slots > at_once:
            self._observer.warning(
                f"there is room for {self._engine.slots} trials at once, but the searches ask for "
                f"{at_once}: raise search.ahead to keep the machines busy"
            )

    def _broken_defaults(self) -> list[str]:
        """Arms whose default setting failed in the search: a test of it would show nothing."""
        trials = self._runner.known.values()
        first = [t for t in trials if t.phase == "search" and t.number == 0]
        return [trial.arm for trial in first if trial.status == "failed"]

    def _note_other_studies(self) -> None:
        """Say so if other experiments in the store have scored the same examples' test set."""
        mine = self._plan.experiment_id
        items = self._plan.sets["test"].fingerprint
        accessed = sorted(
            f"{other.name} ({other.experiment_id[:8]})"
            for other in self._reader.experiments()
            if other.experiment_id != mine
            and other.data.get("test_fingerprint") == items
            and any(t.phase == "finalist" for t in self._reader.trials(other.experiment_id))
        )
        if accessed and not self._reader.trials(mine):
            detail = {"experiments": accessed}
            self._writer.record_event(mine, "test_seen_elsewhere", detail)
