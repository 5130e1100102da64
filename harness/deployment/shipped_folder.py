"""What is shipped, opened: an adapter, a whole model, or a GGUF file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from harness.deployment.shipped import own_dtype, quantised_as
from harness.errors import InputError, UnknownReferenceError
from harness.export.base_model import base_here, runtime_here
from harness.export.final_run import FinalRun
from harness.records import ResolvedModel
from harness.spec.settings import AdapterSettings, OutsideSettings, settings_from

if TYPE_CHECKING:
    from harness.models.load import LoadedModel

# Type of a GGUF file's weights that are not quantised -> number format.
_GGUF_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True, slots=True)
class Shipped:
    """What is shipped, in a folder that transformers reads."""

    folder: Path
    """The folder."""
    bits: str
    """How its weights are quantised, in its own words; empty where they are not."""
    gguf: Path | None = None
    """The GGUF file that it was taken out of; None where it was not."""
    dtype: str = ""
    """Number format of that file; empty where it is quantised, or there is none."""

    @property
    def megabytes(self) -> float | None:
        """Size of the GGUF file, MB; None where there is none."""
        return self.gguf.stat().st_size / 1e6 if self.gguf else None


@contextmanager
def as_folder(path: Path) -> Iterator[Shipped]:
    """The folder with weights that transformers reads; of a GGUF file they are taken out of it.

    Raises:
        InputError: there is no such folder or file.
    """
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
            yield Shipped(folder, bits, gguf, dtype)
        return
    if not path.is_dir():
        raise InputError(f"{path}: there is no such folder, and no such GGUF file")
    yield Shipped(path, quantised_as(path))


@contextmanager
def loaded_folder(run: FinalRun, shipped: Shipped) -> Iterator[LoadedModel]:
    """The model that is shipped, with its own tokenizer and template where it brings them.

    It computes in its own number format.

    Raises:
        InputError: it holds none, or an adapter where the run trained none.
    """
    from harness.models.adapters import each_adapter
    from harness.models.brought import own_template
    from harness.models.load import load_arms_base, load_base, quiet_libraries
    from harness.models.trained import with_own_tokenizer

    quiet_libraries()
    folder = shipped.folder
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
        # Of a file in the format of what was scored every other one would compute otherwise.
        own = runtime.dtype if shipped.dtype == runtime.dtype else own_dtype(folder)
        whole = ResolvedModel(reference=str(folder), path=str(folder), fingerprint="")
        yield load_base(
            whole,
            replace(runtime, dtype=own) if own else runtime,
            tokenizer_of=None if has_tokenizer else base,
        )
    except UnknownReferenceError as error:
        raise InputError(f"{folder} cannot be loaded as it is shipped: {error}") from error


__all__ = ["Shipped", "as_folder", "loaded_folder"]
