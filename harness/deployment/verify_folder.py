"""A folder, or a quantised form of the winner, held against the final run that it is made of."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.deployment.agreement import ReplyPair, ScoredItem, agreement, scored_items
from harness.deployment.endings import culprits_of_endings, without_ending
from harness.deployment.finalist import Progress, packed, prepared, replies_of
from harness.deployment.forms import BITS, FORMS, Form, given_by, loaded_form
from harness.deployment.hypotheses import CONVINCING, WEIGHED
from harness.deployment.llama_cpp_lm import LlamaCppLM, has_llama_cpp
from harness.deployment.shipped import culprits_of_generation, culprits_of_prompts
from harness.deployment.shipped_folder import Shipped, as_folder, loaded_folder
from harness.deployment.verification import (
    Culprit,
    Load,
    Verification,
    each_once,
    load_of,
    log_result,
    search_failed,
)
from harness.errors import HarnessError, InputError, SpecError
from harness.export.asking import Asking
from harness.export.base_model import runtime_here
from harness.export.final_run import FinalRun, is_adapter_run
from harness.export.look import log_look
from harness.export.near_ties import TwoReplies, likelihood_gaps, tie_tolerance

if TYPE_CHECKING:
    from harness.models.load import LoadedModel
    from harness.trial.candidate import Candidate

# Requests of a batch whose speed is measured, each on so many items at most.
BATCHES, TIMED = (1, 4, 16), 16
_NUMBER_OF_BITS = re.compile(r"(?:\bI?Q|\b)([48])(?:_| bits|$)")


def verify_folder(
    run: FinalRun,
    folder: Path,
    *,
    limit: int | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Verification:
    """Ask what a folder holds all test items, by its own tokenizer and template, and compare.

    Args:
        folder: an adapter, a whole model, or a GGUF file (or the folder that holds one). A GGUF
            file answers by llama.cpp where llama-cpp-python is installed and the arm answers
            freely; else transformers reads its weights.
        limit: number of items, spread evenly over the test set; None for all.

    Raises:
        InputError: the folder holds no such model.
    """
    _check_local(run)
    scored = scored_items(run, limit)
    with as_folder(folder) as shipped, loaded_folder(run, shipped) as loaded:
        what = f"the folder {folder}" if shipped.gguf is None else f"the file {shipped.gguf}"
        return _verified(run, loaded, scored, what, shipped, on_progress)


def verify_form(
    run: FinalRun,
    form: Form,
    *,
    limit: int | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Verification:
    """Ask the run's own model in another form all test items, and compare.

    An adapter is merged into its base first: in float32, in bfloat16, or in the run's own format
    before bitsandbytes quantises the whole.

    Args:
        limit: number of items, spread evenly over the test set; None for all.

    Raises:
        InputError: its weights are gone, or this machine cannot hold them so.
    """
    _check_local(run)
    scored = scored_items(run, limit)
    what = f"{'merged, ' if is_adapter_run(run) else ''}{form}"
    with loaded_form(run, form) as loaded:
        return _verified(run, loaded, scored, what, None, on_progress, form)


def _check_local(run: FinalRun) -> None:
    if run.spec.endpoint is not None:
        raise InputError(
            f"{run.title}: its model is a server's, and no folder holds it; use --endpoint"
        )


def _verified(
    run: FinalRun,
    loaded: LoadedModel,
    scored: Sequence[ScoredItem],
    what: str,
    shipped: Shipped | None,
    on_progress: Progress,
    form: Form | None = None,
) -> Verification:
    import torch

    from harness.trial.candidate import candidate_of

    log_look(run, "verify", f"verification of {what}")
    if run.spec.runtime.threads:
        torch.set_num_threads(run.spec.runtime.threads)
    spec = replace(run.spec, runtime=runtime_here(run.spec.runtime), pruning=None)
    try:
        candidate = candidate_of(spec, loaded)
    except SpecError as error:
        raise InputError(f"{what}: {error}") from error
    items = [one.item for one in scored]
    with _engine(candidate, shipped) as engine:
        replies = replies_of(candidate, items, on_progress, engine)
        loads = _loads(candidate, scored, engine)
    if shipped is not None and shipped.gguf is not None:
        what += ", its weights read by transformers" if engine is None else ", by llama.cpp"
    found = agreement(run, scored, replies)
    culprits: list[Culprit] = []
    try:
        if engine is not None:
            culprits += _of_engine(candidate, engine, found.apart, len(items))
        culprits += _of_numbers(run, loaded, shipped, form, found.apart)
        if shipped is not None:
            culprits += _of_settings(run, candidate, shipped, scored)
        rest = without_ending(found.apart)
        explained = any(culprit.explains for culprit in culprits)
        culprits += culprits_of_endings(found.apart)
        if rest and not explained:
            if form is not None:
                why = "merging rounds them"
            elif shipped is not None and shipped.bits:
                why = f"to quantise them rounds them ({shipped.bits}), or they are others"
            else:
                why = "they are others, or were rounded when merged"
            culprits += _of_weights(candidate, rest, why)
    except (HarnessError, RuntimeError) as error:
        culprits.append(search_failed(error))
    done = Verification(
        run,
        what,
        found,
        loads,
        each_once(culprits),
        megabytes=(shipped.megabytes if shipped is not None else None)
        or loaded.model.get_memory_footprint() / 1e6,
    )
    log_result(done)
    return done


@contextmanager
def _engine(candidate: Candidate, shipped: Shipped | None) -> Iterator[LlamaCppLM | None]:
    """What answers for a GGUF file by its own arithmetic; None where transformers does."""
    import torch

    from harness.trial.scoring import candidate_lm

    gguf = shipped.gguf if shipped is not None else None
    if gguf is None or not has_llama_cpp() or candidate.spec.answering != "generate":
        yield None
        return
    on_gpu = candidate.spec.runtime.device.startswith("cuda")
    engine = LlamaCppLM(gguf, candidate_lm(candidate), torch.get_num_threads(), on_gpu=on_gpu)
    with closing(engine):
        yield engine


def _of_engine(
    candidate: Candidate, engine: LlamaCppLM, apart: Sequence[ReplyPair], items: int
) -> Iterator[Culprit]:
    """Whether it is llama.cpp that differs: the same file read by transformers tells."""
    if engine.cut_otherwise:
        yield Culprit(
            "template",
            f"llama.cpp cuts {len(engine.cut_otherwise)} of {items} prompts into other tokens, of "
            "equal text",
            bool(apart),
        )
    pairs = apart[:WEIGHED]
    if not pairs:
        return
    given = replies_of(candidate, [pair.item for pair in pairs], _untold)
    same = sum(reply == pair.scored for reply, pair in zip(given, pairs, strict=True))
    if same >= CONVINCING * len(pairs):
        _, tolerance, ties = _gaps(candidate, pairs)
        yield Culprit(
            "arithmetic",
            f"read by transformers, the same file gives {same} of {len(pairs)} of these replies as "
            f"they were scored: llama.cpp computes otherwise ({ties} of {len(pairs)} are near "
            f"ties, equally likely within {tolerance:.2g} nats)",
        )


def _of_numbers(
    run: FinalRun,
    loaded: LoadedModel,
    shipped: Shipped | None,
    form: Form | None,
    apart: Sequence[ReplyPair],
) -> Iterator[Culprit]:
    """The form of the weights, where it is another one.

    A form of the run's own weights is all that was changed. A folder may hold other weights
    altogether: that its form is the reason is tried on the run's own.
    """
    bits = shipped.bits if shipped is not None else form if form in BITS else ""
    kind = str(loaded.model.dtype).removeprefix("torch.")
    if shipped is not None and shipped.dtype:
        kind = shipped.dtype
    if not bits and kind == run.spec.runtime.dtype:
        return
    told, explains = "", True
    if shipped is not None and apart:
        pairs = apart[:WEIGHED]
        number = _NUMBER_OF_BITS.search(bits)
        tried = f"{number[1]}-bit" if number else kind if not bits else ""
        explains = False
        for one in FORMS:
            if one == tried:
                given = given_by(run, one, pairs)
                explains = given is not None and given >= CONVINCING * len(pairs)
                came = f"give {given} of {len(pairs)} replies here"
                told = f"; the run's own weights in {one} " + (
                    "could not be tried here" if given is None else came
                )
    if bits:
        yield Culprit(
            "quantisation",
            f"the weights are quantised ({bits}), and those that were scored are in "
            f"{run.spec.runtime.dtype}{told}",
            explains,
        )
        return
    yield Culprit(
        "number format",
        f"the weights are in {kind}, and those that were scored in {run.spec.runtime.dtype}{told}",
        explains,
    )


def _of_settings(
    run: FinalRun, candidate: Candidate, shipped: Shipped, scored: Sequence[ScoredItem]
) -> Iterator[Culprit]:
    from harness.trial.candidate import answer_room

    items = [one.item for one in scored]
    asking = Asking.of(run)
    renderer = candidate.renderer
    yield from culprits_of_prompts(asking, renderer, candidate.loaded.tokenizer, items)
    folder = shipped.folder
    if (folder / "config.json").is_file():
        room = candidate.task.max_new_tokens or answer_room(renderer, candidate.split)
        room += renderer.reasoning_room
        ends = asking.renderer.encode_answer("")
        yield from culprits_of_generation(folder, ends, room)


def _of_weights(candidate: Candidate, apart: Sequence[ReplyPair], why: str) -> Iterator[Culprit]:
    """Whether the weights are others than those that were scored.

    Args:
        why: how they may have become so.
    """
    gaps, tolerance, ties = _gaps(candidate, apart[:WEIGHED])
    if ties == len(gaps):
        yield Culprit(
            "rounding",
            f"the prompts are those that were scored, and all of {len(gaps)} different replies are "
            f"near ties (equally likely within {tolerance:.2g} nats), which the last digits decide",
        )
        return
    yield Culprit(
        "weights",
        f"the prompts are those that were scored, but these weights find one reply up to "
        f"{max(gaps):.2g} nats likelier than the scored one, where the order of sums moves "
        f"{tolerance:.2g} at most ({ties} of {len(gaps)} are near ties): {why}",
    )


def _gaps(candidate: Candidate, pairs: Sequence[ReplyPair]) -> tuple[Sequence[float], float, int]:
    """How far the two replies of each pair are apart, what rounding moves, and the near ties."""
    gaps = likelihood_gaps(candidate, [TwoReplies(p.item, p.scored, p.deployed) for p in pairs])
    tolerance = tie_tolerance(candidate, [pair.item for pair in pairs])
    return gaps, tolerance, sum(gap <= tolerance for gap in gaps)


def _loads(
    candidate: Candidate, scored: Sequence[ScoredItem], engine: LlamaCppLM | None
) -> tuple[Load, ...]:
    items = [one.item for one in scored][:TIMED]
    loads = []
    with packed(candidate, engine):
        # What only the first request pays is none of the speed.
        prepared(candidate, items[:1], engine)(_untold)
        for size in BATCHES if engine is None else BATCHES[:1]:
            if size > len(items):
                break
            runtime = replace(candidate.spec.runtime, score_batch_size=size)
            sized = replace(candidate, spec=replace(candidate.spec, runtime=runtime))
            seconds = []
            for start in range(0, len(items) - size + 1, size):
                ask = prepared(sized, items[start : start + size], engine)
                began = time.perf_counter()
                ask(_untold)
                seconds.append(time.perf_counter() - began)
            loads.append(load_of(size, size * len(seconds), seconds, sum(seconds)))
    return tuple(loads)


def _untold(done: int, total: int) -> None:
    """Nobody is told of what is only timed."""


__all__ = ["verify_folder", "verify_form"]
