"""A folder, or a quantised form of the winner, held against the final run that it is made of."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, get_args

from harness.deployment.agreement import ReplyPair, ScoredItem, agreement, scored_items
from harness.deployment.endings import culprits_of_endings
from harness.deployment.finalist import Progress, replies_of
from harness.deployment.hypotheses import WEIGHED
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
    log_look,
    log_result,
)
from harness.errors import InputError, SpecError, UnknownReferenceError
from harness.export.asking import Asking
from harness.export.base_model import base_here, runtime_here
from harness.export.final_run import FinalRun, brought_folder, trained_files
from harness.export.near_ties import TwoReplies, likelihood_gaps, tie_tolerance
from harness.records import ARTIFACT, ResolvedModel
from harness.spec.kinds import kind_info
from harness.spec.settings import AdapterSettings, BroughtSettings, settings_from

if TYPE_CHECKING:
    from harness.models.load import LoadedModel, Quantisation
    from harness.trial.candidate import Candidate

Form = Literal["float32", "bfloat16", "8-bit", "4-bit"]
FORMS: tuple[Form, ...] = get_args(Form)
_BITS: dict[Form, Quantisation] = {"8-bit": "int8", "4-bit": "nf4"}
# Requests of a batch whose speed is measured, each on so many items at most.
BATCHES, TIMED = (1, 4, 16), 16


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
    with _as_folder(folder) as place, _loaded_folder(run, place) as loaded:
        return _verified(run, loaded, scored, f"the folder {folder}", place, on_progress)


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
    what = f"{'merged, ' if _is_adapter(run) else ''}{form}"
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
    folder: Path | None,
    on_progress: Progress,
    form: Form | None = None,
) -> Verification:
    import torch

    from harness.trial.candidate import candidate_of

    log_look(run, what)
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
    culprits = list(_of_numbers(run, loaded, folder, form))
    if folder is not None:
        culprits += _of_settings(run, candidate, folder, scored)
    if found.apart:
        culprits += culprits_of_endings(found.apart)
        if not any(culprit.explains for culprit in culprits):
            culprits += _of_weights(candidate, found.apart, form is not None)
    done = Verification(
        run,
        what,
        found,
        _loads(candidate, scored),
        each_once(culprits),
        megabytes=loaded.model.get_memory_footprint() / 1e6,
    )
    log_result(done)
    return done


def _of_numbers(
    run: FinalRun, loaded: LoadedModel, folder: Path | None, form: Form | None
) -> Iterator[Culprit]:
    bits = quantised_as(folder) if folder is not None else form if form in _BITS else ""
    if bits:
        yield Culprit(
            "quantisation",
            f"the weights are quantised ({bits}), and those that were scored are in "
            f"{run.spec.runtime.dtype}",
        )
        return
    kind = str(loaded.model.dtype).removeprefix("torch.")
    if kind != run.spec.runtime.dtype:
        yield Culprit(
            "number format",
            f"the weights are in {kind}, and those that were scored in {run.spec.runtime.dtype}",
        )


def _of_settings(
    run: FinalRun, candidate: Candidate, folder: Path, scored: Sequence[ScoredItem]
) -> Iterator[Culprit]:
    from harness.trial.candidate import answer_room

    items = [one.item for one in scored]
    asking = Asking.of(run)
    renderer = candidate.renderer
    yield from culprits_of_prompts(asking, renderer, candidate.loaded.tokenizer, items)
    if (folder / "config.json").is_file():
        room = candidate.task.max_new_tokens or answer_room(renderer, candidate.split)
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
    for size in BATCHES:
        if size > len(items):
            break
        runtime = replace(candidate.spec.runtime, score_batch_size=size)
        sized = replace(candidate, spec=replace(candidate.spec, runtime=runtime))
        seconds = []
        for start in range(0, len(items) - size + 1, size):
            began = time.perf_counter()
            replies_of(sized, items[start : start + size], lambda done, total: None)
            seconds.append(time.perf_counter() - began)
        loads.append(load_of(size, size * len(seconds), seconds, sum(seconds)))
    return tuple(loads)


@contextmanager
def _as_folder(path: Path) -> Iterator[Path]:
    """The folder with weights that transformers reads; of a GGUF file they are taken out of it."""
    from harness.models.convert import convert_gguf

    gguf = path if path.suffix == ".gguf" else None
    if path.is_dir() and not list(path.glob("*.safetensors")):
        gguf = next(iter(sorted(path.glob("*.gguf"))), None)
    if gguf is not None and gguf.is_file():
        with TemporaryDirectory() as place:
            yield convert_gguf(gguf, Path(place) / "model")
        return
    if not path.is_dir():
        raise InputError(f"{path}: there is no such folder, and no such GGUF file")
    yield path


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
            if not isinstance(settings, AdapterSettings | BroughtSettings):
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


@contextmanager
def loaded_form(run: FinalRun, form: Form) -> Iterator[LoadedModel]:
    """The run's own model in another form.

    Raises:
        InputError: its weights are gone, or this machine cannot hold them so.
    """
    from harness.models.brought import tokenizer_of
    from harness.models.load import load_base, quiet_libraries
    from harness.models.trained import merged_model

    quiet_libraries()
    runtime = runtime_here(run.spec.runtime)
    base = base_here(run.spec.model)
    settings = settings_from(run.spec.params)
    dtype = form if form in ("float32", "bfloat16") else run.spec.runtime.dtype
    quantisation = _BITS.get(form, "none")
    kind, trained = kind_info(run.spec.kind), run.folder / ARTIFACT
    if kind.trains:
        trained_files(run)
    elif kind.brought:
        trained = brought_folder(run)
    with TemporaryDirectory() as place:
        path = str(trained) if kind.trains or kind.brought else base.path
        try:
            if isinstance(settings, AdapterSettings | BroughtSettings) and _is_adapter(run):
                merged = merged_model(base, runtime, settings, trained, dtype)
                merged.model.save_pretrained(place)
                path = place
            model = replace(base, reference=form, path=path, revision="")
            loaded = load_base(
                model, replace(runtime, dtype=dtype), quantisation, tokenizer_of=base
            )
            if kind.brought:
                loaded = replace(loaded, tokenizer=tokenizer_of(trained, base))
            yield loaded
        except UnknownReferenceError as error:
            raise InputError(f"{form}: {error}") from error


def _is_adapter(run: FinalRun) -> bool:
    """Whether what was scored is an adapter, trained by the study or elsewhere."""
    from harness.models.brought import is_adapter

    kind = kind_info(run.spec.kind)
    return kind.adapts or (kind.brought and is_adapter(Path(run.spec.trained_path)))


__all__ = ["FORMS", "Form", "loaded_form", "verify_folder", "verify_form"]
