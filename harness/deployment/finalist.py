"""A final run that answers new items exactly as it was scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data import read_examples_file
from harness.errors import InputError, TrialError
from harness.export.base_model import base_here, runtime_here
from harness.export.final_run import FinalRun, weights_folder
from harness.records import Endpoint, Example, TrialSpec
from harness.spec import TaskSpec

if TYPE_CHECKING:
    from harness.deployment.llama_cpp_lm import LlamaCppLM
    from harness.trial.candidate import Candidate

Progress = Callable[[int, int], None]
"""Told how many items are answered, of how many."""
Replies = Callable[[Sequence[Example], Progress], list[str]]
"""What is replied to items, in their order."""
TASK = "asked"


@dataclass(frozen=True, slots=True)
class Finalist:
    """A final run whose model is loaded, or whose server is known."""

    run: FinalRun
    """The final run."""
    replies: Replies
    """Its replies to items, in their order."""
    check: Callable[[Sequence[Example]], object]
    """Sees, at no cost, that items can be asked: raises InputError where one cannot."""
    labels: tuple[str, ...]
    """What a reader of its replies has to know of training, such as the labels."""

    def answer(self, reply: str) -> str | None:
        """What a reply answers; None where no answer could be read."""
        return self.run.analysed.experiment.task.answer.answer_in(reply, self.labels)


@contextmanager
def opened(run: FinalRun) -> Iterator[Finalist]:
    """The final run, ready to be asked: same prompt, shots, way of answering, weights or server.

    Raises:
        InputError: its weights or its base are gone, or are not those that were scored.
        TrialError: kind ``key``: a server's key is missing.
    """
    split = read_examples_file(Path(run.spec.train_path))
    labels = run.analysed.experiment.task.answer.known_from(split)
    if run.spec.endpoint is not None:
        yield Finalist(run, _served(run, run.spec.endpoint), lambda items: None, labels)
        return
    # Packed once, however often it is asked.
    with loaded_candidate(run) as candidate, packed(candidate):
        yield Finalist(
            run,
            lambda items, told: prepared(candidate, items)(told),
            lambda items: prepared(candidate, items),
            labels,
        )


@contextmanager
def loaded_candidate(run: FinalRun) -> Iterator[Candidate]:
    """The model of a final run, in the form that was scored.

    Raises:
        InputError: its weights or its base are gone, or are not those that were scored.
    """
    import torch

    from harness.models.base_cache import BaseCache
    from harness.models.load import quiet_libraries
    from harness.trial.candidate import base_candidate, trained_candidate

    weights = weights_folder(run)
    trained = str(weights) if weights else ""
    quiet_libraries()
    spec = replace(
        run.spec,
        model=base_here(run.spec.model),
        runtime=runtime_here(run.spec.runtime),
        trained_path=trained,
        pruning=None,
    )
    opening = trained_candidate if trained else base_candidate
    with ExitStack() as stack:
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        if spec.runtime.threads:
            torch.set_num_threads(spec.runtime.threads)
        try:
            candidate = stack.enter_context(opening(spec, BaseCache(most=0)))
        except TrialError as error:
            raise InputError(f"{run.title}: {error}") from error
        yield candidate


def replies_of(
    candidate: Candidate,
    items: Sequence[Example],
    progress: Progress,
    engine: LlamaCppLM | None = None,
) -> list[str]:
    """What a model in memory replies to items, in their order.

    Args:
        engine: what computes in the model's place; None for the model.

    Raises:
        InputError: a prompt leaves no room for its answer.
    """
    ask = prepared(candidate, items, engine)
    with packed(candidate, engine):
        return ask(progress)


@contextmanager
def packed(candidate: Candidate, engine: LlamaCppLM | None = None) -> Iterator[None]:
    """The candidate's weights packed as they were when it was scored, which takes its time.

    Where an engine computes in its place they stay as they are.
    """
    from harness.models.packed_weights import packed_weights

    if engine is not None:
        yield
        return
    loaded = candidate.loaded
    with packed_weights(loaded.model, candidate.spec.runtime.memory_share, loaded.packed):
        yield


def prepared(
    candidate: Candidate, items: Sequence[Example], engine: LlamaCppLM | None = None
) -> Callable[[Progress], list[str]]:
    """What gives the replies to items, in their order, once the weights are packed.

    Args:
        engine: what computes in the model's place; None for the model.

    Raises:
        InputError: a prompt leaves no room for its answer.
    """
    from harness.trial.candidate import reply_constraint
    from harness.trial.domain import domain_task_of
    from harness.trial.scoring import candidate_lm

    spec, loaded, renderer = candidate.spec, candidate.loaded, candidate.renderer
    constraint = reply_constraint(
        renderer, loaded.tokenizer, candidate.task, candidate.split, spec.answering
    )
    try:
        task = domain_task_of(candidate, TASK, items, spec.answering, constraint)
    except TrialError as error:
        raise InputError(str(error)) from error
    lm = candidate_lm(candidate)

    def ask(progress: Progress) -> list[str]:
        answering = lm if engine is None else engine
        answering.on_progress = _by_item(progress, len(items))
        with lm.kept_to(constraint):
            replies = _asked(answering, task)
        plain = (reply.removesuffix(renderer.end).removeprefix(renderer.lead) for reply in replies)
        return list(map(renderer.as_kept, plain))

    return ask


def _served(run: FinalRun, endpoint: Endpoint) -> Replies:
    """What a server replies to items: it is paid for from the arm's own cap."""
    from harness.evaluation.endpoint.endpoint_lm import EndpointLM
    from harness.prompting.servers_tokenizer import ServersTokenizer
    from harness.trial.candidate import make_renderer
    from harness.trial.served import served_task

    spec = run.spec
    task = TaskSpec.model_validate(spec.task)
    split = read_examples_file(Path(spec.train_path))
    renderer = make_renderer(spec, task, split[: spec.train_items], ServersTokenizer())
    lm = EndpointLM(replace(endpoint, ledger=str(ledger_of(run, spec))), spec.trial_id)

    def replies(items: Sequence[Example], progress: Progress) -> list[str]:
        lm.on_progress = _by_item(progress, len(items))
        found = _asked(lm, served_task(task, split, renderer, TASK, items))
        lm.ended()
        return list(map(renderer.as_kept, found))

    return replies


def ledger_of(run: FinalRun, spec: TrialSpec) -> Path:
    """Where the study's arm notes what it spends, as the results lie now."""
    home = run.analysed.results.resolve() / run.analysed.study.experiment.folder
    return home / "spending" / f"{spec.arm}.jsonl"


def _asked(lm: Any, task: Any) -> list[str]:
    """The reply to each item of an lm-eval task; of choices the likeliest."""
    task.build_all_requests(limit=None, rank=0, world_size=1)
    (kind,) = {instance.request_type for instance in task.instances}
    answers = getattr(lm, kind)(task.instances, disable_tqdm=True)
    if kind == "generate_until":
        return [str(answer) for answer in answers]
    best: dict[int, tuple[float, str]] = {}
    for instance, (likelihood, _) in zip(task.instances, answers, strict=True):
        if instance.doc_id not in best or likelihood > best[instance.doc_id][0]:
            best[instance.doc_id] = likelihood, str(instance.args[1])
    return [best[place][1] for place in sorted(best)]


def _by_item(progress: Progress, items: int) -> Progress:
    """What a model tells of its requests, of which an item may have several, told of items."""
    return lambda done, total: progress(items * done // max(total, 1), items)


__all__ = [
    "Finalist",
    "Progress",
    "ledger_of",
    "loaded_candidate",
    "opened",
    "packed",
    "prepared",
    "replies_of",
]
