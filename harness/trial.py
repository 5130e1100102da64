"""The story of one trial: load, check, train, check again, score.

A trial is a function of its :class:`TrialSpec` alone, so it gives the same record in this
process, in a child, or on another machine.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import __version__
from harness.data import read_examples_file
from harness.errors import CanaryError, TrialError
from harness.prompting import PromptRenderer, ShotSelector, TokenisedExample
from harness.prompting.render import render_template
from harness.records import (
    Artifact,
    Canaries,
    Example,
    Progress,
    ScoreRecord,
    ScoreRequest,
    StepReport,
    TrialCost,
    TrialRecord,
    TrialSpec,
    content_hash,
    utc_now,
)
from harness.spec import TaskSpec

if TYPE_CHECKING:
    from harness.evaluation.divergence import BaseDistributions
    from harness.models.load import LoadedModel

Report = Callable[[Progress], None]
Announce = Callable[..., None]
PROBES = 4
CANARY_PROMPTS = 32
VALIDATION_LOSS_EXAMPLES = 200


@dataclass(slots=True)
class _Run:
    """What the trial has so far: kept when it fails midway."""

    steps: list[StepReport] = field(default_factory=list)
    scores: list[ScoreRecord] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    canaries: Canaries | None = None
    cost: TrialCost = field(default_factory=lambda: TrialCost(0, 0, 0, 0, 0, None, 0, 0, 0))
    environment: dict[str, str] = field(default_factory=dict)


def run_trial(spec: TrialSpec, folder: Path, report: Report = lambda progress: None) -> TrialRecord:
    """Run one trial; artifacts go to ``folder``. A failure comes back as a record, not raised.

    Only what stops the whole process (an interrupt, a kill) leaves without a record.
    """
    started = utc_now()
    run = _Run(environment=environment_versions())
    failure: tuple[str, str] | None = None
    try:
        _execute(spec, folder, report, run)
    except TrialError as error:
        failure = (error.kind, str(error))
    except CanaryError as error:
        failure = ("canary", str(error))
    except MemoryError as error:
        failure = ("out_of_memory", f"host memory ran out: {error}")
    except Exception as error:  # noqa: BLE001 - any fault of a trial is a recorded result
        text = f"{type(error).__name__}: {error}"
        kind = "out_of_memory" if "out of memory" in text.lower() else "error"
        failure = (kind, text[:2000])
    return TrialRecord(
        spec=spec,
        status="failed" if failure else "complete",
        started_at=started,
        ended_at=utc_now(),
        failure_kind=failure[0] if failure else "",
        failure_message=failure[1] if failure else "",
        steps=tuple(run.steps),
        scores=() if failure else tuple(run.scores),
        canaries=run.canaries,
        cost=run.cost,
        artifacts=tuple(run.artifacts),
        environment=run.environment,
    )


def environment_versions() -> dict[str, str]:
    """Versions of all that can change a number."""
    names = ("torch", "transformers", "peft", "bitsandbytes", "lm_eval", "optuna", "datasets")
    return {
        "harness": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        **{name: importlib.metadata.version(name) for name in names},
    }


@dataclass(slots=True)
class _Candidate:
    """The model under trial and what its prompts are made of.

    split: the whole training split, which says what valid answers are and how long. pool: the
    part of it that is trained on, and that shots come from. base: what a trained candidate's
    language is compared with, where that was asked for.
    """

    spec: TrialSpec
    task: TaskSpec
    split: Sequence[Example]
    pool: Sequence[Example]
    loaded: LoadedModel
    renderer: PromptRenderer
    base: BaseDistributions | None = None


def _execute(spec: TrialSpec, folder: Path, report: Report, run: _Run) -> None:
    import torch

    from harness.models.memory import peak_device_mib, peak_memory_mib, reset_peak_memory

    def announce(stage: Any, done: int, total: int, **more: Any) -> None:
        report(Progress(spec.trial_id, spec.arm, stage, done, total, **more))

    if spec.runtime.threads:
        torch.set_num_threads(spec.runtime.threads)
    torch.manual_seed(spec.seed)
    reset_peak_memory()
    announce("load", 0, 1)
    load_began = time.perf_counter()
    candidate = _load(spec)
    template = str(candidate.loaded.tokenizer.chat_template or "")
    run.environment["chat_template"] = content_hash(template, 16) if template else "none"
    load_ended = time.perf_counter()
    announce("load", 1, 1)
    _measure_base(candidate, folder)
    train_began = time.perf_counter()
    trainable = 0
    if spec.kind != "prompt":
        trainable = _fine_tune(candidate, run, announce)
        if spec.keep_artifact:
            run.artifacts.extend(_keep(candidate.loaded, folder))
    training_peak = peak_memory_mib(), peak_device_mib(spec.runtime.device)
    score_began = time.perf_counter()
    _score_all(candidate, run, announce)
    scoring_peak = peak_memory_mib(), peak_device_mib(spec.runtime.device)
    peak = scoring_peak if spec.kind == "prompt" else training_peak
    run.cost = TrialCost(
        load_seconds=load_ended - load_began,
        train_seconds=score_began - train_began if trainable else 0.0,
        score_seconds=time.perf_counter() - score_began + train_began - load_ended,
        train_tokens=run.steps[-1].tokens if run.steps else 0,
        peak_memory_mib=peak[0],
        peak_device_mib=peak[1],
        total_parameters=candidate.loaded.total_parameters,
        trainable_parameters=trainable,
        artifact_bytes=sum(artifact.bytes for artifact in run.artifacts),
    )


def _load(spec: TrialSpec) -> _Candidate:
    from harness.models.load import load_base

    task = TaskSpec.model_validate(spec.task)
    split = read_examples_file(Path(spec.train_path))
    pool = split[: spec.train_items]
    loaded = load_base(
        spec.model,
        spec.runtime,
        "nf4" if spec.kind == "qlora" else "none",
        double_quantisation=spec.params.get("double_quantisation", True),
    )
    selector = ShotSelector(
        pool,
        spec.params["shots"],
        spec.params["selection"],
        lambda item: render_template(task, item),
        np.random.default_rng([spec.seed, 1]),
    )
    renderer = PromptRenderer(
        loaded.tokenizer, task, selector.select, spec.params.get("instruction")
    )
    return _Candidate(spec, task, split, pool, loaded, renderer)


def _measure_base(candidate: _Candidate, folder: Path) -> None:
    """Take down the base's language while it is still the base."""
    from harness.evaluation.divergence import BaseDistributions

    for request in candidate.spec.scores:
        if request.suite == "divergence" and request.key not in candidate.spec.known_scores:
            loaded = candidate.loaded
            candidate.base = BaseDistributions(request, loaded.model, loaded.tokenizer, folder)


def _fine_tune(candidate: _Candidate, run: _Run, announce: Announce) -> int:
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


def _train(candidate: _Candidate, run: _Run, announce: Announce) -> None:
    from harness.training.loop import TrainingSettings, train

    spec, renderer = candidate.spec, candidate.renderer
    longest = spec.params["max_length"]
    encoded = [renderer.encode(item) for item in candidate.pool]
    examples = [example for example in encoded if example.length <= longest]
    if len(examples) < len(encoded):
        run.environment["left_out_of_training"] = (
            f"{len(encoded) - len(examples)} of {len(encoded)} examples are longer than "
            f"max_length {longest} tokens"
        )
    if not examples:
        raise TrialError("error", f"every training example is longer than max_length {longest}")
    validation: list[TokenisedExample] = []
    if spec.validation_path:
        items = read_examples_file(Path(spec.validation_path))[:VALIDATION_LOSS_EXAMPLES]
        validation = [renderer.encode(item) for item in items]
    rng = np.random.default_rng([spec.seed, 2])
    settings = TrainingSettings.from_params(spec.params)
    pad = candidate.loaded.tokenizer.pad_token_id
    for step in train(candidate.loaded.model, examples, settings, pad, rng, validation):
        run.steps.append(step)
        announce("train", step.step, step.steps, loss=step.loss)


def _score_all(candidate: _Candidate, run: _Run, announce: Announce) -> None:
    from harness.evaluation.candidate_lm import CandidateLM

    spec = candidate.spec
    loaded = candidate.loaded
    lm = CandidateLM(loaded.model, loaded.tokenizer, spec.runtime.score_batch_size)
    known = run.canaries or Canaries(None, None, prompt_tokens_equal=True)
    equal = all(
        tuple(lm.tok_encode(candidate.renderer.prompt(item)))
        == candidate.renderer.encode_prompt(item)
        for item in candidate.pool[:CANARY_PROMPTS]
    )
    run.canaries = replace(known, prompt_tokens_equal=equal)
    if not equal:
        raise CanaryError("training and scoring tokenise the same prompt differently")
    for request in spec.scores:
        if request.key in spec.known_scores:
            continue
        lm.on_progress = partial(announce, "score", task=request.task)
        run.scores.append(_score(candidate, request, lm))


def _score(candidate: _Candidate, request: ScoreRequest, lm: Any) -> ScoreRecord:
    from harness.evaluation.domain_task import build_domain_task, valid_answers
    from harness.evaluation.memorisation import build_memorisation_task
    from harness.evaluation.score import score_task
    from harness.evaluation.suites import build_general_task, load_suite

    form = candidate.loaded.form
    if request.suite == "divergence":
        if candidate.base is None:
            raise TrialError("error", "divergence was asked for, but no base was measured")
        return candidate.base.compare(candidate.loaded.model, form)
    if request.suite == "general":
        suite = load_suite(Path(request.suite_path))
        entry = suite.task(request.task)
        general = build_general_task(suite, request.task, request.limit)
        return score_task(lm, general, request, form, chat=entry.chat, chance=entry.chance)
    task, renderer = candidate.task, candidate.renderer
    items = read_examples_file(Path(request.items_path))
    if request.suite == "memorisation":
        return score_task(lm, build_memorisation_task(request.task, task, items), request, form)
    answers = valid_answers(task, candidate.split)
    domain = build_domain_task(
        request.task,
        task,
        items,
        renderer.prompt,
        end=renderer.end,
        max_new_tokens=task.max_new_tokens or _answer_room(renderer, candidate.split),
        labels=answers or (),
        choices=answers if candidate.spec.params["answering"] == "choice" else None,
    )
    test = request.suite == "domain" and request.split == "test"
    return score_task(lm, domain, request, form, answer_end=renderer.end, measure_latency=test)


def _answer_room(renderer: PromptRenderer, split: Sequence[Example]) -> int:
    # Half as long again as the longest training answer, and room for a code fence or a preface.
    longest = max(len(renderer.encode(item).answer) for item in split)
    return longest + longest // 2 + 12


def _probe(model: Any, prompts: Sequence[Sequence[int]]) -> Any:
    """Next-token logits after each prompt, shape (prompts, vocabulary), float32."""
    import torch

    model.eval()
    with torch.inference_mode():
        rows = [
            model(input_ids=torch.tensor([ids], device=model.device), logits_to_keep=1).logits[
                0, -1
            ]
            for ids in prompts
        ]
        return torch.stack(rows).float()


def _largest_difference(a: Any, b: Any) -> float:
    return float((a - b).abs().max())


def _keep(loaded: Any, folder: Path) -> list[Artifact]:
    from harness.models.adapters import save_trained

    kept = []
    for path in save_trained(loaded, folder / "artifact"):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        kept.append(Artifact(str(path.relative_to(folder)), digest, path.stat().st_size))
    return kept
