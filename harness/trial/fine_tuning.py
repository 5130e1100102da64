"""Train the candidate in place, between the two canaries."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data import read_examples_file
from harness.errors import CanaryError, TrialError
from harness.models.context import within
from harness.prompting import TokenisedExample
from harness.records import Artifact, Canaries, file_sha256
from harness.trial.candidate import Announce, Candidate, TrialRun, context_of
from harness.trial.early_stopping import LossWatch

if TYPE_CHECKING:
    from harness.training.job import TrainingJob

PROBES = 4
VALIDATION_LOSS_EXAMPLES = 200


def fine_tune(candidate: Candidate, run: TrialRun, announce: Announce) -> int:
    """Train in place, between the two canaries; returns the number of trainable weights."""
    from harness.models.adapters import make_trainable, trainable_parameters

    spec = candidate.spec
    probes = [candidate.renderer.encode_prompt(item) for item in candidate.pool[:PROBES]]
    of_base = _probe(candidate.loaded.model, probes)
    candidate.loaded = make_trainable(candidate.loaded, spec.kind, spec.params, spec.seed)
    before = _largest_difference(of_base, _probe(candidate.loaded.model, probes))
    run.canaries = Canaries(before, None, prompt_tokens_equal=True)
    if before != 0.0:
        raise CanaryError(
            f"before the first step the candidate's logits differ from its base's by {before:g}; "
            "they must be equal, so the adapter or the loader changes the model"
        )
    _train(candidate, run, announce)
    after = _largest_difference(of_base, _probe(candidate.loaded.model, probes))
    run.canaries = Canaries(before, after, prompt_tokens_equal=True)
    if not after > 0.0:
        raise CanaryError(
            "after training the candidate's logits equal its base's: nothing was learnt, or the "
            "trained weights are not applied"
        )
    return trainable_parameters(candidate.loaded.model)


def _train(candidate: Candidate, run: TrialRun, announce: Announce) -> None:
    from harness.prompting.tree_pass import takes_trees
    from harness.training.job import run_job
    from harness.training.side_by_side import SideBySide

    model = candidate.loaded.model
    trees = takes_trees(model)
    job = _fitted(_job(candidate, run), model, run, trees=trees)
    processes = job.params["processes"]
    beside = SideBySide(job, processes) if processes > 1 else None
    watch = LossWatch(candidate.spec.pruning)
    # Whichever way this is left, processes are ended before anything else is done.
    with closing(beside.train(model) if beside else run_job(job, model, trees=trees)) as steps:
        try:
            for step in steps:
                run.steps.append(step)
                announce("train", step.step, step.steps, loss=step.loss)
                watch(step)
        finally:
            if beside:
                run.beside_mib, run.beside_device_mib = beside.memory_mib, beside.device_mib


def _job(candidate: Candidate, run: TrialRun) -> TrainingJob:
    from harness.training.job import TrainingJob

    spec, renderer = candidate.spec, candidate.renderer
    context = context_of(candidate)
    longest = within(context, spec.params["max_length"])
    encoded = [renderer.encode(item) for item in candidate.pool]
    examples = [example for example in encoded if example.length <= longest]
    if len(examples) < len(encoded):
        run.environment["left_out_of_training"] = (
            f"{len(encoded) - len(examples)} of {len(encoded)} examples are longer than "
            f"{longest} tokens (max_length, or what the model reads)"
        )
    run.environment["train_examples"] = str(len(examples))
    if not examples:
        raise TrialError("length", f"every training example is longer than {longest} tokens")
    validation: list[TokenisedExample] = []
    if spec.validation_path:
        items = read_examples_file(Path(spec.validation_path))[:VALIDATION_LOSS_EXAMPLES]
        encoded = [renderer.encode(item) for item in items]
        validation = [one for one in encoded if one.length == within(context, one.length)]
    return TrainingJob(
        model=spec.model,
        runtime=spec.runtime,
        kind=spec.kind,
        params=spec.params,
        seed=spec.seed,
        examples=tuple(examples),
        validation=tuple(validation),
        texts=tuple(_general_texts(candidate)),
        checks_per_epoch=spec.checks_per_epoch,
        pad=candidate.loaded.tokenizer.pad_token_id,
    )


def _fitted(job: TrainingJob, model: Any, run: TrialRun, *, trees: bool) -> TrainingJob:
    """The job as it goes into the memory that is free now."""
    from harness.models.memory import available_mib
    from harness.training.fitting import fit

    available = available_mib(job.runtime.device) * job.runtime.memory_share
    if not job.runtime.device.startswith("cuda"):
        # Processes that train side by side have a GPU each, but one main memory.
        available /= job.params["processes"]
    found = fit(model, job, available, trees)
    run.environment["training_memory"] = found.in_words()
    fitted = {
        "micro_batch_size": found.micro_batch_size,
        "gradient_checkpointing": found.gradient_checkpointing,
    }
    return replace(job, params=job.params | fitted)


def _general_texts(candidate: Candidate) -> list[TokenisedExample]:
    from harness.training.general_text import encode_texts

    spec = candidate.spec
    if not spec.replay_path:
        return []
    texts = [item.inputs["text"] for item in read_examples_file(Path(spec.replay_path))]
    longest = within(context_of(candidate), spec.params["max_length"])
    return encode_texts(candidate.loaded.tokenizer, texts, longest)


def keep_trained(loaded: Any, folder: Path) -> list[Artifact]:
    from harness.models.adapters import save_trained

    kept = []
    for path in save_trained(loaded, folder / "artifact"):
        name, size = str(path.relative_to(folder)), path.stat().st_size
        kept.append(Artifact(name, file_sha256(path), size))
    return kept


def _probe(model: Any, prompts: Sequence[Sequence[int]]) -> Any:
    """Next-token logits after each prompt, shape (prompts, vocabulary), float32."""
    import torch

    from harness.prompting.tree_pass import logits_at

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


def _largest_difference(a: Any, b: Any) -> float:
    return float((a - b).abs().max())
