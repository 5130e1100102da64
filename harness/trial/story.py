"""From a trial's specification to its record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import CanaryError, NoRoomError, TrialError, is_no_room
from harness.models.brought import own_template
from harness.models.memory import (
    peak_device_mib,
    peak_memory_mib,
    release_memory,
    reset_peak_memory,
)
from harness.records import Progress, TrialRecord, TrialSpec, content_hash, utc_now
from harness.spec.kinds import kind_info
from harness.spec.settings import TrainedSettings
from harness.trial.candidate import (
    Announce,
    Candidate,
    Part,
    Pruned,
    TrialRun,
    base_candidate,
    check_rendering,
    measure_base,
    trained_candidate,
)
from harness.trial.classified import score_classified
from harness.trial.commanded import check_learnt, see_base, train_by_command
from harness.trial.fine_tuning import fine_tune, keep_trained, keep_weights, take_training
from harness.trial.from_replies import score_from_replies
from harness.trial.judging import Bench
from harness.trial.scoring import judge_scores, score_all, score_on_validation, unknown_scores
from harness.trial.served import score_served
from harness.trial.writing import write_by_server, write_by_weights
from harness.versions import environment_versions

if TYPE_CHECKING:
    from harness.evaluation.divergence import BaseDistributions
    from harness.models.base_cache import BaseCache

Report = Callable[[Progress], None]


def run_trial(
    spec: TrialSpec,
    folder: Path,
    report: Report = lambda progress: None,
    bases: BaseCache | None = None,
) -> TrialRecord:
    """Run one trial; its artifacts go to ``folder``, and a failure comes back as a record.

    Only what stops the whole process (an interrupt, a kill) leaves without a record.

    Args:
        bases: what earlier trials of this process loaded, and keep for this one; None loads anew
            and keeps nothing.

    Raises:
        NoRoomError: the disk is full.
    """
    started = utc_now()
    run = TrialRun(environment=environment_versions())
    failure: tuple[str, str] | None = None
    try:
        _execute(spec, folder, report, run, bases)
    except Pruned as way_out:
        run.stopped = way_out.stopped
    except TrialError as error:
        failure = (error.kind, str(error))
    except CanaryError as error:
        failure = ("canary", str(error))
    except MemoryError as error:
        failure = ("out_of_memory", f"host memory ran out: {error}")
    except Exception as error:
        # Any fault of a trial is a recorded result; a full disk is none of the trial's.
        if is_no_room(error):
            raise NoRoomError(folder, error) from error
        text = f"{type(error).__name__}: {error}"
        kind = "out_of_memory" if "out of memory" in text.lower() else "error"
        failure = (kind, text[:2000])
    if bases is not None:
        release_memory(spec.runtime.device)
    return TrialRecord(
        spec=spec.settled(run.answering) if run.answering else spec,
        status="failed" if failure else "pruned" if run.stopped else "complete",
        started_at=started,
        ended_at=utc_now(),
        failure_kind=failure[0] if failure else "",
        failure_message=failure[1] if failure else "",
        steps=tuple(run.steps),
        scores=() if failure or run.stopped else tuple(run.scores),
        canaries=run.canaries,
        cost=run.cost,
        artifacts=tuple(run.artifacts),
        environment=run.environment,
        stopped=run.stopped,
        replies=tuple(run.replies),
        checkpoint=run.checkpoint,
        writing=None if failure else run.writing,
    )


def _execute(
    spec: TrialSpec, folder: Path, report: Report, run: TrialRun, bases: BaseCache | None
) -> None:
    import torch

    from harness.models.base_cache import BaseCache

    def announce(stage: Any, done: int, total: int, **more: Any) -> None:
        report(Progress(spec.trial_id, spec.arm, stage, done, total, **more))

    reset_peak_memory(spec.runtime.device)
    clock = _Clock(spec, run)
    bases = bases or BaseCache(most=0)
    if spec.judges:
        run.marked = Bench(spec, run, bases, announce).marked
    with ExitStack() as stack:
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        if spec.runtime.threads:
            torch.set_num_threads(spec.runtime.threads)
        if not kind_info(spec.kind).language_model:
            run.kept_mib = bases.mib
            score_classified(spec, run, announce, clock.timing)
        elif spec.writing is not None and spec.endpoint is not None:
            with clock.timing("score"):
                write_by_server(spec, run, folder, bases, announce)
        elif not _score_without_weights(spec, run, clock, announce):
            _score_with_weights(spec, folder, run, bases, clock, announce)
        if spec.writing is not None:
            return
        # The candidate has left the memory that a judge may need.
        judge_scores(spec, run)


def _score_without_weights(
    spec: TrialSpec, run: TrialRun, clock: _Clock, announce: Announce
) -> bool:
    """Score by a server, or by replies that are known; whether that was all there is to do."""
    if spec.endpoint is not None:
        with clock.timing("score"):
            score_served(spec, run, announce)
        return True
    if spec.writing is not None or kind_info(spec.kind).brought:
        # What was replied before is no writing; and a brought model's own tokenizer and template
        # may be needed, which lie with the weights.
        return False
    if not (spec.replies_path and (spec.adds or not spec.weights_id)):
        # What is known are marks of its judges: what it answers itself is yet to be trained.
        return False
    with clock.timing("score"):
        return score_from_replies(spec, run, announce)


def _score_with_weights(
    spec: TrialSpec,
    folder: Path,
    run: TrialRun,
    bases: BaseCache,
    clock: _Clock,
    announce: Announce,
) -> None:
    """Load the model, train it where the trial does, and score."""
    import torch

    seen = None
    if kind_info(spec.kind).commanded and not spec.trained_path:
        with clock.timing("train"):
            weights = train_by_command(spec, run, folder, bases, announce)
        spec = replace(spec, trained_path=str(weights))
        with clock.timing("score"):
            seen = see_base(spec, folder, bases)
    announce("load", 0, 1)
    with ExitStack() as stack:
        with clock.timing("load"):
            if spec.trained_path:
                base = seen.language if seen else _measured_base(spec, folder, bases)
                candidate = stack.enter_context(trained_candidate(spec, bases))
                candidate.base.update(base)
                _note_outside(spec, run)
            else:
                candidate = stack.enter_context(base_candidate(spec, bases))
        run.kept_mib = candidate.loaded.beside_mib
        if candidate.loaded.reloaded:
            run.environment["base_reloaded"] = candidate.loaded.reloaded
        # Only now: loading may draw numbers, and is spared where the base was kept.
        torch.manual_seed(spec.seed)
        announce("load", 1, 1)
        if spec.writing is not None:
            with clock.timing("score"):
                write_by_weights(candidate, run, folder, bases, announce)
            return
        if seen:
            with clock.timing("score"):
                check_learnt(candidate, seen, run)
        _measure(candidate, folder, run, clock, announce)


def _measured_base(spec: TrialSpec, folder: Path, bases: BaseCache) -> dict[str, BaseDistributions]:
    """The base's language, where trained weights that are at hand are to be compared with it."""
    if not any(request.suite == "divergence" for request in unknown_scores(spec)):
        return {}
    with base_candidate(spec, bases) as base:
        measure_base(base, folder)
        return base.base


def _measure(
    candidate: Candidate, folder: Path, run: TrialRun, clock: _Clock, announce: Announce
) -> None:
    """Check, train where the trial does, and score."""
    spec = candidate.spec
    run.cost = replace(run.cost, total_parameters=candidate.loaded.total_parameters)
    template = str(candidate.loaded.tokenizer.chat_template or "")
    run.environment["chat_template"] = content_hash(template, 16) if template else "none"
    if candidate.renderer.notes:
        run.environment["chat_template_notes"] = "; ".join(candidate.renderer.notes)
    check_rendering(candidate)
    if not spec.trained_path:
        with clock.timing("score"):
            before = candidate.loaded.packed_mib
            measure_base(candidate, folder)
            # Kept for later trials, as those are that earlier ones made.
            run.kept_mib += candidate.loaded.packed_mib - before
    if isinstance(candidate.settings, TrainedSettings) and not spec.trained_path:
        with clock.timing("train"):
            training = fine_tune(candidate, candidate.settings, run, folder, announce)
        if spec.keep_artifact and run.checkpoint and not run.checkpoint.is_last:
            with clock.timing("score"):
                last = score_on_validation(candidate, announce, run.marked)
                run.checkpoint = replace(run.checkpoint, last_score=last)
        with clock.timing("train"):
            trainable = keep_weights(candidate, training, run)
            run.cost = replace(run.cost, trainable_parameters=trainable)
            if candidate.loaded.not_adapted:
                run.environment["not_adapted"] = candidate.loaded.not_adapted
            if spec.keep_artifact:
                keep_trained(candidate.loaded, run, folder)
    if spec.training_path:
        take_training(candidate, run, folder)
    with clock.timing("score"):
        score_all(candidate, run, announce)


def _note_outside(spec: TrialSpec, run: TrialRun) -> None:
    """Note of weights that another program trained how large they are, and how they are asked."""
    folder = Path(spec.trained_path)
    if not kind_info(spec.kind).outside:
        return
    if kind_info(spec.kind).brought:
        size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        run.cost = replace(run.cost, artifact_bytes=size)
    if own_template(folder):
        run.environment["told_template"] = (
            f"{spec.arm} was asked through the chat template that its folder brings, in place of "
            "the base's"
        )


@dataclass(slots=True)
class _Clock:
    """Notes what each part of the trial takes, whichever way it ends."""

    spec: TrialSpec
    """The trial."""
    run: TrialRun
    """What the trial has so far; its cost is noted there."""

    @contextmanager
    def timing(self, part: Part) -> Iterator[None]:
        """Add the time of what is done inside to a part of the trial's cost, but for judges'."""
        began, judged = time.perf_counter(), self.run.cost.measure_seconds
        try:
            yield
        finally:
            self._note(part, time.perf_counter() - began - (self.run.cost.measure_seconds - judged))

    def _note(self, part: Part, seconds: float) -> None:
        name = f"{part}_seconds"
        before: float = getattr(self.run.cost, name)
        changes: dict[str, Any] = {name: before + seconds}
        if part == "train":
            tokens = self.run.steps[-1].tokens if self.run.steps else 0
            commanded = kind_info(self.spec.kind).commanded
            changes["train_tokens"] = None if commanded and not tokens else tokens
        # A fine-tuned candidate's peak is that of its training, the dearest part.
        # A server's memory is not known, and this process's own says nothing.
        served = self.spec.endpoint is not None
        if part == "train" or (not kind_info(self.spec.kind).trains and not served):
            own, beside = peak_device_mib(self.spec.runtime.device), self.run.beside_device_mib
            host = peak_memory_mib() + self.run.beside_mib
            if kind_info(self.spec.kind).commanded:
                # This process has done nothing but listen.
                own, host = beside, self.run.beside_mib
            # What is kept for other trials lies where models do.
            elif own is None:
                host -= self.run.kept_mib
            else:
                own = max(own - self.run.kept_mib, beside or 0.0)
            changes |= {"peak_memory_mib": host, "peak_device_mib": own}
        self.run.cost = replace(self.run.cost, **changes)
