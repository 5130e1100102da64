"""Turn a GGUF file into a folder of safetensors, once."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from harness.errors import UnknownReferenceError


def weight_type(gguf: Path) -> str:
    """The type of most numbers of a file's weights, as its header has it, such as ``Q8_0``.

    Raises:
        UnknownReferenceError: it is no GGUF file.
    """
    from gguf import GGUFReader

    numbers: Counter[str] = Counter()
    try:
        for tensor in GGUFReader(gguf).tensors:
            numbers[tensor.tensor_type.name] += int(tensor.n_elements)
        return numbers.most_common(1)[0][0]
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise UnknownReferenceError(f"{gguf}: its header cannot be read: {error}") from error


def convert_gguf(
    gguf: Path, folder: Path, dtype: Literal["float32", "bfloat16"] = "bfloat16"
) -> Path:
    """De-quantise ``gguf`` into ``folder``: safetensors, configuration, tokenizer.

    The folder appears only when whole; an existing one is returned as it is. transformers
    refuses to save a model that it loaded from GGUF, whose configuration still claims to be
    quantised; so the weights move into a fresh model of the same, cleaned configuration.

    Args:
        dtype: number format of the weights there.

    Raises:
        UnknownReferenceError: the file is not a GGUF model that transformers can read.
    """
    if (folder / "config.json").exists():
        return folder
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder.parent.mkdir(parents=True, exist_ok=True)
    where: dict[str, Any] = {
        "pretrained_model_name_or_path": str(gguf.parent),
        "gguf_file": gguf.name,
        # Else transformers asks at the terminal about code that lies beside the file.
        "trust_remote_code": False,
    }
    try:
        loaded = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(**where)
        config = AutoConfig.from_pretrained(**where)
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise UnknownReferenceError(
            f"{gguf}: not a GGUF file of a causal language model that can be read: {error}"
        ) from error
    for name in ("quantization_config", "_name_or_path"):
        with contextlib.suppress(AttributeError):
            delattr(config, name)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    missing, unexpected = model.load_state_dict(loaded.state_dict(), strict=False)
    tied = set(getattr(model, "_tied_weights_keys", None) or ())
    lost = [name for name in (*missing, *unexpected) if name not in tied]
    if lost:
        raise UnknownReferenceError(f"{gguf}: weights without a place in the model: {lost[:5]}")
    model.tie_weights()
    model.to(getattr(torch, dtype))
    model.config.dtype = getattr(torch, dtype)
    partial = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        model.save_pretrained(partial, safe_serialization=True)
        tokenizer.save_pretrained(partial)
        (partial / "converted_from.json").write_text(json.dumps({"gguf": gguf.name}))
        # Another process may have finished first; its result is as good.
        with contextlib.suppress(OSError):
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder
