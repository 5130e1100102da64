"""A server held against the final run that it is to stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data import read_examples_file
from harness.deployment.agreement import ReplyPair, ScoredItem, agreement, scored_items
from harness.deployment.endings import culprits_of_endings, without_ending
from harness.deployment.explanation import culprits_of_prompts, culprits_of_weights
from harness.deployment.finalist import Progress, ledger_of, loaded_candidate
from harness.deployment.hypotheses import CONVINCING, WEIGHED, reproduced
from harness.deployment.server import culprits_of_models, listed_models, server_of
from harness.deployment.verification import (
    Culprit,
    Verification,
    each_once,
    log_look,
    log_result,
)
from harness.errors import InputError
from harness.export.asking import Asking
from harness.export.final_run import FinalRun
from harness.wording import plural

if TYPE_CHECKING:
    from harness.evaluation.endpoint.chat_reply import Reply


def verify_endpoint(
    run: FinalRun,
    url: str,
    model: str,
    *,
    key_variable: str | None = None,
    limit: int | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Verification:
    """Ask a server all test items and compare, reply by reply.

    Args:
        url: base address, such as ``http://localhost:8000/v1``.
        model: the name under which the server has the model.
        key_variable: environment variable that holds the server's key; None where it needs none.
        limit: number of items, spread evenly over the test set; None for all.

    Raises:
        InputError: the server does not answer, or the run cannot be asked there.
    """
    asking = Asking.of(run)
    scored = scored_items(run, limit)
    ledger = ledger_of(run, run.spec).with_name("verify.jsonl")
    server = server_of(asking, url, model, key_variable, str(ledger))
    what = f"{model} at {url}"
    log_look(run, what)
    items = [one.item for one in scored]
    replies, loads = server.answer(items, on_progress)
    found = agreement(run, scored, [reply.content for reply in replies])
    culprits = [
        *culprits_of_models(listed_models(url, server.client.key()), model),
        *_of_counts(asking, scored, replies, found.apart),
        *server.manners(items),
    ]
    cut = {one.item.id: reply.cut for one, reply in zip(scored, replies, strict=True)}
    endings = list(culprits_of_endings(found.apart, [cut[pair.item.id] for pair in found.apart]))
    if found.apart and run.spec.answering != "generate":
        culprits += _of_answering(run, found.apart)
    rest = without_ending(found.apart)
    if rest and not any(culprit.explains for culprit in culprits):
        culprits += culprits_of_weights(run, rest)
    done = Verification(run, what, found, loads, each_once([*culprits, *endings]))
    log_result(done)
    return done


def _of_counts(
    asking: Asking,
    scored: Sequence[ScoredItem],
    replies: Sequence[Reply],
    apart: Sequence[ReplyPair],
) -> Iterator[Culprit]:
    counted = [reply.tokens[0] for reply in replies if reply.tokens is not None]
    if len(counted) == len(replies):
        yield from culprits_of_prompts(asking, scored, counted, apart)


def _of_answering(run: FinalRun, apart: Sequence[ReplyPair]) -> Iterator[Culprit]:
    how = {
        "choice": "took the likeliest of the valid answers",
        "constrained": "kept replies to the valid answers while they were written",
    }[run.spec.answering]
    task = run.analysed.experiment.task
    free = sum(task.answer.answer_in(pair.deployed, _labels(run)) is None for pair in apart)
    yield Culprit(
        "way of answering",
        f"the study {how} ({run.spec.answering}), and the server writes freely: {free} of the "
        f"{plural(len(apart), 'reply', 'replies')} that differ hold no valid answer. `harness "
        "export prompt` says what a server must do",
        free >= CONVINCING * len(apart) or _freely(run, apart),
    )


def _freely(run: FinalRun, apart: Sequence[ReplyPair]) -> bool:
    """Whether the scored model gives enough of the replies, too, where it writes freely."""
    pairs = apart[:WEIGHED]
    try:
        with loaded_candidate(run) as candidate:
            given = reproduced(candidate, pairs, candidate.renderer.encode_prompt)
    except InputError:
        return False
    return given >= CONVINCING * len(pairs)


def _labels(run: FinalRun) -> tuple[str, ...]:
    return run.analysed.experiment.task.answer.known_from(
        read_examples_file(Path(run.spec.train_path))
    )


__all__ = ["verify_endpoint"]
