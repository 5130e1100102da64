"""Forecast of a study: each trial that is left, at the speed of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from harness.engine import Engine
from harness.forecast.arm import ArmCost
from harness.forecast.findings import Forecast
from harness.forecast.judges import judge_forecasts
from harness.forecast.measured import Measured, measure
from harness.forecast.memory import MIB, busy_share, free_mib
from harness.forecast.notes import notes_on, warnings_of
from harness.forecast.trial_time import Stopwatch
from harness.forecast.upcoming import upcoming_trials
from harness.forecast.workloads import Workloads
from harness.models.memory import available_mib
from harness.records import TRIALS, TrialSpec
from harness.study.asked_models import BASE
from harness.study.known_parts import weights_at_hand
from harness.study.observer import Observer
from harness.study.rehearsal import Rehearsal

# Bytes in the store for each scored item, replies and indices included.
STORED_BYTES = 1500


def forecast_study(
    results: Path,
    rehearsal: Rehearsal,
    open_engine: Callable[[], Engine],
    observer: Observer | None = None,
    *,
    thorough: bool = False,
) -> Forecast:
    """Forecast what the trials that are left of a plan will take.

    Args:
        results: folder that the study is to lie in, which need not exist.
        rehearsal: the plan, and what of it is known; its folder is still to be there.
        open_engine: makes the engine that runs small trials; they leave nothing behind.
        thorough: measure the heaviest setting of each arm beside its default, and more of both,
            however long it takes.

    Raises:
        InputError: the model has no usable tokenizer.
    """
    observer = observer or Observer()
    plan, ended, reader = rehearsal.plan, rehearsal.ended, rehearsal.reader
    complete = {stored.trial_id for stored in reader.identities()}

    def added(spec: TrialSpec) -> TrialSpec:
        weights = weights_at_hand(spec, reader, results.resolve() / TRIALS, whole=False)
        # Timed weights are those of a trial that may still be to run.
        trained = spec.trained_path or weights
        return replace(spec, adds=spec.trial_id in complete, trained_path=trained)

    observer.stage("Counting what is to be done")
    upcoming = upcoming_trials(plan, ended, reader.known_scores, added)
    workloads = Workloads(upcoming, cache(reader.answered_items))
    began = time.perf_counter()
    available = available_mib(plan.runtime.device)
    busy = busy_share()
    chosen = workloads.to_measure(available, thorough=thorough)
    measured: list[Measured] = []
    if chosen:
        engine = open_engine()
        try:
            measured = measure(chosen, engine, observer, thorough=thorough)
        finally:
            engine.close()
    stopwatch = Stopwatch(measured)
    arms = [
        ArmCost(plan, arm, workloads, stopwatch, measured, available, ended).forecast()
        for arm in (BASE, *plan.experiment.arms)
        if arm != BASE or workloads.of(BASE)
    ]
    forecast = Forecast(
        name=plan.experiment.name,
        experiment_id=plan.experiment_id,
        device=plan.runtime.device,
        dtype=plan.runtime.dtype,
        currency=plan.experiment.cost.currency,
        arms=tuple(arms),
        known=dict(rehearsal.known),
        start_seconds=stopwatch.imports_seconds + stopwatch.first_loads_seconds,
        measuring_seconds=time.perf_counter() - began,
        available_mib=available,
        free_mib=free_mib(results),
        store_mib=workloads.items() * STORED_BYTES / MIB,
        busy_share=busy,
        judges=judge_forecasts(plan, upcoming, measured),
    )
    return replace(
        forecast, warnings=warnings_of(forecast), notes=notes_on(forecast, plan, thorough=thorough)
    )
