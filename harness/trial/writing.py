"""A trial that has an instruction written: who answers rows, who writes, and what both replied."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.answers.faults import faults_of
from harness.data import read_examples_file
from harness.errors import CanaryError, TrialError
from harness.prompting import PromptRenderer
from harness.prompting.render import shown_text
from harness.prompting.servers_tokenizer import ServersTokenizer
from harness.records import (
    WRITING_JOURNAL,
    Example,
    ScoreRecord,
    ScoreRequest,
    Seat,
    TrialSpec,
    WritingTask,
)
from harness.spec import TaskSpec
from harness.spec.settings import reasoning_of, settings_from
from harness.trial.candidate import (
    Announce,
    Candidate,
    TrialRun,
    check_rendering,
    make_renderer,
    reply_constraint,
)
from harness.trial.scoring import candidate_lm, known_replies, score_items
from harness.trial.served import score_served_items
from harness.trial.writers import local_writer, writer_of
from harness.trial.writing_journal import Asking, Journal, asking_kept, estimated
from harness.writing.reflection import Write
from harness.writing.rows import Answer, AnsweredRow, UnusableError
from harness.writing.write import Ground, write_instruction

if TYPE_CHECKING:
    from harness.models.base_cache import BaseCache

DOMAIN = "domain"


def write_by_weights(
    candidate: Candidate, run: TrialRun, folder: Path, bases: BaseCache, announce: Announce
) -> None:
    """Have an instruction written for a model in memory.

    Raises:
        TrialError: nobody can be asked by the task's own instruction.
    """
    from harness.models.packed_weights import packed_weights

    spec, task = candidate.spec, _task_of(candidate.spec)
    asking = Asking(Journal(folder / WRITING_JOURNAL, run), known_replies(spec))
    own = candidate_lm(candidate)
    lm = asking.knowing(own, task.asked)
    constraint = reply_constraint(
        candidate.renderer, candidate.loaded.tokenizer, candidate.task, candidate.split,
        spec.answering,
    )  # fmt: skip

    def score(instruction: str, items: Sequence[Example]) -> ScoreRecord:
        told = replace(candidate, renderer=_telling(candidate.renderer, candidate, instruction))
        check_rendering(told)
        with asking_kept(asking, lm):
            return score_items(told, _request(spec), lm, constraint, items)

    with packed_weights(candidate.loaded.model, spec.runtime.memory_share, candidate.loaded.packed):
        if task.reflector is None:
            write = local_writer(asking, own, candidate.loaded.tokenizer, task, spec)
            _write(spec, run, score, write, candidate.split, asking.journal, announce)
            return
        with writer_of(spec, task, asking, bases, run) as write:
            _write(spec, run, score, write, candidate.split, asking.journal, announce)


def write_by_server(
    spec: TrialSpec, run: TrialRun, folder: Path, bases: BaseCache, announce: Announce
) -> None:
    """Have an instruction written for a model behind a server.

    Raises:
        TrialError: the server that answers rows cannot be asked.
    """
    from harness.evaluation.endpoint.endpoint_lm import EndpointLM

    if spec.endpoint is None:
        raise TrialError("error", "the trial names no endpoint")
    task, domain = _task_of(spec), TaskSpec.model_validate(spec.task)
    split = read_examples_file(Path(spec.train_path))
    asking = Asking(Journal(folder / WRITING_JOURNAL, run), known_replies(spec))
    server = EndpointLM(spec.endpoint, spec.trial_id)
    lm = asking.knowing(server, task.asked)
    plain = make_renderer(spec, domain, split[: spec.train_items], ServersTokenizer())

    def score(instruction: str, items: Sequence[Example]) -> ScoreRecord:
        renderer = _renderer(spec, domain, ServersTokenizer(), plain, instruction)
        with asking_kept(asking, lm):
            return score_served_items(domain, split, renderer, _request(spec), lm, items)

    writer = task.reflector or Seat("writer", task.asked_writer, None, spec.endpoint)
    try:
        with writer_of(spec, replace(task, reflector=writer), asking, bases, run) as write:
            _write(spec, run, score, write, split, asking.journal, announce)
        server.ended()
    finally:
        if run.writing is not None:
            run.writing = replace(run.writing, money=run.writing.money + server.spent())
        run.environment.update(server.notes())


def _task_of(spec: TrialSpec) -> WritingTask:
    if spec.writing is None:
        raise TrialError("error", "the trial does not say what is to be written")
    return spec.writing


def _request(spec: TrialSpec) -> ScoreRequest:
    """Some training rows, whose score is kept nowhere."""
    return ScoreRequest("", DOMAIN, "domain", "train", spec.train_path)


def _telling(renderer: PromptRenderer, candidate: Candidate, instruction: str) -> PromptRenderer:
    return _renderer(
        candidate.spec, candidate.task, candidate.loaded.tokenizer, renderer, instruction
    )


def _renderer(
    spec: TrialSpec, task: TaskSpec, tokenizer: Any, plain: PromptRenderer, instruction: str
) -> PromptRenderer:
    """The trial's renderer with another instruction, and the same shots."""
    settings = settings_from(spec.params)
    return PromptRenderer(
        tokenizer,
        task,
        plain.shots,
        instruction,
        template=settings.template,
        chat=settings.chat,
        date=spec.date,
        template_args=spec.template_args,
        reasoning=reasoning_of(settings),
    )


def _write(
    spec: TrialSpec,
    run: TrialRun,
    score: Callable[[str, Sequence[Example]], ScoreRecord],
    write: Write,
    split: Sequence[Example],
    journal: Journal,
    announce: Announce,
) -> None:
    """Write, and note what came of it; what was paid for is kept in any case."""
    writing, task = _task_of(spec), TaskSpec.model_validate(spec.task)
    sign = 1.0 if task.higher_is_better else -1.0
    answer = _answering(spec, run, task, score, split, announce)
    ground = Ground(
        own=task.instruction,
        plain=task.answer.instruction("answer", is_reply=True, is_told=False),
        train=tuple(split[: spec.train_items]),
        sign=sign,
        perfect=sign * task.primary.best,
        writer=writing.writer,
        seed=spec.seed,
    )
    try:
        written = write_instruction(ground, writing, answer, write, journal.counted)
        run.writing = replace(written, seconds=journal.seconds())
    except UnusableError as fault:
        raise TrialError("error", f"the task's own instruction cannot be asked: {fault}") from fault
    finally:
        journal.keep()


def _answering(
    spec: TrialSpec,
    run: TrialRun,
    task: TaskSpec,
    score: Callable[[str, Sequence[Example]], ScoreRecord],
    split: Sequence[Example],
    announce: Announce,
) -> Answer:
    labels = task.answer.known_from(split)
    primary, sign = task.primary, 1.0 if task.higher_is_better else -1.0
    worst = primary.worst if math.isfinite(primary.worst) else 0.0
    most = _task_of(spec).most_rows
    done = 0

    def answer(instruction: str, items: Sequence[Example]) -> list[AnsweredRow]:
        nonlocal done
        try:
            record = score(instruction, items)
            (record,) = run.marked([(record, _request(spec))])
        except CanaryError as error:
            raise UnusableError(str(error)) from error
        except TrialError as error:
            if error.kind != "length":
                raise
            raise UnusableError(str(error)) from error
        values = {
            one.doc_hash: one.value
            for one in record.item_scores
            if one.metric == primary.name and one.value is not None
        }
        by_item = {output.item_id: output for output in record.outputs}
        rows = []
        for item in items:
            output = by_item[item.id]
            shown, target = shown_text(task, item), task.answer.target_of(item)
            counted = output.prompt_tokens + output.completion_tokens
            value = values.get(output.doc_hash)
            faults = faults_of(task.answer, target, output.output, labels)
            unread = () if value is not None else ("It could not be scored, and counts as wrong.",)
            rows.append(
                AnsweredRow(
                    shown=shown,
                    right=item.answer,
                    reply=output.output,
                    value=sign * (worst if value is None else value),
                    faults=(*faults, *unread),
                    tokens=counted or estimated(f"{instruction}{shown}{output.output}"),
                )
            )
        done += len(items)
        announce("write", min(done, most), most, task="rows of its budget")
        return rows

    return answer


__all__ = ["write_by_server", "write_by_weights"]
