"""What is still to be spent on a study: its trials, one by one, at the speed of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from harness.engine import Engine
from harness.forecast.arm_sum import ArmSum
from harness.forecast.counted import Counted
from harness.forecast.findings import Forecast
from harness.forecast.room import busy_share, free_mib
from harness.forecast.samples import Measured, measure
from harness.forecast.trial_time import Stopwatch
from harness.forecast.upcoming import upcoming_trials
from harness.forecast.words import notes_on, warnings_of
from harness.models.memory import available_mib
from harness.observer import Observer
from harness.planning import BASE, Plan
from harness.records import TrialSummary
from harness.store import STORE_FILE, StoreReader

# Bytes in the store for each scored item, replies and indices included.
STORED_BYTES = 1500
MIB = 2**20
# As the run asks before each trial.
KNOWN_SCORES = (
    "SELECT s.score_key FROM score s JOIN trial t ON t.trial_id = s.scored_by "
    "WHERE t.status <> 'failed' AND s.score_key IN (SELECT unnest($keys))"
)


def forecast_study(
    plan: Plan,
    results: Path,
    open_engine: Callable[[], Engine],
    observer: Observer | None = None,
    *,
    quick: bool = False,
) -> Forecast:
    """What the trials that ``plan`` still has before it will take.

    Parameters:
        results: folder of the store, which is only read, and need not exist.
        open_engine: makes the engine that runs small trials; they leave nothing behind.
        quick: measure the default setting of each arm only, and less of it.

    Raises:
        StoreError: the store is damaged, busy or of another version.
        InputError: the model has no usable tokenizer.
    """
    observer = observer or Observer()
    ended, stored = _past(plan, results / STORE_FILE)
    observer.stage("Counting what is to be done")
    counted = Counted(upcoming_trials(plan, ended, stored))
    began = time.perf_counter()
    available = available_mib(plan.runtime.device)
    busy = busy_share()
    chosen = counted.to_measure(available, quick=quick)
    measured: list[Measured] = []
    if chosen:
        engine = open_engine()
        try:
            measured = measure(chosen, engine, observer, quick=quick)
        finally:
            engine.close()
    stopwatch = Stopwatch(measured)
    arms = [
        ArmSum(plan, arm, counted, stopwatch, measured, available, ended).forecast()
        for arm in (BASE, *plan.experiment.arms)
        if arm != BASE or counted.of(BASE)
    ]
    items = sum(part.items for work in counted.all() for _, part in work.scores)
    forecast = Forecast(
        name=plan.experiment.name,
        experiment_id=plan.experiment_id,
        device=plan.runtime.device,
        dtype=plan.runtime.dtype,
        currency=plan.experiment.cost.currency,
        arms=tuple(arms),
        ended=len(ended),
        start_seconds=stopwatch.imports_seconds,
        measuring_seconds=time.perf_counter() - began,
        available_mib=available,
        free_mib=free_mib(results),
        store_mib=items * STORED_BYTES / MIB,
        busy_share=busy,
    )
    return _worded(forecast, plan, quick=quick)


def _worded(forecast: Forecast, plan: Plan, *, quick: bool) -> Forecast:
    return replace(
        forecast, warnings=warnings_of(forecast), notes=notes_on(forecast, plan, quick=quick)
    )


def _past(
    plan: Plan, store: Path
) -> tuple[tuple[TrialSummary, ...], Callable[[Iterable[str]], frozenset[str]]]:
    if not store.is_file():
        return (), lambda keys: frozenset()
    reader = StoreReader(store)

    def known(keys: Iterable[str]) -> frozenset[str]:
        return frozenset(
            str(key) for (key,) in reader.query(KNOWN_SCORES, {"keys": list(keys)}).rows
        )

    return reader.trials(plan.experiment_id), known
