"""The story of a study, top to bottom: plan, search every arm on validation, test finalists once.

This is the only place where data, search, engine and store meet. The search is handed proposals
and validation scores and nothing else; test items are named only in the trials of finalists, of
default settings and of the untouched base, and each is noted in the store before it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.data import Prepared, audit_record, prepare, with_general
from harness.engine import Engine, EngineName, open_engine
from harness.errors import InputError, StoreError, TrialError
from harness.evaluation.suite_texts import suite_texts
from harness.evaluation.suites import load_suite
from harness.models.resolve import resolve_model
from harness.models.runtime import choose_runtime
from harness.observer import Observer
from harness.packaged import Progress as FetchProgress
from harness.planning import Plan, accesses_to_test, make_plan
from harness.records import (
    ExperimentRecord,
    Progress,
    TrialRecord,
    TrialSpec,
    TrialSummary,
    utc_now,
)
from harness.search import ArmSearch, PastTrial
from harness.spec import Experiment
from harness.stages import after_search, final_counts
from harness.store import (
    STORE_FILE,
    StoreReader,
    StoreWriter,
    quarantine,
    read_record,
    write_record,
)
from harness.trial import environment_versions, run_trial


@dataclass(frozen=True, slots=True)
class StudyRun:
    """What :func:`run_study` did. trials_run: in this call; trials_known: of earlier runs."""

    experiment_id: str
    store: Path
    folder: Path
    trials_run: int
    trials_known: int
    trials_failed: int


def execute_trial(spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None]) -> None:
    """Run a trial and leave its whole record in ``folder``. What an engine calls."""
    write_record(folder, run_trial(spec, folder, on_progress))


def plan_study(
    experiment: Experiment,
    results: Path,
    observer: Observer | None = None,
    fetch_progress: FetchProgress | None = None,
) -> Plan:
    """Everything before the first trial: data, audit, model, machine, suite, identity.

    Raises:
        InputError: the data, model, suite or device cannot be used; says why and what to do.
    """
    observer = observer or Observer()
    suite = load_suite(experiment.general.suite) if experiment.general else None
    observer.stage("Preparing data")
    prepared = prepare(experiment)
    if prepared.dropped:
        observer.warning(f"{len(prepared.dropped)} rows dropped as the experiment says")
    if suite and experiment.general:
        read = suite_texts(suite, experiment.general.limit)
        prepared = with_general(prepared, read.texts, read.unread)
        for task, why in read.unread.items():
            observer.warning(f"{task} was not audited for leakage, its items were not read: {why}")
    observer.stage(f"Preparing model {experiment.model.reference}")
    model = resolve_model(experiment.model, fetch_progress)
    runtime = choose_runtime(experiment.model, experiment.score_batch_size)
    return make_plan(experiment, prepared, model, runtime, suite, results)


def run_study(
    experiment: Experiment,
    results: Path,
    *,
    engine: EngineName = "child",
    observer: Observer | None = None,
    fetch_progress: FetchProgress | None = None,
    open_with: Callable[[], Engine] | None = None,
) -> StudyRun:
    """Run a study to its end, or finish one that was stopped: nothing that ended is repeated.

    Parameters:
        results: folder of the store and of the runs.
        open_with: makes the engine, in place of ``engine``; for tests and other engines.

    Raises:
        InputError: bad input, or another process runs the same experiment in ``results``.
        StoreError: the store is damaged, busy or of a newer version.
    """
    observer = observer or Observer()
    plan = plan_study(experiment, results, observer, fetch_progress)
    plan.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(plan.folder / "running.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"another process runs this experiment in {plan.folder}; wait for it, or stop it first"
        ) from None
    runner = open_with() if open_with else open_engine(engine, execute_trial)
    try:
        return _Study(plan, results.resolve() / STORE_FILE, runner, observer).run()
    finally:
        runner.close()
        lock.release()


class _Study:
    """One run of a plan against a store."""

    def __init__(self, plan: Plan, store: Path, engine: Engine, observer: Observer) -> None:
        self._plan = plan
        self._experiment = plan.experiment
        self._writer = StoreWriter(store)
        self._reader = StoreReader(store)
        self._engine = engine
        self._observer = observer
        self._known: dict[str, TrialSummary] = {}
        self._ran = self._reused = self._failed = 0

    def run(self) -> StudyRun:
        plan, experiment = self._plan, self._experiment
        self._writer.declare(experiment_record(plan))
        self._note_other_studies()
        self._recover()
        for problem in plan.left_out():
            self._observer.warning(problem)
        searched = {name: experiment.trials_of(name) for name in experiment.arms}
        later = final_counts(experiment, plan.prepared.splits)
        self._observer.planned(sum(searched.values()) + 1 + later.total)
        best: dict[str, dict[str, Any]] = {}
        for arm in experiment.arms:
            self._observer.stage(f"Searching {arm}: {searched[arm]} trials on validation")
            params = self._search(arm)
            if params is not None:
                best[arm] = params
        stages = after_search(plan, best, self._broken_defaults())
        tried = sum(trial.phase == "search" for trial in self._known.values())
        self._observer.planned(tried + sum(len(stage.trials) for stage in stages))
        for stage in stages:
            self._observer.stage(stage.title)
            for trial in stage.trials:
                self._once(trial)
        return StudyRun(
            plan.experiment_id,
            self._writer.path,
            plan.folder,
            trials_run=self._ran,
            trials_known=self._reused,
            trials_failed=self._failed,
        )

    def _search(self, arm: str) -> dict[str, Any] | None:
        """Spend the arm's budget; the resolved setting that validation selects, if any."""
        spec = self._experiment.arms[arm]
        space = spec.search_space()
        past = [
            PastTrial(t.number, {name: t.params[name] for name in space}, self._validation(t))
            for t in self._known.values()
            if t.arm == arm and t.phase == "search"
        ]
        search = ArmSearch(
            arm, spec, self._experiment.data.seed, self._experiment.budget.sampler, past
        )
        for trial in past:
            self._reused += 1
            self._observer.trial_skipped(str(trial.number), arm)
        for _ in range(self._experiment.trials_of(arm) - len(past)):
            proposal = search.ask()
            if proposal is None:
                self._observer.warning(f"every setting of {arm} has been tried: its search ends")
                break
            trial_spec = self._plan.search_trial(
                arm, proposal.number, spec.resolve(proposal.params)
            )
            self._run(trial_spec)
            search.tell(proposal.number, self._validation(self._known[trial_spec.trial_id]))
        best = search.best()
        if best is None:
            self._observer.warning(f"no trial of {arm} succeeded: it has no finalist")
            return None
        return spec.resolve({name: best.params[name] for name in space})

    def _validation(self, trial: TrialSummary) -> float | None:
        """Primary metric on validation; None for a failed trial."""
        metric = self._experiment.task.primary_metric
        for aggregate in trial.aggregates:
            domain = (aggregate.suite, aggregate.split) == ("domain", "validation")
            if trial.status == "complete" and domain and aggregate.metric == metric:
                return aggregate.value
        return None

    def _broken_defaults(self) -> list[str]:
        """Arms whose default setting failed in the search: a test of it would show nothing."""
        trials = self._known.values()
        first = [t for t in trials if t.phase == "search" and t.number == 0]
        return [trial.arm for trial in first if trial.status == "failed"]

    def _once(self, spec: TrialSpec) -> None:
        if spec.trial_id in self._known:
            self._reused += 1
            self._observer.trial_skipped(spec.trial_id, spec.arm)
            return
        self._run(spec)

    def _run(self, spec: TrialSpec) -> None:
        """Run, record and remember one trial."""
        known = self._writer.known_scores(request.key for request in spec.scores)
        spec = replace(spec, known_scores=tuple(sorted(known)))
        for look in accesses_to_test(spec):
            self._writer.record_event(self._plan.experiment_id, "test_access", look)
        self._observer.trial_started(spec)
        folder = self._plan.folder / "trials" / spec.trial_id
        started = utc_now()
        try:
            outcome = self._engine.run(spec, folder, self._observer.progress)
            failure = None if outcome.finished else TrialError(outcome.kind, outcome.message)
        except OSError as error:
            raise StoreError(
                f"trial {spec.trial_id} could not be written to {folder}: {error}; make room and "
                "run again: the study goes on where it stopped"
            ) from error
        record = read_record(folder) if failure is None else _failed(spec, started, failure)
        if failure is not None:
            write_record(folder, record)
        self._ran += 1
        self._take_in(record)

    def _take_in(self, record: TrialRecord) -> None:
        self._writer.ingest(record)
        self._known = {t.trial_id: t for t in self._reader.trials(self._plan.experiment_id)}
        self._failed += record.status == "failed"
        self._observer.trial_ended(record)

    def _recover(self) -> None:
        """Take in whole records that an earlier run left; set torn ones aside."""
        self._known = {t.trial_id: t for t in self._reader.trials(self._plan.experiment_id)}
        trials = self._plan.folder / "trials"
        folders = sorted(trials.iterdir()) if trials.exists() else []
        recovered = 0
        for folder in folders:
            if folder.name in self._known or not (folder / "record").exists():
                continue
            try:
                record = read_record(folder)
            except StoreError as error:
                place = quarantine(folder, str(error))
                self._observer.warning(f"{error}; set aside in {place}, the trial runs again")
                continue
            self._writer.ingest(record)
            recovered += 1
        if self._known or recovered:
            detail = {"trials": len(self._known), "recovered": recovered}
            self._writer.record_event(self._plan.experiment_id, "resumed", detail)
        self._known = {t.trial_id: t for t in self._reader.trials(self._plan.experiment_id)}

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


def experiment_record(plan: Plan) -> ExperimentRecord:
    """The experiment as the store keeps it."""
    return ExperimentRecord(
        experiment_id=plan.experiment_id,
        name=plan.experiment.name,
        created_at=utc_now(),
        spec=plan.experiment.plain(),
        splits=plan.prepared.counts,
        data={
            **_data_facts(plan.experiment, plan.prepared),
            "test_fingerprint": plan.sets["test"].fingerprint,
        },
        model=plan.model,
        environment={
            **environment_versions(),
            "device": plan.runtime.device,
            "dtype": plan.runtime.dtype,
            "threads": str(plan.runtime.threads),
        },
        general_tasks=plan.general_tasks(),
    )


def _data_facts(experiment: Experiment, prepared: Prepared) -> dict[str, Any]:
    return {
        "source": experiment.data.source,
        "fingerprint": prepared.fingerprint,
        "groups": prepared.groups,
        "answers": prepared.answers,
        "dropped_rows": len(prepared.dropped),
        "audit": audit_record(prepared),
    }


def _failed(spec: TrialSpec, started: str, failure: TrialError) -> TrialRecord:
    return TrialRecord(
        spec=spec,
        status="failed",
        started_at=started,
        ended_at=utc_now(),
        failure_kind=failure.kind,
        failure_message=str(failure),
        environment=environment_versions(),
    )
