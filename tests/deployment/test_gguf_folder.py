"""A GGUF file is held against what was scored without a rounding of the check's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter, quantize

from harness.deployment.shipped_folder import as_folder
from harness.errors import UnknownReferenceError
from harness.models.convert import weight_type


def gguf_file(path: Path, kind: GGMLQuantizationType) -> Path:
    weights = np.arange(64 * 32, dtype=np.float32).reshape(64, 32)
    writer = GGUFWriter(path, "llama")
    writer.add_tensor("norm", np.ones(32, dtype=np.float32))
    written = quantize(weights, kind)
    writer.add_tensor("weights", written, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("kind", "bits", "dtype"),
    [
        (GGMLQuantizationType.Q8_0, "GGUF Q8_0", ""),
        (GGMLQuantizationType.F16, "", "float16"),
        (GGMLQuantizationType.F32, "", "float32"),
    ],
)
def test_its_header_says_how_its_weights_are_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: GGMLQuantizationType,
    bits: str,
    dtype: str,
) -> None:
    path = gguf_file(tmp_path / "model.gguf", kind)
    taken: list[str] = []

    def convert(gguf: Path, folder: Path, dtype: str) -> Path:
        taken.append(dtype)
        return folder

    monkeypatch.setattr("harness.models.convert.convert_gguf", convert)
    for place in (path, tmp_path):
        with as_folder(place) as shipped:
            assert (shipped.bits, shipped.dtype) == (bits, dtype)
            assert shipped.megabytes == path.stat().st_size / 1e6
    assert taken == ["float32", "float32"]


def test_what_is_no_gguf_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF but not really" * 10)
    with pytest.raises(UnknownReferenceError, match=r"model.gguf: its header cannot be read"):
        weight_type(tmp_path / "model.gguf")
