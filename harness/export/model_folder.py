"""The model that a final run trained, as a folder that other programs load."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.errors import InputError, ParityError
from harness.export.base_model import base_here, public_name, runtime_here, short_name
from harness.export.destination import RECEIPT, whole_folder
from harness.export.exported import Exported, Form
from harness.export.final_run import (
    FinalRun,
    find_final_run,
    is_adapter_run,
    trained_files,
    weights_folder,
)
from harness.export.gguf import GGUF_FILE, conversion, convert_folder, needs_converter
from harness.export.parity import Parity, check_parity
from harness.records import ResolvedModel, Runtime, file_sha256, to_plain
from harness.spec.kinds import kind_info
from harness.spec.settings import AdapterSettings, OutsideSettings, Settings, settings_from
from harness.versions import __version__

if TYPE_CHECKING:
    from harness.models.load import LoadedModel

RequestedForm = Literal["trained", "merged", "gguf"]
CARD = "README.md"


def export_model(
    results: Path,
    name: str | None,
    folder: Path,
    *,
    arm: str | None = None,
    seed: int | None = None,
    form: RequestedForm = "trained",
    dtype: str | None = None,
    items: int | None = None,
    allow_differences: bool = False,
    converter: Path | None = None,
    force: bool = False,
    on_parity: Callable[[Parity], None] = lambda parity: None,
) -> Exported:
    """Write the model of a final run into a folder, whole or not at all.

    Before the folder takes its place it is loaded afresh and scored, with the study's own scorer,
    on the study's test items.

    Args:
        arm, seed: the run, as :func:`harness.export.final_run.find_final_run` takes them.
        form: ``trained`` is what training left, an adapter or a whole model; ``merged`` a whole
            model in any case; ``gguf`` that one as a GGUF file.
        dtype: type of merged weights; that of the run if None.
        items: number of test items to check, 0 for none; all if None.
        allow_differences: whether to export also what does not answer as the trial did.
        converter: llama.cpp's script that writes GGUF files.
        force: whether to replace an earlier export in ``folder``.
        on_parity: is told what the check found, before anything follows from it.

    Raises:
        InputError: nothing to export, its files are gone, ``folder`` is taken, or the options do
            not go together.
        ParityError: the exported form does not answer as the trial did; nothing was written.
    """
    run = find_final_run(results, name, arm, seed)
    held = _form_held(run, form)
    trained = _weights(run, held)
    if held == "gguf" and converter is None:
        raise needs_converter(run.analysed.study.experiment.name)
    merges = held in ("merged", "gguf")
    if dtype and not merges:
        raise InputError(
            f"--dtype is for merged weights; {run.trial.arm} is exported as it was trained"
        )
    runtime = runtime_here(run.spec.runtime)
    kept = dtype or run.spec.runtime.dtype
    base = base_here(run.spec.model)
    with whole_folder(folder, force=force) as unfinished:
        model = unfinished / "merged" if held == "gguf" else unfinished
        model.mkdir(exist_ok=True)
        settings = settings_from(run.spec.params)
        adapter = None
        if isinstance(settings, AdapterSettings | OutsideSettings) and is_adapter_run(run):
            adapter = settings
        if merges and adapter:
            _write_merged(trained, base, runtime, adapter, model, kept)
        else:
            _copy_trained(trained, base, model)
        parity = None
        if items != 0:
            own = replace(runtime, dtype=kept)
            opened = partial(_opened, base, own, None if merges else adapter, model)
            scored = partial(_as_scored, base, runtime, settings, trained)
            compared_with = scored if merges and adapter else None
            parity = check_parity(run, results, opened, compared_with, items)
            on_parity(parity)
            if parity.of_other_weights and not allow_differences:
                raise _unequal(parity, folder)
        if held == "gguf" and converter is not None:
            convert_folder(
                conversion(converter, model, unfinished / GGUF_FILE, kept), unfinished / GGUF_FILE
            )
            shutil.rmtree(model)
        exported = Exported(run, base, folder, held, kept, parity)
        _describe(exported, unfinished)
    return exported


def _form_held(run: FinalRun, asked: RequestedForm) -> Form:
    if asked == "gguf":
        return "gguf"
    if not is_adapter_run(run):
        return "full"
    return "merged" if asked == "merged" else "adapter"


def _weights(run: FinalRun, held: Form) -> Path:
    """The folder of the run's weights.

    Raises:
        InputError: there are none; or they lie elsewhere already, in the form that is asked for.
    """
    if kind_info(run.spec.kind).brought and held == "adapter":
        raise InputError(
            f"{run.trial.arm} was trained elsewhere: its weights are yours, and lie where its "
            "`path` says; --form merged writes a whole model of them"
        )
    trained = weights_folder(run)
    if trained is None:
        # Says what to do instead.
        trained_files(run)
        raise InputError(f"{run.title} trained no weights")
    return trained


def _write_merged(
    trained: Path,
    base: ResolvedModel,
    runtime: Runtime,
    adapter: AdapterSettings | OutsideSettings,
    folder: Path,
    dtype: str,
) -> None:
    from harness.models.brought import tokenizer_of
    from harness.models.trained import merged_model

    merged = merged_model(base, runtime, adapter, trained, dtype)
    merged.model.save_pretrained(folder)
    tokenizer_of(trained, base).save_pretrained(folder)


def _copy_trained(trained: Path, base: ResolvedModel, folder: Path) -> None:
    """What training left, with the tokenizer; an adapter names its base so that peft finds it."""
    from harness.models.brought import tokenizer_of
    from harness.models.load import quiet_libraries
    from harness.models.resolve import folder_files

    quiet_libraries()
    for path in folder_files(trained):
        shutil.copyfile(path, folder / path.name)
    tokenizer_of(trained, base).save_pretrained(folder)
    config = folder / "adapter_config.json"
    if config.is_file():
        values = json.loads(config.read_text(encoding="utf-8"))
        values["base_model_name_or_path"] = public_name(base) or base.path
        values["revision"] = base.revision or None
        config.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@contextmanager
def _as_scored(
    base: ResolvedModel, runtime: Runtime, settings: Settings, folder: Path
) -> Iterator[LoadedModel]:
    """The run's weights as the trial scored them."""
    from harness.models.base_cache import BaseCache
    from harness.models.trained import trained_model

    with trained_model(base, runtime, settings, folder, BaseCache(most=0)) as loaded:
        yield loaded


@contextmanager
def _opened(
    base: ResolvedModel,
    runtime: Runtime,
    adapter: AdapterSettings | OutsideSettings | None,
    folder: Path,
) -> Iterator[LoadedModel]:
    """The model that ``folder`` holds, an adapter on the base that it names itself.

    Args:
        adapter: The adapter's setting; None where the folder holds a whole model.
    """
    from harness.models.adapters import each_adapter
    from harness.models.load import load_arms_base
    from harness.models.trained import load_whole, with_own_tokenizer

    if adapter is None:
        yield load_whole(folder, runtime)
        return
    under = load_arms_base(_named_base(base, folder), runtime, adapter)
    for loaded in each_adapter(under, [folder]):
        exported = (folder / "tokenizer_config.json").is_file()
        yield with_own_tokenizer(loaded, folder) if exported else loaded


def _named_base(base: ResolvedModel, folder: Path) -> ResolvedModel:
    values = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    return replace(
        base, path=values["base_model_name_or_path"], revision=values.get("revision") or ""
    )


def _unequal(parity: Parity, folder: Path) -> ParityError:
    apart = parity.different - parity.near_ties
    what = f"{apart} of {parity.items} test items are not answered or scored as in the trial"
    gaps = [gap for one in parity.differences if (gap := one.likelihood_gap) is not None]
    if not apart:
        what = (
            "the replies are those of the trial, but how sure the model is of them is not (by "
            f"{parity.confidence_shift:.2g} nats)"
        )
    elif parity.tolerance is not None and max(gaps, default=0.0) > parity.tolerance:
        what += (
            f", and not by rounding: it finds one reply up to {max(gaps):.2g} nats likelier than "
            f"the other, where rounding moves {parity.tolerance:.2g} at most"
        )
    return ParityError(
        f"{what}; so {folder} was not written. Weights in float32 are closest to what was scored "
        "(--dtype float32, for merged weights); --allow-differences exports it as it is, with "
        "the differences in its README.md"
    )


def _describe(exported: Exported, folder: Path) -> None:
    """Write the model card and the receipt, which names every file with its hash."""
    from harness.export.model_card import model_card

    (folder / CARD).write_text(model_card(exported), encoding="utf-8")
    run, base = exported.run, exported.base
    record = run.analysed.study.experiment
    parity = to_plain(exported.parity) if exported.parity else None
    if parity:
        # Replies may hold the user's texts; which items differ is enough.
        parity["differences"] = [
            {
                name: value
                for name, value in difference.items()
                if name not in ("trial_output", "exported_output")
            }
            for difference in parity["differences"]
        ]
    receipt = {
        "harness": __version__,
        "study": record.name,
        "experiment_id": record.experiment_id,
        "trial_id": run.trial.trial_id,
        "arm": run.trial.arm,
        "kind": run.trial.kind,
        "seed": run.trial.seed,
        "form": exported.form,
        "dtype": exported.dtype,
        "base": {
            "reference": short_name(base),
            "revision": base.revision,
            "fingerprint": base.fingerprint,
        },
        "parity": parity,
        "files": {
            path.relative_to(folder).as_posix(): file_sha256(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    }
    text = json.dumps(receipt, indent=2, ensure_ascii=False)
    (folder / RECEIPT).write_text(text + "\n", encoding="utf-8")


__all__ = ["RequestedForm", "export_model"]
