"""The story of a study, top to bottom: plan, search every arm on validation, test finalists once.

This is the only place where data, search, engine and store meet. The search is handed proposals
and validation scores and nothing else; test items are named only in the trials of finalists, of
default settings, of the untouched base and of latencies, and each is noted in the store before it
runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.data import prepare, row_hashes, with_general
from harness.data.label_notes import label_notes
from harness.engine import Engine, EngineName, open_engine, start_server
from harness.errors import InputError, StudyFailedError
from harness.evaluation.suites.find import load_suite
from harness.evaluation.suites.texts import suite_texts
from harness.models.resolve import resolve_model
from harness.models.runtime import choose_runtime
from harness.packaged.fetch import Progress as FetchProgress
from harness.records import Example, ResolvedModel, to_plain, utc_now
from harness.spec import Experiment, ModelSpec
from harness.spec.served_arms import missing_keys
from harness.store import STORE_FILE, StoreReader, StoreWriter
from harness.store.relocate import relocate_record
from harness.store.study_lock import working_on
from harness.study.asked_models import BASE, models_of
from harness.study.bootstrapping import bootstrap_trials, bootstrapped
from harness.study.brought import BroughtWeights, find_brought, find_starts
from harness.study.coming import TURNS, Coming, coming_trials, only_those
from harness.study.commands import find_commands, notes_on_commands
from harness.study.executing import executing
from harness.study.explanation import say_what_is_known
from harness.study.few_groups import too_few_groups
from harness.study.judges import Judges, judges_of, kept_here, known_by_weights
from harness.study.make_plan import make_plan
from harness.study.milestones import note_end, note_planned
from harness.study.observer import Observer
from harness.study.plan import Plan
from harness.study.plan_lock import lock_plan
from harness.study.preflight import Preflight, try_metrics
from harness.study.record import experiment_record
from harness.study.running import TrialRunner
from harness.study.searching import Searches
from harness.study.sources import InTurn, Listed
from harness.study.stages import after_search, latency_stage
from harness.study.writable import require_writable
from harness.study.writing import find_writers, writings_of, written


@dataclass(frozen=True, slots=True)
class StudyRun:
    """What :func:`run_study` did."""

    experiment_id: str
    """Id of the experiment in the store."""
    store: Path
    """The store's file."""
    folder: Path
    """The study's folder among the results."""
    trials_run: int
    """Trials run in this call."""
    trials_known: int
    """Trials of earlier runs that were taken as they are."""
    trials_failed: int
    """Trials of this call that failed."""
    without_result: dict[str, str] = field(default_factory=dict)
    """Arm -> why the first of its trials failed, where none of them ended well."""
    arms: int = 0
    """Number of arms of the experiment."""

    def require_result(self) -> None:
        """Refuse a study of which no arm has a trial that ended well.

        Raises:
            StudyFailedError: none has; names the first cause.
        """
        if self.arms and len(self.without_result) == self.arms:
            cause = next(iter(self.without_result.values()))
            raise StudyFailedError(
                f"no trial of any arm ended well, so that there is nothing to compare; the first "
                f"failed by: {cause}. Once that is mended, run again with --retry-failed"
            )


def plan_study(
    experiment: Experiment,
    results: Path,
    observer: Observer | None = None,
    fetch_progress: FetchProgress | None = None,
    *,
    held: Path | None = None,
) -> Plan:
    """Everything before the first trial: data, audit, model, prompts, machine, suite, identity.

    Args:
        held: folder of the store that knows when the study began, where that is not ``results``.

    Raises:
        InputError: the data, model, prompts, suite or device cannot be used; says why and what to
            do.
    """
    observer = observer or Observer()
    if not experiment.task.is_located:
        raise InputError(
            "the experiment's own metrics were not read: make it with harness.load, which reads "
            "them"
        )
    suite = load_suite(experiment.general.suite) if experiment.general else None
    if suite and (notice := suite.code_notice()):
        observer.warning(notice)
    starts, commands = find_starts(experiment), find_commands(experiment)
    observer.stage("Preparing data")
    models: dict[str, ResolvedModel] = {}
    brought: dict[str, tuple[BroughtWeights, ...]] = {}
    writers: dict[str, ResolvedModel] = {}
    judges = Judges()
    folders: dict[str, list[Path]] = {}
    prompts = Preflight(experiment, models, folders)
    of_metrics: list[str] = []

    def found(spec: ModelSpec) -> ResolvedModel:
        return resolve_model(spec, fetch_progress)

    def unfit(splits: Mapping[str, Sequence[Example]]) -> dict[str, dict[str, str]]:
        # Once the data are known to be readable: models may have to be fetched.
        of_metrics.extend(try_metrics(experiment.task, splits["train"]))
        judges.calibration = judges_of(experiment, splits).calibration
        observer.stage(f"Preparing model {experiment.model.reference}")
        models.update(models_of(experiment, found))
        brought.update(find_brought(experiment))
        folders.update({arm: [one.folder for one in them] for arm, them in brought.items()})
        judges.find(experiment, found)
        writers.update(find_writers(experiment, found))
        observer.stage("Looking at prompts")
        return prompts.unfit(splits)

    prepared = prepare(experiment, unfit)
    if dropped := len(prepared.dropped):
        observer.warning(f"{dropped} rows dropped as the experiment says")
    if suite and experiment.general:
        read = suite_texts(suite, experiment.general.asked)
        prepared = with_general(prepared, read.texts, read.unread)
        for task, why in read.unread.items():
            observer.warning(f"{task} was not audited for leakage, its items were not read: {why}")
    workers = experiment.execution.workers
    runtime = choose_runtime(experiment.model, experiment.score_batch_size, workers)
    experiment = known_by_weights(experiment, judges.models)
    own = {arm: model for arm, model in models.items() if model is not models[BASE]}
    plan = make_plan(
        experiment,
        prepared,
        models[BASE],
        runtime,
        suite,
        results,
        models=own,
        brought=brought,
        writers=writers,
        starts=starts,
        commands=commands,
    )
    notes = [*prepared.notes, *too_few_groups(experiment, prepared), *label_notes(prepared)]
    notes += [*of_metrics, *prompts.notes]
    notes += [*judges.notes(experiment), *notes_on_commands(commands)]
    notes += [prepared.contradictions.sentence()] if prepared.contradictions.texts else []
    date = _began(held or results, plan.experiment_id) or utc_now()[:10]
    renderings = prompts.renderings(date)
    return replace(plan, judges=judges, date=date, renderings=renderings, notes=tuple(notes))


def _began(results: Path, experiment_id: str) -> str | None:
    """The day on which the study began, as its store has it; None where there is none."""
    store = results.resolve() / STORE_FILE
    if not store.exists():
        return None
    dates = {record.experiment_id: record.data.date for record in StoreReader(store).experiments()}
    return dates.get(experiment_id)


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

    Args:
        results: folder of the store and of the runs.
        open_with: makes the engine, in place of ``engine``; for tests and other engines.
        retry_failed: whether to run trials again that failed in an earlier run.
        ray_address: cluster for engine ``ray``; None takes ``RAY_ADDRESS``, or starts one.

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
    if store.exists():
        say_what_is_known(plan, results, observer)
    plan.folder.mkdir(parents=True, exist_ok=True)
    if engine == "ray" and (kept := kept_here(experiment)):
        observer.warning(kept)
    limits = experiment.execution
    with working_on(plan.folder):
        runner = (
            open_with()
            if open_with
            else open_engine(
                engine, executing(), limits, relocate=relocate_record, ray_address=ray_address
            )
        )
        with ExitStack() as stack:
            study = _Study(plan, store, runner, observer, retry_failed=retry_failed)
            # The engine ends its trials before they are left to other runs.
            stack.callback(study.close)
            stack.callback(runner.close)
            return study.run()


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

    def close(self) -> None:
        """Leave what was under way to other runs."""
        self._runner.close()

    def run(self) -> StudyRun:
        runner, plan = self._runner, self._plan
        coming = coming_trials(self._experiment, plan.prepared.counts)
        with self._writer.held_open():
            self._declare()
            lock_plan(plan, self._writer, self._reader)
            runner.recover()
            for problem in (*plan.left_out(), *plan.notes):
                self._observer.warning(problem)
            self._observer.resumed(len(runner.known))
            self._tell_planned(sum(one.number for one in coming), coming)
        # Before the search, which compares with it what a setting forgets.
        self._observer.stage("Scoring the untouched base")
        runner.work_off(Listed([plan.baseline()]))
        plan = bootstrapped(plan, runner, self._reader, self._writer, self._observer)
        self._plan = plan = written(plan, runner, self._observer)
        searches = self._search()
        selected = searches.selected()
        stages = after_search(plan, selected, searches.defaults())
        tried = searches.tried + writings_of(self._experiment) + len([*bootstrap_trials(plan)])
        until_timed = tried + 1 + sum(len(stage.trials) for stage in stages)
        coming = only_those(coming, [trial for stage in stages for trial in stage.trials])
        self._tell_planned(until_timed + TURNS * len(selected), coming)
        for stage in stages:
            self._observer.stage(stage.title)
            runner.work_off(Listed(stage.trials))
        timing = latency_stage(plan, selected, runner.known)
        self._tell_planned(until_timed + len(timing.trials), coming, exact=True)
        self._observer.stage(timing.title)
        runner.work_off(InTurn(timing.trials))
        note_end(self._writer, self._reader, plan.experiment_id, runner.known.values())
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

    def _tell_planned(self, trials: int, coming: list[Coming], *, exact: bool = False) -> None:
        self._observer.planned(trials, coming)
        note_planned(self._writer, self._reader, self._plan.experiment_id, trials, exact=exact)

    def _without_result(self) -> dict[str, str]:
        """Arms of which every trial failed, each with the first failure."""
        trials = self._runner.known.values()
        failures = {}
        for arm in self._experiment.arms:
            of_arm = [trial for trial in trials if trial.arm == arm]
            if of_arm and all(trial.status == "failed" for trial in of_arm):
                first = min(of_arm, key=lambda trial: trial.started_at)
                failures[arm] = f"{first.failure_message} ({first.failure_kind})"
        return failures

    def _search(self) -> Searches:
        """Spend the budget of every search."""
        runner, identity = self._runner, self._plan.experiment_id
        # It reads what each search trial of earlier runs scored.
        with self._writer.held_open():
            searches = Searches(self._plan, runner.searched(), self._reader, self._observer)
        self._say_if_idle()
        runner.work_off(searches)
        runner.reused += searches.taken
        ends = [to_plain(end) for end in searches.ends()]
        with self._writer.held_open():
            events = self._reader.events(identity)
            noted = [event.detail for event in events if event.kind == "search_ended"]
            for end in ends:
                if end not in noted:
                    self._writer.record_event(identity, "search_ended", end)
        return searches

    def _say_if_idle(self) -> None:
        """Say so if the engine could run more trials at once than the searches ask for."""
        searches = sum(map(self._experiment.repeats_of, self._experiment.arms))
        at_once = self._experiment.search.ahead * searches
        if self._engine.slots > at_once:
            self._observer.warning(
                f"there is room for {self._engine.slots} trials at once, but the searches ask for "
                f"{at_once}: raise search.ahead to keep the machines busy"
            )

    def _declare(self) -> None:
        """Declare the study, and say so if others have scored some of the same test rows."""
        mine, rows = self._plan.experiment_id, row_hashes(self._plan.prepared.splits.test)
        record = experiment_record(self._plan)
        self._writer.declare(record, test_rows=rows)
        readers = self._reader.test_readers(mine, rows)
        if readers and not self._reader.named_ids(mine):
            detail = {"experiments": sorted(readers), "rows": max(readers.values())}
            self._writer.record_event(mine, "test_seen_elsewhere", detail)
