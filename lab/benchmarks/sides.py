"""A benchmark's two sides: a model for the product, and one for lm-eval's own HFLM."""

from __future__ import annotations

import contextlib
import io

from lm_eval.models.huggingface import HFLM

from harness.models.load import LoadedModel, load_base
from harness.records import ResolvedModel, Runtime


def loaded_apart(resolved: ResolvedModel, runtime: Runtime) -> tuple[LoadedModel, LoadedModel]:
    """The model for the product and, loaded again, for the peer.

    What the product does to its model must not speed up the peer.
    """
    ours, theirs = load_base(resolved, runtime), load_base(resolved, runtime)
    theirs.model.get_output_embeddings()._forward_pre_hooks.clear()
    return ours, theirs


def peer_of(loaded: LoadedModel, rows: int | str) -> HFLM:
    """lm-eval's model, which prints what it finds."""
    with contextlib.redirect_stdout(io.StringIO()):
        return HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=rows)
