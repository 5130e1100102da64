"""Runs small trials, and reads from their records how much work they did in how many seconds."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.engine import Engine
from harness.forecast.cost_model import Activity, Sample
from harness.forecast.small_trial import small_trial
from harness.forecast.workload import Workload, computes_alike, workload
from harness.records import ModelWork, Progress, StepReport, TrialRecord, TrialSpec
from harness.spec.kinds import kind_info
from harness.store import read_record
from harness.study.observer import Observer

# Once small trials have taken so long the next are smaller, and after as long again those that only
# refine what is known are left out.
ENOUGH_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What one small trial showed."""

    whole: Workload
    """Workload of the trial that it stands for."""
    failure: str = ""
    """Why nothing was measured; empty where something was."""
    samples: tuple[Sample, ...] = ()
    """Each piece of work with its seconds; empty where the trial failed."""
    load_seconds: float = 0.0
    """Seconds of loading the model, or of fitting the classifier that is in its place."""
    kept: bool = False
    """Its base was in memory still, from an earlier small trial."""
    start_seconds: float = 0.0
    """Seconds from handing the trial over to its first message; those of the first trial hold
    imports."""
    other_seconds: float = 0.0
    """Seconds of the process outside of its start, loading, training and scoring."""
    training_start: float = 0.0
    """Seconds before the first step and after the last, and what the first step takes longer than
    the others."""
    peak_mib: float = 0.0
    """Peak memory (MiB) of the process, or of the device where that is a GPU."""
    largest_step: int = 0
    """Tokens of the largest training step; 0 where nothing was trained."""
    total_parameters: int = 0
    """Number of weights of the base model."""
    trainable_parameters: int = 0
    """Number of weights that were trained; 0 where nothing was trained."""


def measure(
    workloads: Sequence[Workload], engine: Engine, observer: Observer, *, thorough: bool = False
) -> list[Measured]:
    """Run each trial small, one after the other, in a temporary folder that is removed.

    Unless ``thorough``, once that has taken long fewer items are asked, and then only by trials
    that do what no trial of their kind was measured at: others stand in for the rest.
    """
    measured: list[Measured] = []
    kept: set[tuple[object, ...]] = set()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="harness-plan-") as name:
        for number, whole in enumerate(workloads):
            spent = 0.0 if thorough else (time.perf_counter() - began) / ENOUGH_SECONDS
            if spent > 2 and _stand_in(measured, whole):
                continue
            shots = f", {n} shots" if (n := whole.spec.params["shots"]) else ""
            label = f"{whole.spec.arm}{shots} ({whole.spec.kind})"
            observer.stage(f"Measuring {number + 1} of {len(workloads)}: {label}")
            known = [one.activity for small in measured for one in small.samples]
            folder = Path(name) / str(number)
            spec = small_trial(
                whole, folder, thorough=thorough, hurried=spent > 1, known=() if thorough else known
            )
            small = _measured(whole, spec, engine, folder)
            form = base_form(whole.spec)
            measured.append(replace(small, kept=form in kept))
            # A process whose trial failed is replaced.
            kept = set() if small.failure else kept | {form}
    return measured


def _stand_in(measured: Sequence[Measured], whole: Workload) -> bool:
    """Whether trials of its kind were measured at all that it does.

    Requests that are timed alone are few: those of any kind that asks alike will do.
    """
    alike = [computes_alike(small.whole.spec, whole.spec) for small in measured]
    known = {
        _doing(sample.activity)
        for small, of_its_kind in zip(measured, alike, strict=True)
        for sample in small.samples
        if of_its_kind or sample.activity.measure == "single"
    }
    needed = {_doing(whole.scoring(score)) for _, score in whole.scores}
    return any(alike) and needed <= known


def _doing(activity: Activity) -> tuple[str, ...]:
    """What has to be measured: the model and measure, and in which way, where that counts."""
    way = activity.group if activity.measure == "single" else "writes" * activity.writes
    return activity.model, activity.measure, way


def base_form(spec: TrialSpec) -> tuple[object, ...]:
    """The base of a trial as it lies in memory: trials of the same can share it."""
    form = (spec.params.get(name) for name in ("quantisation", "double_quantisation", "base"))
    # What is fitted without a language model is no base.
    model = spec.model.fingerprint if kind_info(spec.kind).language_model else spec.kind
    return (model, *form)


def _measured(whole: Workload, spec: TrialSpec, engine: Engine, folder: Path) -> Measured:
    heard: list[float] = []

    def note(progress: Progress) -> None:
        heard.append(time.perf_counter())

    began = time.perf_counter()
    engine.submit(spec, folder)
    ended = engine.wait(note)
    seconds = time.perf_counter() - began
    if not ended.outcome.finished:
        return Measured(whole, ended.outcome.message)
    record = read_record(folder)
    cost = record.cost
    if record.status != "complete" or cost is None:
        return Measured(whole, record.failure_message or record.status)
    small = workload(spec)
    loaded = kind_info(spec.kind).language_model
    start = heard[0] - began if heard else 0.0
    return Measured(
        whole,
        samples=tuple(samples_of(record, small, whole)),
        load_seconds=cost.load_seconds if loaded else cost.load_seconds + cost.train_seconds,
        start_seconds=start,
        other_seconds=max(
            0.0,
            seconds - start - cost.load_seconds - cost.train_seconds - cost.score_seconds,
        ),
        training_start=_training_start(record.steps, cost.train_seconds),
        peak_mib=cost.peak_device_mib or cost.peak_memory_mib,
        largest_step=small.training.largest_step if small.training else 0,
        total_parameters=cost.total_parameters,
        trainable_parameters=cost.trainable_parameters,
    )


def samples_of(record: TrialRecord, small: Workload, whole: Workload) -> Iterator[Sample]:
    """What the record of a trial says of the speed of ``whole``.

    Args:
        record: record of the trial that was run.
        small: workload of that trial.
        whole: workload of the trial that it stands for.
    """
    if small.training and record.steps:
        plain = _plain_steps(record.steps)
        work = _sum(step.work for step in plain)
        share = work.read / _sum(step.work for step in record.steps).read
        seconds = math.fsum(_step_seconds(record.steps)[step.step - 1] for step in plain)
        counted = small.training.counted * share
        yield Sample(whole.activity("train"), counted, work, seconds)
        check = small.training.check
        checks = [step.check_seconds for step in record.steps if step.check_seconds]
        for seconds in checks:
            yield Sample(whole.activity("check"), check, check, seconds)
    scores = {score.key: score for score in record.scores}
    for request, load in small.scores:
        score = scores[request.key]
        # The request that warms up is part of the work, and of its seconds.
        yield Sample(whole.scoring(load), load.counted, score.work, score.seconds)
    if record.cost is not None:
        around = around_scores(small)
        rest = record.cost.score_seconds - math.fsum(score.seconds for score in record.scores)
        yield Sample(whole.activity("around"), around, around, rest)


def around_scores(load: Workload) -> ModelWork:
    """What is done beside scoring: a task is built, and the base reads texts before training."""
    return ModelWork(passes=len(load.scores), read=load.divergence_tokens)


def _plain_steps(steps: Sequence[StepReport]) -> list[StepReport]:
    """Steps that are like most others.

    The first one warms up, and of the rest the slowest is often a second warm-up.
    """
    plain = list(steps[1:]) or [steps[0]]
    if len(plain) > 2:
        took = _step_seconds(steps)
        plain.remove(max(plain, key=lambda step: took[step.step - 1]))
    return plain


def _step_seconds(steps: Sequence[StepReport]) -> list[float]:
    """Seconds of each step, without the check of validation loss."""
    ends = [0.0, *(step.seconds for step in steps)]
    return [
        step.seconds - before - step.check_seconds
        for step, before in zip(steps, ends, strict=False)
    ]


def _training_start(steps: Sequence[StepReport], train_seconds: float) -> float:
    if not steps:
        return 0.0
    took = _step_seconds(steps)
    plain = _plain_steps(steps)
    usual = math.fsum(took[step.step - 1] for step in plain) / len(plain)
    return max(0.0, train_seconds - steps[-1].seconds) + max(0.0, took[0] - usual)


def _sum(works: Iterator[ModelWork]) -> ModelWork:
    return sum(works, ModelWork())
