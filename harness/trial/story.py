"""From specification to record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from harness.errors import CanaryError, NoRoomError, TrialError, is_no_room
from harness.records import Progress, TrialRecord, TrialSpec, content_hash, utc_now
from harness.trial.candidate import Pruned, TrialRun, check_rendering, load_candidate, measure_base
from harness.trial.fine_tuning import fine_tune, keep_trained
from harness.trial.scoring import score_all
from harness.trial.served import score_served
from harness.versions import environment_versions

Report = Callable[[Progress], None]


def run_trial(spec: TrialSpec, folder: Path, report: Report = lambda progress: None) -> TrialRecord:
    """Run one trial; artifacts go to ``folder``. A failure comes back as a record, not raised.

    Only what stops the whole process (an interrupt, a kill) leaves without a record.

    Raises:
        NoRoomError: the disk is full.
    """
    started = utc_now()
    run = TrialRun(environment=environment_versions())
    failure: tuple[str, str] | None = None
    try:
        _execute(spec, folder, report, run)
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
    return TrialRecord(
        spec=spec,
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
    )


def _execute(spec: TrialSpec, folder: Path, report: Report, run: TrialRun) -> None:
    import torch

    from harness.models.memory import reset_peak_memory

    def announce(stage: Any, done: int, total: int, **more: Any) -> None:
        report(Progress(spec.trial_id, spec.arm, stage, done, total, **more))

    if spec.runtime.threads:
        torch.set_num_threads(spec.runtime.threads)
    torch.manual_seed(spec.seed)
    reset_peak_memory()
    clock = _Clock(spec, run)
    if spec.endpoint is not None:
        with clock.timing("score"):
            score_served(spec, run, announce)
        return
    announce("load", 0, 1)
    with clock.timing("load"):
        candidate = load_candidate(spec)
    run.cost = replace(run.cost, total_parameters=candidate.loaded.total_parameters)
    template = str(candidate.loaded.tokenizer.chat_template or "")
    run.environment["chat_template"] = content_hash(template, 16) if template else "none"
    if candidate.renderer.notes:
        run.environment["chat_template_notes"] = "; ".join(candidate.renderer.notes)
    announce("load", 1, 1)
    check_rendering(candidate)
    with clock.timing("score"):
        measure_base(candidate, folder)
    if spec.kind != "prompt":
        with clock.timing("train"):
            trainable = fine_tune(candidate, run, announce)
            run.cost = replace(run.cost, trainable_parameters=trainable)
            if candidate.loaded.not_adapted:
                run.environment["not_adapted"] = candidate.loaded.not_adapted
            if spec.keep_artifact:
                run.artifacts.extend(keep_trained(candidate.loaded, folder))
                size = sum(artifact.bytes for artifact in run.artifacts)
                run.cost = replace(run.cost, artifact_bytes=size)
    with clock.timing("score"):
        score_all(candidate, run, announce)


@dataclass(slots=True)
class _Clock:
    """Notes what each part of the trial takes, whichever way it ends."""

    spec: TrialSpec
    run: TrialRun

    @contextmanager
    def timing(self, part: Literal["load", "train", "score"]) -> Iterator[None]:
        """Add the time of what is done inside to a part of the trial's cost."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._note(part, time.perf_counter() - began)

    def _note(self, part: Literal["load", "train", "score"], seconds: float) -> None:
        from harness.models.memory import peak_device_mib, peak_memory_mib

        name = f"{part}_seconds"
        before: float = getattr(self.run.cost, name)
        changes: dict[str, Any] = {name: before + seconds}
        if part == "train":
            changes["train_tokens"] = self.run.steps[-1].tokens if self.run.steps else 0
        # A fine-tuned candidate's peak is that of its training, the dearest part.
        # A server's memory is not known, and this process's own says nothing.
        served = self.spec.endpoint is not None
        if part == "train" or (self.spec.kind == "prompt" and not served):
            own, beside = peak_device_mib(self.spec.runtime.device), self.run.beside_device_mib
            changes["peak_memory_mib"] = peak_memory_mib() + self.run.beside_mib
            changes["peak_device_mib"] = own if own is None else max(own, beside or 0.0)
        self.run.cost = replace(self.run.cost, **changes)
