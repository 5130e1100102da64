"""What small trials showed: seconds beside the work that took them."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.engine import Engine
from harness.forecast.scoring_work import ScoreWork
from harness.forecast.small_trial import SINGLE, WRITING, small_trial
from harness.forecast.trial_work import Form, TrialWork, form_of, trial_work
from harness.observer import Observer
from harness.records import Progress, ScoreRecord, ScoreRequest, TrialRecord
from harness.store import read_record

Measure = Literal["train", "check", "generate", "likelihood", "divergence", "single", "rest"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds that some work took. manner, group: who was asked and for what; see TrialWork."""

    form: Form
    manner: str
    measure: Measure
    group: str
    units: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One small trial.

    failure: why it showed nothing; empty where it did. replies: tokens of each generated reply,
    with what ends it, by group.
    start_seconds: from handing over to its first word; the first trial's hold imports.
    other_seconds: of the process, outside of load, training and scoring.
    training_start: seconds of training before the first step and after the last one, and what the
    first step takes longer than the others.
    peak_mib: memory of the process, or of the device where that is a GPU. peak_step: tokens of
    its largest training step. writing: seconds to write and hash a MiB.
    """

    work: TrialWork
    form: Form
    failure: str = ""
    samples: tuple[Sample, ...] = ()
    replies: tuple[tuple[str, tuple[int, ...]], ...] = ()
    load_seconds: float = 0.0
    start_seconds: float = 0.0
    other_seconds: float = 0.0
    training_start: float = 0.0
    peak_mib: float = 0.0
    peak_step: float = 0.0
    total_parameters: int = 0
    trainable_parameters: int = 0
    writing: float = 0.0


def measure(
    works: Sequence[TrialWork], engine: Engine, observer: Observer, *, quick: bool = False
) -> list[Measured]:
    """Run each trial small, one after the other, in a temporary folder that is removed."""
    found = []
    with tempfile.TemporaryDirectory(prefix="harness-plan-") as name:
        for number, work in enumerate(works):
            shots = f", {n} shots" if (n := work.spec.params["shots"]) else ""
            label = f"{work.spec.arm}{shots} ({work.spec.kind})"
            observer.stage(f"Measuring {number + 1} of {len(works)}: {label}")
            found.append(_measured(work, engine, Path(name) / str(number), quick=quick))
    return found


def _measured(whole: TrialWork, engine: Engine, folder: Path, *, quick: bool) -> Measured:
    spec = small_trial(whole, folder, quick=quick)
    heard: list[float] = []

    def note(progress: Progress) -> None:
        heard.append(time.perf_counter())

    began = time.perf_counter()
    engine.submit(spec, folder)
    ended = engine.wait(note)
    seconds = time.perf_counter() - began
    form = form_of(spec)
    if not ended.outcome.finished:
        return Measured(whole, form, failure=ended.outcome.message)
    record = read_record(folder)
    if record.status != "complete" or record.cost is None:
        return Measured(whole, form, failure=record.failure_message or record.status)
    cost = record.cost
    work = trial_work(spec)
    start = heard[0] - began if heard else 0.0
    inside = cost.load_seconds + cost.train_seconds + cost.score_seconds
    writing = folder / WRITING
    per_mib = float(json.loads(writing.read_text("utf-8"))) if writing.exists() else 0.0
    return Measured(
        work=whole,
        form=form,
        samples=tuple(_samples(work, whole.manner, record)),
        replies=tuple(_replies(work, record)),
        load_seconds=cost.load_seconds,
        start_seconds=start,
        other_seconds=max(0.0, seconds - start - inside),
        training_start=_training_start(record, cost.train_seconds),
        peak_mib=cost.peak_device_mib or cost.peak_memory_mib,
        peak_step=max(work.training.steps) if work.training else 0.0,
        total_parameters=cost.total_parameters,
        trainable_parameters=cost.trainable_parameters,
        writing=per_mib,
    )


def _samples(work: TrialWork, manner: str, record: TrialRecord) -> Iterator[Sample]:
    for measure, group, units, seconds in (*_training(work, record), *_scoring(work, record)):
        if seconds > 0:
            yield Sample(work.form, manner, measure, group, units, seconds)


def _training(
    work: TrialWork, record: TrialRecord
) -> Iterator[tuple[Measure, str, tuple[float, ...], float]]:
    if work.training is None or len(record.steps) < 2:
        return
    took = _step_seconds(record)
    plain = _plain_steps(took)
    for n in plain:
        yield "train", "", (1.0, work.training.steps[n]), took[n]
    tokens = sum(work.training.steps[n] for n in plain)
    usual = sum(took[n] for n in plain) / tokens * work.training.steps[len(took) - 1]
    if work.training.checks:
        # Not below what a forward pass takes of a step: a third at the very least.
        least = work.training.check[1] * sum(took[n] for n in plain) / tokens / 6
        yield "check", "", work.training.check, max(took[-1] - usual, least)


def _scoring(
    work: TrialWork, record: TrialRecord
) -> Iterator[tuple[Measure, str, tuple[float, ...], float]]:
    scores = {score.key: score for score in record.scores}
    for request, part in work.scores:
        score = scores[request.key]
        if part.pool == "single":
            # The first of them, which warms up, is not timed.
            timed = part.repeated(SINGLE / (SINGLE + 1))
            steps = _longest_reply(score, part) if part.room else 0.0
            yield "single", "", timed.units(steps), sum(score.latencies)
        elif not _warms_up(request):
            steps = _longest_reply(score, part) if part.room else 0.0
            yield part.pool, part.group, part.units(steps), score.seconds
    cost = record.cost
    if cost is not None:
        scored = sum(score.seconds + sum(score.latencies) for score in record.scores)
        texts = sum(part.batches for _, part in work.scores if part.pool == "divergence")
        requests = float(len(record.scores))
        yield "rest", "", (1.0, requests, texts), cost.score_seconds - scored


def _longest_reply(score: ScoreRecord, part: ScoreWork) -> float:
    """Steps of generation until the last reply of the batch has ended."""
    longest = max((output.completion_tokens for output in score.outputs), default=0)
    return float(min(part.room, longest + 1))


def _replies(work: TrialWork, record: TrialRecord) -> Iterator[tuple[str, tuple[int, ...]]]:
    scores = {score.key: score for score in record.scores}
    for request, part in work.scores:
        if part.pool == "generate" and not _warms_up(request):
            outputs = scores[request.key].outputs
            lengths = (min(part.room, one.completion_tokens + 1) for one in outputs)
            yield part.group, tuple(lengths)


def _warms_up(request: ScoreRequest) -> bool:
    """Whether only latencies are taken of the request."""
    return (request.suite, request.split) == ("domain", "test")


def _step_seconds(record: TrialRecord) -> list[float]:
    ends = [step.seconds for step in record.steps]
    return [after - before for before, after in zip([0.0, *ends], ends, strict=False)]


def _plain_steps(took: Sequence[float]) -> list[int]:
    """Places of the steps that are like most others.

    The first one warms up, the last one ends with the check of validation loss, and of the rest
    the slowest is often a second warm-up.
    """
    plain = list(range(1, len(took) - 1)) or [0]
    if len(plain) > 2:
        plain.remove(max(plain, key=lambda n: took[n]))
    return plain


def _training_start(record: TrialRecord, train_seconds: float) -> float:
    if not record.steps:
        return 0.0
    took = _step_seconds(record)
    usual = statistics.fmean(took[n] for n in _plain_steps(took))
    return max(0.0, train_seconds - record.steps[-1].seconds) + max(0.0, took[0] - usual)
