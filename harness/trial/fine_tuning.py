"""Train the candidate in place, between the two canaries, and keep its best weights."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data import read_examples_file
from harness.errors import CanaryError, TrialError, UnknownReferenceError
from harness.models.context import within
from harness.prompting import TokenisedExample
from harness.records import (
    ARTIFACT,
    Artifact,
    Canaries,
    Checkpoint,
    KnownTraining,
    StepReport,
    TrialSpec,
    file_sha256,
    from_json,
)
from harness.spec.settings import TrainedSettings
from harness.trial.candidate import Announce, Candidate, TrialRun, context_of
from harness.trial.early_stopping import LossWatch
from harness.trial.scoring import score_of_check

if TYPE_CHECKING:
    from harness.training.best_weights import BestWeights
    from harness.training.job import TrainingJob

PROBES = 4


@dataclass(slots=True)
class Training:
    """A training that came to its end, before it is decided what of it is kept."""

    probes: list[tuple[int, ...]]
    """Prompts by which the trained model is told from its base."""
    of_base: Any
    """What the base made of them, as :func:`probe` gives it."""
    best: BestWeights | None
    """The weights of the best check; None where those of the last step are kept."""


def fine_tune(
    candidate: Candidate,
    settings: TrainedSettings,
    run: TrialRun,
    folder: Path,
    announce: Announce,
) -> Training:
    """Train in place, after the first canary; the model has the weights of the last step then.

    Args:
        settings: Those of the candidate.
        folder: The trial's, in which a training that is interrupted leaves where to go on.
    """
    from harness.models.adapters import make_trainable

    probes = [candidate.renderer.encode_prompt(item) for item in candidate.pool[:PROBES]]
    start = _start(candidate.spec)
    of_base = _of_start(candidate.loaded, start, probes)
    candidate.loaded = make_trainable(candidate.loaded, settings, candidate.spec.seed, start)
    if start is not None:
        run.environment["starts_from"] = f"training went on from the adapter in {start}"
    before = largest_difference(of_base, probe(candidate.loaded.model, probes))
    run.canaries = Canaries(before, None, prompt_tokens_equal=True)
    if before != 0.0:
        raise CanaryError(
            "before the first step the candidate's logits differ from those that it starts from, "
            f"its base's or an adapter's on it, by {before:g}; they must be equal, so the adapter "
            "or the loader changes the model"
        )
    best = _train(candidate, settings, run, folder, announce)
    run.checkpoint = _checkpoint(run.steps, best)
    return Training(probes, of_base, best)


def _start(spec: TrialSpec) -> Path | None:
    """The folder of the adapter that training goes on from; None where it begins anew.

    Raises:
        TrialError: kind ``weights``: it no longer holds what was planned.
    """
    from harness.models.brought import fingerprint_of

    if not spec.start_path:
        return None
    folder = Path(spec.start_path)
    planned = spec.identity.get("starts from")
    if not folder.is_dir() or (planned is not None and fingerprint_of(folder) != planned):
        raise TrialError(
            "weights",
            f"{folder} no longer holds what was planned: put that back, or plan the study again "
            "with what is there now",
        )
    return folder


def _of_start(loaded: Any, start: Path | None, probes: Sequence[Sequence[int]]) -> Any:
    """What training starts from makes of the prompts: the base, or an adapter on it as it is asked.

    Raises:
        TrialError: kind ``weights``: the adapter is none of this base.
    """
    from harness.models.adapters import each_adapter
    from harness.models.brought import check_applied

    if start is None:
        return probe(loaded.model, probes)
    try:
        for adapted in each_adapter(loaded, [start]):
            check_applied(adapted.model, start)
            found = probe(adapted.model, probes)
    except UnknownReferenceError as error:
        raise TrialError("weights", str(error)) from error
    return found


def take_training(candidate: Candidate, run: TrialRun, folder: Path) -> None:
    """Take what an earlier training left, whose weights the candidate has, for the trial's own.

    What it took is noted as what it takes; weights that are to be kept are copied.
    """
    spec = candidate.spec
    known = from_json(KnownTraining, Path(spec.training_path).read_bytes())
    run.steps.extend(known.steps)
    run.canaries = known.canaries
    # What the last weights score was asked for in another way.
    run.checkpoint = known.checkpoint and replace(known.checkpoint, last_score=None)
    run.environment |= {**known.notes, "trained_by": known.trial_id}
    of_training = (
        "train_seconds", "train_tokens", "peak_memory_mib", "peak_device_mib",
        "trainable_parameters",
    )  # fmt: skip
    run.cost = replace(run.cost, **{name: getattr(known.cost, name) for name in of_training})
    if spec.keep_artifact:
        shutil.copytree(spec.trained_path, folder / ARTIFACT, dirs_exist_ok=True)
        note_artifacts(run, [p for p in (folder / ARTIFACT).rglob("*") if p.is_file()], folder)


def keep_weights(candidate: Candidate, training: Training, run: TrialRun) -> int:
    """Leave the model with the weights that are kept, and see that they are not the base's.

    Returns:
        The number of trainable weights.
    """
    from harness.models.adapters import trainable_parameters

    if training.best is not None:
        training.best.put_back(candidate.loaded.model)
    now = probe(candidate.loaded.model, training.probes)
    after = largest_difference(training.of_base, now)
    # The first canary, without which there is no training, found no difference.
    run.canaries = Canaries(0.0, after, prompt_tokens_equal=True)
    if not after > 0.0:
        raise CanaryError(
            "after training the candidate's logits equal those that it started from, its base's or "
            "an adapter's on it: nothing was learnt, or the trained weights are not applied"
        )
    return trainable_parameters(candidate.loaded.model)


def _checkpoint(steps: Sequence[StepReport], best: BestWeights | None) -> Checkpoint | None:
    """Which of the weights of a whole training are kept."""
    checks = [step for step in steps if step.validation_loss is not None]
    if not checks:
        return None
    last = checks[-1]
    kept = next((step for step in checks if best and step.step == best.step), last)
    return Checkpoint(
        step=kept.step,
        steps=last.steps,
        epoch=kept.epoch or 0.0,
        validation_loss=_number(kept.validation_loss),
        last_validation_loss=_number(last.validation_loss),
        validation_score=_number(kept.validation_score),
        last_validation_score=_number(last.validation_score),
    )


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _train(
    candidate: Candidate,
    settings: TrainedSettings,
    run: TrialRun,
    folder: Path,
    announce: Announce,
) -> BestWeights | None:
    from harness.models.tree_pass import takes_trees
    from harness.training.best_weights import BestWeights
    from harness.training.job import resumption_of, run_job
    from harness.training.multiprocess import SideBySide
    from harness.training.peers import SingleProcess

    model = candidate.loaded.model
    trees = takes_trees(model)
    job = _fitted(replace(_job(candidate, settings, run), folder=str(folder)), model, run, trees)
    processes = job.settings.processes
    beside = SideBySide(job, processes) if processes > 1 else None
    judge = None
    if settings.scores_checks and job.validation:
        judge = partial(score_of_check, candidate, announce, run.marked)
    best = BestWeights(candidate.task.higher_is_better) if job.keeps_best else None
    watch = LossWatch(candidate.spec.pruning)
    resumption = None if beside else resumption_of(job, SingleProcess())
    training = (
        beside.train(model, best)
        if beside
        else run_job(job, model, trees=trees, best=best, resumption=resumption, judge=judge)
    )
    # Whichever way this is left, processes are ended before anything else is done.
    with closing(training) as steps:
        try:
            for step in steps:
                run.steps.append(step)
                announce("train", step.step, step.steps, loss=step.loss)
                watch(step)
        finally:
            if beside:
                run.beside_mib, run.beside_device_mib = beside.memory_mib, beside.device_mib
                _note_resumption(beside.steps_before, beside.note, run)
            elif resumption:
                _note_resumption(resumption.done, resumption.note, run)
    return best


def _note_resumption(done: int, note: str, run: TrialRun) -> None:
    """Say and count what an earlier run had done of the training."""
    if note:
        run.environment["checkpoint"] = note
    if 0 < done <= len(run.steps):
        before = run.steps[done - 1]
        seconds = run.cost.train_seconds + before.seconds
        run.cost = replace(run.cost, train_seconds=seconds)
        run.environment["resumed"] = (
            f"training was interrupted, and went on after step {before.step} of {before.steps}"
        )


def _job(candidate: Candidate, settings: TrainedSettings, run: TrialRun) -> TrainingJob:
    from harness.training.job import TrainingJob

    spec, renderer = candidate.spec, candidate.renderer
    context = context_of(candidate)
    longest = within(context, settings.max_length)
    examples = renderer.sequences(candidate.pool, longest)
    asked, learnt = len(candidate.pool), sum(example.answers for example in examples)
    if learnt < asked:
        run.environment["left_out_of_training"] = (
            f"{asked - learnt} of {asked} examples are longer than "
            f"{longest} tokens (max_length, or what the model reads)"
        )
    run.environment["train_examples"] = str(learnt)
    if len(examples) < learnt:
        run.environment["train_sequences"] = (
            f"{learnt} answers are learnt in {len(examples)} sequences, each of one conversation; "
            "a batch counts sequences"
        )
    if not examples:
        raise TrialError("length", f"every training example is longer than {longest} tokens")
    validation: list[TokenisedExample] = []
    if spec.validation_path:
        items = read_examples_file(Path(spec.validation_path))
        validation = renderer.sequences(items, context)
    return TrainingJob(
        model=spec.model,
        runtime=spec.runtime,
        settings=settings,
        seed=spec.seed,
        examples=tuple(examples),
        validation=tuple(validation),
        texts=tuple(_general_texts(candidate, longest)),
        checks_per_epoch=spec.checks_per_epoch,
        pad=candidate.loaded.tokenizer.pad_token_id,
    )


def _fitted(job: TrainingJob, model: Any, run: TrialRun, trees: bool) -> TrainingJob:
    """The job as it goes into the memory that is free now; as it was begun, if it still does."""
    from harness.models.memory import available_mib
    from harness.training.fitting import fit
    from harness.training.job import begun_as

    available = available_mib(job.runtime.device) * job.runtime.memory_share
    if not job.runtime.device.startswith("cuda"):
        # Processes that train side by side have a GPU each, but one main memory.
        available /= job.settings.processes
    begun = begun_as(job)
    layout = fit(model, begun or job, available, trees)
    if begun is not None and not layout.fits:
        layout = fit(model, job, available, trees)
    run.environment["training_memory"] = layout.in_words()
    fitted = replace(
        job.settings,
        micro_batch_size=layout.micro_batch_size,
        gradient_checkpointing=layout.gradient_checkpointing,
    )
    return replace(job, settings=fitted)


def _general_texts(candidate: Candidate, longest: int) -> list[TokenisedExample]:
    from harness.training.general_text import encode_texts

    spec = candidate.spec
    if not spec.replay_path:
        return []
    texts = [item.inputs["text"] for item in read_examples_file(Path(spec.replay_path))]
    return encode_texts(candidate.loaded.tokenizer, texts, longest)


def keep_trained(loaded: Any, run: TrialRun, folder: Path) -> None:
    """Save the trained weights in the trial's folder."""
    from harness.models.adapters import save_trained

    note_artifacts(run, save_trained(loaded, folder / ARTIFACT), folder)


def note_artifacts(run: TrialRun, files: Iterable[Path], folder: Path) -> None:
    """Note files that the trial leaves in its folder, and their size as that of what it deploys."""
    for path in files:
        name, size = str(path.relative_to(folder)), path.stat().st_size
        run.artifacts.append(Artifact(name, file_sha256(path), size))
    run.cost = replace(run.cost, artifact_bytes=sum(artifact.bytes for artifact in run.artifacts))


def probe(model: Any, prompts: Sequence[Sequence[int]]) -> Any:
    """Next-token logits after each prompt, shape (prompts, vocabulary), float32."""
    import torch

    from harness.models.tree_pass import logits_at

    model.eval()
    with torch.inference_mode():
        rows = [
            logits_at(
                model,
                torch.tensor([len(ids) - 1], device=model.device),
                input_ids=torch.tensor([ids], device=model.device),
            )[0, 0]
            for ids in prompts
        ]
        return torch.stack(rows).float()


def largest_difference(a: Any, b: Any) -> float:
    """The largest absolute difference of two sets of logits."""
    return float((a - b).abs().max())
