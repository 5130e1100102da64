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
from harness.deployment.server import Server, culprits_of_models, listed_models, server_of
from harness.deployment.verification import (
    Culprit,
    Verification,
    each_once,
    log_result,
    search_failed,
)
from harness.errors import HarnessError, InputError
from harness.export.asking import Asking
from harness.export.final_run import FinalRun
from harness.export.look import log_look
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
    log_look(run, "verify", f"verification of {what}")
    items = [one.item for one in scored]
    replies, loads = server.answer(items, on_progress)
    kept = server.asking.renderer.as_kept
    found = agreement(run, scored, [kept(reply.content) for reply in replies])
    culprits: list[Culprit] = []
    try:
        for culprit in _culprits(run, url, server, scored, replies, found.apart):
            culprits.append(culprit)
    except (HarnessError, RuntimeError) as error:
        culprits.append(search_failed(error))
    finally:
        # What was compared is kept, whatever becomes of the search for reasons.
        done = Verification(run, what, found, loads, each_once(culprits))
        log_result(done)
    return done


def _culprits(
    run: FinalRun,
    url: str,
    server: Server,
    scored: Sequence[ScoredItem],
    replies: Sequence[Reply],
    apart: Sequence[ReplyPair],
) -> Iterator[Culprit]:
    found: list[Culprit] = [
        *culprits_of_models(listed_models(url, server.client.key()), server.model),
        *_of_counts(server.asking, scored, replies, apart),
    ]
    try:
        found += server.manners([one.item for one in scored])
    except InputError as error:
        found.append(
            Culprit(
                "sampling",
                f"whether the server draws its replies was not found out: {error}",
                explains=False,
            )
        )
    if apart and run.spec.answering != "generate":
        found += _of_answering(run, apart)
    yield from found
    rest = without_ending(apart)
    if rest and not any(culprit.explains for culprit in found):
        yield from culprits_of_weights(run, rest)
    cut = {one.item.id: reply.cut for one, reply in zip(scored, replies, strict=True)}
    yield from culprits_of_endings(apart, [cut[pair.item.id] for pair in apart])


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
