"""The branch of a trial that a training command of the user's trains."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data import read_examples_file
from harness.errors import CanaryError, TrialError
from harness.models.brought import problem_of_weights, trained_numbers
from harness.models.resolve import folder_files, folder_hash
from harness.records import (
    ARTIFACT,
    Canaries,
    CommandCall,
    StepReport,
    TrialSpec,
    from_json,
    to_json,
    write_whole,
)
from harness.spec import TaskSpec
from harness.spec.command_arm import filled
from harness.spec.settings import CommandSettings, settings_from
from harness.trial.candidate import Announce, Candidate, TrialRun, base_candidate, make_renderer
from harness.trial.candidate import measure_base as measure_language
from harness.trial.command_files import CommandFolder, folder_in, hand_over
from harness.trial.command_process import Command, environment_for
from harness.trial.command_reports import Reports
from harness.trial.early_stopping import LossWatch
from harness.trial.fine_tuning import PROBES, largest_difference, note_artifacts, probe

if TYPE_CHECKING:
    from harness.evaluation.divergence import BaseDistributions
    from harness.models.base_cache import BaseCache

# A command that says much is passed on so often at most.
SIGN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Ended:
    """A command that has ended well, as it is noted before its weights are scored."""

    weights_id: str
    """Of the trial: hash of all that it read."""
    weights: str
    """Hash of what it left."""
    steps: tuple[StepReport, ...]
    """What it reported."""
    seconds: float
    """Wall time that it took."""
    memory_mib: float
    """Most memory that it held, MiB."""
    device_mib: float | None
    """The same of the GPU; None on a CPU."""
    notes: dict[str, str]
    """What is to be known of it, by name."""


@dataclass(frozen=True, slots=True)
class BaseSeen:
    """What is taken down of the base, by which trained weights are told from it."""

    probes: list[tuple[int, ...]]
    """A few prompts, as token ids."""
    logits: Any
    """What the base made of them."""
    language: dict[str, BaseDistributions]
    """As :attr:`~harness.trial.candidate.Candidate.base`."""


def train_by_command(
    spec: TrialSpec, run: TrialRun, folder: Path, bases: BaseCache, announce: Announce
) -> Path:
    """Run the trial's command, unless it has ended well before a kill; the folder of its weights.

    Args:
        folder: the trial's.
        bases: gives back what it keeps: the command needs the memory.

    Raises:
        TrialError: the command or its result cannot be used; says why.
        Pruned: its losses are hopeless.
    """
    call, settings = spec.command, settings_from(spec.params)
    if call is None or not isinstance(settings, CommandSettings):
        raise TrialError("error", f"an arm of kind {spec.kind} has no command")
    place = folder_in(folder)
    ended = _ended_before(spec, place)
    if ended is None:
        bases.clear(spec.runtime)
        ended = _run(spec, call, settings, run, place, announce)
    else:
        run.environment["resumed"] = "the command had ended before the trial was interrupted"
        run.cost = replace(run.cost, train_seconds=run.cost.train_seconds + ended.seconds)
    run.steps[:] = ended.steps
    run.beside_mib, run.beside_device_mib = ended.memory_mib, ended.device_mib
    run.environment |= ended.notes
    if not spec.keep_artifact:
        size = sum(path.stat().st_size for path in place.result.glob("*.safetensors"))
        run.cost = replace(run.cost, artifact_bytes=size)
        return place.result
    kept = folder / ARTIFACT
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    files = [Path(shutil.copyfile(path, kept / path.name)) for path in folder_files(place.result)]
    note_artifacts(run, files, folder)
    return kept


def see_base(spec: TrialSpec, folder: Path, bases: BaseCache) -> BaseSeen:
    """Take down what the untouched base makes of a few prompts, and of texts if that is asked."""
    with base_candidate(spec, bases) as base:
        measure_language(base, folder)
        probes = [base.renderer.encode_prompt(item) for item in base.pool[:PROBES]]
        return BaseSeen(probes, probe(base.loaded.model, probes), base.base)


def check_learnt(candidate: Candidate, seen: BaseSeen, run: TrialRun) -> None:
    """See that the weights are not the base's, and count those that were trained.

    Raises:
        CanaryError: they compute just what the base does.
    """
    now = probe(candidate.loaded.model, seen.probes)
    # A checkpoint may have more words than its base.
    words = min(now.shape[-1], seen.logits.shape[-1])
    after = largest_difference(seen.logits[..., :words], now[..., :words])
    run.canaries = Canaries(None, after, prompt_tokens_equal=True)
    if not after > 0.0:
        raise CanaryError(
            "the logits of what the command left equal its base's: nothing was learnt, or the "
            "trained weights are not applied"
        )
    numbers = trained_numbers(Path(candidate.spec.trained_path))
    run.cost = replace(run.cost, trainable_parameters=numbers or candidate.loaded.total_parameters)


def _run(
    spec: TrialSpec,
    call: CommandCall,
    settings: CommandSettings,
    run: TrialRun,
    place: CommandFolder,
    announce: Announce,
) -> _Ended:
    from harness.models.load import load_tokenizer, quiet_libraries

    for file in call.files:
        if not file.is_as_planned():
            raise TrialError(
                "command",
                f"{file.path} no longer holds what was planned: put that back, or plan the study "
                "again with what is there now",
            )
    quiet_libraries()
    task = TaskSpec.model_validate(spec.task)
    pool = read_examples_file(Path(spec.train_path))[: spec.train_items]
    renderer = make_renderer(spec, task, pool, load_tokenizer(spec.model))
    # What an earlier run left halfway is no result; what it keeps to go on from stays.
    shutil.rmtree(place.result, ignore_errors=True)
    told = hand_over(spec, settings, renderer, place)
    run.environment["train_examples"] = str(len(pool))
    threads = {"OMP_NUM_THREADS": str(spec.runtime.threads)} if spec.runtime.threads else {}
    command = Command(
        [filled(word, told) for word in call.words],
        place.root,
        environment_for(call.environment, os.environ) | threads,
        spec.runtime.device,
    )
    reports, began = Reports(), time.perf_counter()
    announce("train", 0, 1)
    try:
        _follow(command, reports, LossWatch(spec.pruning), announce)
        command.require_success()
        if wrong := problem_of_weights(
            place.result, spec.model, spec.model.reference, settings.base, call.same_base
        ):
            said = command.last_words()
            raise TrialError(
                "command",
                f"the command left no weights that can be used: {wrong}"
                f"{f'. Its last words: {said}' if said else ''}",
            )
    finally:
        run.steps[:] = reports.whole()
        run.beside_mib, run.beside_device_mib = command.peak_mib, command.peak_device_mib
        if note := reports.note():
            run.environment["unread_reports"] = note
    notes = {"train_examples": str(len(pool))} | ({"unread_reports": note} if note else {})
    if any(step.validation_loss is not None and not step.steps for step in reports.steps):
        notes["not_stopped_early"] = (
            "the command reported validation losses without `steps`, the number of all steps: it "
            "could not be stopped early"
        )
    ended = _Ended(
        spec.weights_id,
        folder_hash(place.result),
        tuple(run.steps),
        time.perf_counter() - began,
        command.peak_mib,
        command.peak_device_mib,
        notes,
    )
    write_whole(place.ended, to_json(ended))
    return ended


def _follow(command: Command, reports: Reports, watch: LossWatch, announce: Announce) -> None:
    """Run the command to its end, passing on what it says.

    Raises:
        Pruned: its losses are hopeless.
    """
    told = time.monotonic()
    with closing(command.lines()) as lines:
        for line in lines:
            step = reports.hear(line) if line else None
            if step is None and time.monotonic() - told < SIGN_SECONDS:
                continue
            told = time.monotonic()
            at = reports.steps[-1] if reports.steps else None
            done, total = (at.step, max(at.step, at.steps)) if at else (0, 1)
            announce("train", done, total, loss=step.loss if step is not None else None)
            # Of what share it was stopped is told: that takes the number of all steps.
            if step is not None and step.steps and _says_validation(line):
                watch(step)


def _says_validation(line: str) -> bool:
    return json.loads(line).get("validation_loss") is not None


def _ended_before(spec: TrialSpec, place: CommandFolder) -> _Ended | None:
    """What an earlier run of the trial noted of the same command, whose result is still whole."""
    try:
        ended = from_json(_Ended, place.ended.read_bytes())
        same = ended.weights_id == spec.weights_id
        return ended if same and ended.weights == folder_hash(place.result) else None
    except (OSError, ValueError):
        return None


__all__ = ["BaseSeen", "check_learnt", "see_base", "train_by_command"]
