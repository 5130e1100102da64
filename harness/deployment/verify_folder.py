"""A folder, or a quantised form of the winner, held against the final run that it is made of."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from harness.deployment.agreement import ReplyPair, ScoredItem, agreement, scored_items
from harness.deployment.endings import culprits_of_endings, without_ending
from harness.deployment.finalist import Progress, packed, prepared, replies_of
from harness.deployment.forms import BITS, FORMS, Form, given_by, loaded_form
from harness.deployment.hypotheses import CONVINCING, WEIGHED
from harness.deployment.shipped import (
    culprits_of_generation,
    culprits_of_prompts,
    own_dtype,
    quantised_as,
)
from harness.deployment.verification import (
    Culprit,
    Load,
    Verification,
    each_once,
    load_of,
    log_result,
    search_failed,
)
from harness.errors import HarnessError, InputError, SpecError, UnknownReferenceError
from harness.export.asking import Asking
from harness.export.base_model import base_here, runtime_here
from harness.export.final_run import FinalRun, is_adapter_run
from harness.export.look import log_look
from harness.export.near_ties import TwoReplies, likelihood_gaps, tie_tolerance
from harness.records import ResolvedModel
from harness.spec.settings import AdapterSettings, OutsideSettings, settings_from

if TYPE_CHECKING:
    from harness.models.load import LoadedModel
    from harness.trial.candidate import Candidate

# Requests of a batch whose speed is measured, each on so many items at most.
BATCHES, TIMED = (1, 4, 16), 16
_NUMBER_OF_BITS = re.compile(r"(?:\bI?Q|\b)([48])(?:_| bits|$)")
# Type of a GGUF file's weights that are not quantised -> number format.
_GGUF_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True, slots=True)
class _Shipped:
    """What is shipped, in a folder that transformers reads."""

    folder: Path
    bits: str
    """How its weights are quantised, in its own words; empty where they are not."""
    dtype: str = ""
    """Number format of the file that it was taken out of; empty where it was not."""
    megabytes: float = 0.0
    """Size of that file, MB; 0 where it was taken out of none."""


def verify_folder(
    run: FinalRun,
    folder: Path,
    *,
    limit: int | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Verification:
    """Ask what a folder holds all test items, by its own tokenizer and template, and compare.

    Args:
        folder: an adapter, a whole model, or a GGUF file (or the folder that holds one), whose
            weights transformers reads.
        limit: number of items, spread evenly over the test set; None for all.

    Raises:
        InputError: the folder holds no such model.
    """
    _check_local(run)
    scored = scored_items(run, limit)
    with _as_folder(folder) as shipped, _loaded_folder(run, shipped.folder) as loaded:
        return _verified(run, loaded, scored, f"the folder {folder}", shipped, on_progress)


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
    shipped: _Shipped | None,
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
    replies = replies_of(candidate, items, on_progress)
    found = agreement(run, scored, replies)
    culprits: list[Culprit] = []
    try:
        culprits += _of_numbers(run, loaded, shipped, form, found.apart)
        if shipped is not None:
            culprits += _of_settings(run, candidate, shipped, scored)
        rest = without_ending(found.apart)
        explained = any(culprit.explains for culprit in culprits)
        culprits += culprits_of_endings(found.apart)
        if rest and not explained:
            culprits += _of_weights(candidate, rest, form is not None)
    except (HarnessError, RuntimeError) as error:
        culprits.append(search_failed(error))
    done = Verification(
        run,
        what,
        found,
        _loads(candidate, scored),
        each_once(culprits),
        megabytes=shipped.megabytes
        if shipped is not None and shipped.megabytes
        else loaded.model.get_memory_footprint() / 1e6,
    )
    log_result(done)
    return done


def _of_numbers(
    run: FinalRun,
    loaded: LoadedModel,
    shipped: _Shipped | None,
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
    run: FinalRun, candidate: Candidate, shipped: _Shipped, scored: Sequence[ScoredItem]
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


def _of_weights(
    candidate: Candidate, apart: Sequence[ReplyPair], merged: bool
) -> Iterator[Culprit]:
    pairs = apart[:WEIGHED]
    gaps = likelihood_gaps(candidate, [TwoReplies(p.item, p.scored, p.deployed) for p in pairs])
    tolerance = tie_tolerance(candidate, [pair.item for pair in pairs])
    ties = sum(gap <= tolerance for gap in gaps)
    if ties == len(gaps):
        yield Culprit(
            "rounding",
            f"the prompts are those that were scored, and all of {len(gaps)} different replies are "
            f"near ties (equally likely within {tolerance:.2g} nats), which the last digits decide",
        )
        return
    why = "merging rounds them" if merged else "they are others, or were rounded when merged"
    yield Culprit(
        "weights",
        f"the prompts are those that were scored, but these weights find one reply up to "
        f"{max(gaps):.2g} nats likelier than the scored one, where the order of sums moves "
        f"{tolerance:.2g} at most ({ties} of {len(gaps)} are near ties): {why}",
    )


def _loads(candidate: Candidate, scored: Sequence[ScoredItem]) -> tuple[Load, ...]:
    items = [one.item for one in scored][:TIMED]
    loads = []
    with packed(candidate):
        # What only the first request pays is none of the speed.
        prepared(candidate, items[:1])(_untold)
        for size in BATCHES:
            if size > len(items):
                break
            runtime = replace(candidate.spec.runtime, score_batch_size=size)
            sized = replace(candidate, spec=replace(candidate.spec, runtime=runtime))
            seconds = []
            for start in range(0, len(items) - size + 1, size):
                ask = prepared(sized, items[start : start + size])
                began = time.perf_counter()
                ask(_untold)
                seconds.append(time.perf_counter() - began)
            loads.append(load_of(size, size * len(seconds), seconds, sum(seconds)))
    return tuple(loads)


def _untold(done: int, total: int) -> None:
    """Nobody is told of what is only timed."""


@contextmanager
def _as_folder(path: Path) -> Iterator[_Shipped]:
    """The folder with weights that transformers reads; of a GGUF file they are taken out of it."""
    from harness.models.convert import convert_gguf, weight_type

    gguf = path if path.suffix == ".gguf" else None
    if path.is_dir() and not list(path.glob("*.safetensors")):
        gguf = next(iter(sorted(path.glob("*.gguf"))), None)
    if gguf is not None and gguf.is_file():
        # Its header is read while it is one: what is taken out of it is not quantised any more.
        kind = weight_type(gguf)
        dtype = _GGUF_DTYPES.get(kind, "")
        bits = "" if dtype else f"GGUF {kind}"
        with TemporaryDirectory() as place:
            # Without rounding, which would be this check's and not the file's.
            folder = convert_gguf(gguf, Path(place) / "model", "float32")
            yield _Shipped(folder, bits, dtype, gguf.stat().st_size / 1e6)
        return
    if not path.is_dir():
        raise InputError(f"{path}: there is no such folder, and no such GGUF file")
    yield _Shipped(path, quantised_as(path))


@contextmanager
def _loaded_folder(run: FinalRun, folder: Path) -> Iterator[LoadedModel]:
    from harness.models.adapters import each_adapter
    from harness.models.brought import own_template
    from harness.models.load import load_arms_base, load_base, quiet_libraries
    from harness.models.trained import with_own_tokenizer

    quiet_libraries()
    runtime = runtime_here(run.spec.runtime)
    base = base_here(run.spec.model)
    settings = settings_from(run.spec.params)
    has_tokenizer = (folder / "tokenizer_config.json").is_file()
    try:
        if (folder / "adapter_config.json").is_file():
            if not isinstance(settings, AdapterSettings | OutsideSettings):
                raise InputError(
                    f"{folder} holds an adapter, and {run.trial.arm} trained none; name its arm "
                    "with --arm"
                )
            for loaded in each_adapter(load_arms_base(base, runtime, settings), [folder]):
                if has_tokenizer:
                    yield with_own_tokenizer(loaded, folder)
                    continue
                if template := own_template(folder):
                    loaded.tokenizer.chat_template = template
                yield loaded
            return
        own = own_dtype(folder)
        whole = ResolvedModel(reference=str(folder), path=str(folder), fingerprint="")
        yield load_base(
            whole,
            replace(runtime, dtype=own) if own else runtime,
            tokenizer_of=None if has_tokenizer else base,
        )
    except UnknownReferenceError as error:
        raise InputError(f"{folder} cannot be loaded as it is shipped: {error}") from error


__all__ = ["verify_folder", "verify_form"]
