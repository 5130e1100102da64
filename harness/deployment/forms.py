"""A final run's own model in other forms: in another number format, or with fewer bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, get_args

from harness.deployment.agreement import ReplyPair
from harness.deployment.hypotheses import reproduced
from harness.errors import InputError, UnknownReferenceError
from harness.export.base_model import base_here, runtime_here
from harness.export.final_run import FinalRun, is_adapter_run, weights_folder
from harness.spec.settings import AdapterSettings, OutsideSettings, settings_from

if TYPE_CHECKING:
    from harness.models.load import LoadedModel, Quantisation

Form = Literal["float32", "bfloat16", "8-bit", "4-bit"]
FORMS: tuple[Form, ...] = get_args(Form)
BITS: dict[Form, Quantisation] = {"8-bit": "int8", "4-bit": "nf4"}


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
    quantisation = BITS.get(form, "none")
    trained = weights_folder(run)
    with TemporaryDirectory() as place:
        path = str(trained) if trained else base.path
        try:
            adapter = trained if is_adapter_run(run) else None
            if adapter and isinstance(settings, AdapterSettings | OutsideSettings):
                merged = merged_model(base, runtime, settings, adapter, dtype)
                merged.model.save_pretrained(place)
                path = place
            model = replace(base, reference=form, path=path, revision="")
            loaded = load_base(
                model, replace(runtime, dtype=dtype), quantisation, tokenizer_of=base
            )
            if trained:
                loaded = replace(loaded, tokenizer=tokenizer_of(trained, base))
            yield loaded
        except UnknownReferenceError as error:
            raise InputError(f"{form}: {error}") from error


def given_by(run: FinalRun, form: Form, pairs: Sequence[ReplyPair]) -> int | None:
    """How many of the replies the run's model gives in another form; None where it cannot be."""
    from harness.trial.candidate import candidate_of

    try:
        with loaded_form(run, form) as loaded:
            spec = replace(run.spec, runtime=runtime_here(run.spec.runtime))
            candidate = candidate_of(spec, loaded)
            return reproduced(candidate, pairs, candidate.renderer.encode_prompt)
    except (InputError, RuntimeError):
        # Not here, or too large beside what is loaded.
        return None


__all__ = ["BITS", "FORMS", "Form", "given_by", "loaded_form"]
