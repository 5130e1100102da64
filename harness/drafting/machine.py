"""Device, memory and speed of this machine, and the size of a model."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.errors import UnknownReferenceError
from harness.models.memory import available_mib, parameters_of
from harness.models.resolve import packaged_models
from harness.models.runtime import choose_runtime
from harness.spec import ModelSpec
from harness.wording import mebibytes

_SIZE_IN_NAME = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", re.IGNORECASE)
# A GGUF file spends between 4 and 16 bits on a weight; most spend about 5.
_GGUF_BYTES = 0.65
# Of the matrices of a layer of some hundred million weights.
_PROBE = (512, 1024, 2048)
_PROBE_SECONDS = 0.05
_PROBES = 4


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that a study will run on."""

    device: str
    """Torch device string, ``cpu`` or ``cuda``."""
    dtype: str
    """Compute type of the weights, e.g. ``bfloat16``."""
    threads: int
    """Number of CPU threads."""
    available_mib: float
    """Memory (MiB) that is free now: of the GPU where one is used, else of the machine."""
    flops: float
    """Floating-point operations a second of a matrix product, measured now."""

    @property
    def is_gpu(self) -> bool:
        """Whether models compute on a GPU."""
        return self.device.startswith("cuda")

    def sentence(self) -> str:
        """What it is, in words."""
        where = "one GPU" if self.is_gpu else f"{self.threads} processor core(s), no GPU"
        return f"{where}, {mebibytes(self.available_mib)} of memory free, {self.dtype}"


@dataclass(frozen=True, slots=True)
class ModelSize:
    """How large a model is."""

    reference: str
    """The model as the user named it."""
    parameters: int | None
    """Number of weights; None where it cannot be known before the model is fetched."""
    context: int | None
    """Tokens that the model can read; None where that is not known."""
    how: str
    """How ``parameters`` are known, or why they are not, as the end of a sentence."""


def look_at_machine() -> Machine:
    """Device, memory and speed; takes a moment."""
    runtime = choose_runtime(ModelSpec(reference="any"), 1)
    return Machine(
        runtime.device,
        runtime.dtype,
        runtime.threads,
        available_mib(runtime.device),
        _measured_flops(runtime.device, runtime.dtype, runtime.threads),
    )


def look_at_model(reference: str, folder: Path) -> ModelSize:
    """How large the model is, without fetching or loading it.

    Args:
        folder: where a relative path starts.

    Raises:
        UnknownReferenceError: a path that is not there, or a name that is none of a hub.
    """
    if reference in packaged_models():
        return _by_name(reference, 8192)
    path = folder / Path(reference).expanduser()
    if path.is_dir():
        config = path / "config.json"
        known = json.loads(config.read_text("utf-8")) if config.is_file() else {}
        context = known.get("max_position_embeddings")
        counted = parameters_of(str(path)) or None
        return ModelSize(reference, counted, context, "counted in its files")
    if path.is_file():
        named = _by_name(path.name, None)
        guessed = named.parameters or round(path.stat().st_size / _GGUF_BYTES)
        return ModelSize(reference, guessed, None, "by its name or the size of its file")
    if reference.startswith((".", "/", "~")) or reference.count("/") != 1:
        raise UnknownReferenceError(
            f"model {reference!r}: no such file or folder, and no packaged model "
            f"({', '.join(packaged_models())}); a hub id reads owner/name"
        )
    return _by_name(reference, None)


def _by_name(reference: str, context: int | None) -> ModelSize:
    size = _SIZE_IN_NAME.search(reference)
    if size is None:
        return ModelSize(reference, None, context, "its name does not say it")
    scale = 1e9 if size[2].lower() == "b" else 1e6
    return ModelSize(reference, round(float(size[1]) * scale), context, "by its name")


@cache
def _measured_flops(device: str, dtype: str, threads: int) -> float:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    rows, inner, columns = _PROBE
    kind = getattr(torch, dtype)
    left = torch.ones(rows, inner, dtype=kind, device=device)
    right = torch.ones(inner, columns, dtype=kind, device=device)

    def rate() -> float:
        began, times = time.perf_counter(), 0
        while time.perf_counter() - began < _PROBE_SECONDS:
            product = left @ right
            times += 1
        # A GPU has done its work only when a value of it can be read.
        product[0, 0].item()
        return times * 2 * rows * inner * columns / (time.perf_counter() - began)

    try:
        rate()
        # Whatever else the machine does makes it slower, never faster.
        return max(rate() for _ in range(_PROBES))
    finally:
        torch.set_num_threads(before)
