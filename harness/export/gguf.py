"""A merged folder as a GGUF file, by the converter of llama.cpp.

The converter is a script of that project's sources, which publishes no package of it; so it is
the user's, named by its path.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import InputError

GGUF_FILE = "model.gguf"
SCRIPT = "convert_hf_to_gguf.py"
OUTPUT_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
SHOWN_LINES = 15


def conversion(converter: Path, model: Path, gguf: Path, dtype: str) -> list[str]:
    """The command that converts the folder ``model`` to the file ``gguf``."""
    program = [sys.executable] if converter.suffix == ".py" else []
    return [
        *program,
        str(converter),
        str(model),
        "--outfile",
        str(gguf),
        "--outtype",
        OUTPUT_TYPES.get(dtype, "auto"),
    ]


def needs_converter(study: str) -> InputError:
    """What to do where no converter is named."""
    return InputError(
        "a GGUF file is written by llama.cpp's converter, which no package index has from its "
        "makers. Get the sources (github.com/ggml-org/llama.cpp) and name the script: --converter "
        f"llama.cpp/{SCRIPT}. Or do it by hand: harness export model {study} --form merged --out "
        f"merged, then: python llama.cpp/{SCRIPT} merged --outfile {GGUF_FILE} --outtype auto"
    )


def convert_folder(command: Sequence[str], gguf: Path) -> None:
    """Run the converter.

    Raises:
        InputError: it cannot be run, fails, or writes no GGUF file; with its last lines.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise InputError(f"the converter cannot be run: {error}") from error
    written = gguf.is_file() and gguf.open("rb").read(4) == b"GGUF"
    if done.returncode or not written:
        last_lines = "\n".join((done.stdout + done.stderr).splitlines()[-SHOWN_LINES:])
        what = f"ended with {done.returncode}" if done.returncode else "wrote no GGUF file"
        raise InputError(f"the converter {what}: {' '.join(command)}\n{last_lines}")


__all__ = ["GGUF_FILE", "SCRIPT", "conversion", "convert_folder", "needs_converter"]
