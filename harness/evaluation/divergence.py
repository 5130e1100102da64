"""How far training moved the model's language: divergence from its base on general text.

The measure is KL(base || candidate) of the next-token distributions, in nats per token: 0 where
training changed nothing. It sees drift that right and wrong answers are too coarse for.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.evaluation.suites import build_general_task, item_identity, load_suite
from harness.prompting.encoding import TextEncoder
from harness.records import ItemOutput, ItemScore, ScoreRecord, ScoreRequest

if TYPE_CHECKING:
    import torch

METRIC = "kl_to_base"
POSITIONS = 1024
LONGEST = 64


@dataclass(frozen=True, slots=True)
class Passage:
    """The head of one text. positions: where the next token is predicted, rising, from 0."""

    doc_hash: str
    item_id: str
    cluster: str
    tokens: tuple[int, ...]
    positions: tuple[int, ...]


class BaseDistributions:
    """Next-token distributions of the base on the texts of a request, to compare with later.

    They are taken when this is made, of ``model`` as it then is, and kept as float32
    log-probabilities in a file without a name in ``folder``: in memory they would count as
    memory of the training that comes between.
    """

    def __init__(self, request: ScoreRequest, model: Any, tokenizer: Any, folder: Path) -> None:
        self._request = request
        self._passages = passages(request, tokenizer)
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open until compared
        for passage in self._passages:
            log_probabilities(model, passage).cpu().numpy().tofile(self._file)
        self._file.flush()

    def compare(self, model: Any, form: str) -> ScoreRecord:
        """Mean divergence of ``model`` from the base over the positions of each text."""
        began = time.perf_counter()
        values = [
            divergence(base, log_probabilities(model, passage))
            for base, passage in zip(self._of_base(), self._passages, strict=True)
        ]
        finite = [value for value in values if value is not None]
        return ScoreRecord(
            key=self._request.key,
            task=self._request.task,
            suite=self._request.suite,
            split=self._request.split,
            form=form,
            seconds=time.perf_counter() - began,
            outputs=tuple(
                ItemOutput(p.doc_hash, p.item_id, p.cluster, "", "", len(p.tokens), 0)
                for p in self._passages
            ),
            item_scores=tuple(
                ItemScore(passage.doc_hash, "none", METRIC, value)
                for passage, value in zip(self._passages, values, strict=True)
            ),
            aggregates={METRIC: sum(finite) / len(finite)} if finite else {},
            higher_is_better={METRIC: False},
        )

    def _of_base(self) -> Iterator[torch.Tensor]:
        import torch

        size = self._file.seek(0, 2) // np.dtype(np.float32).itemsize
        vocabulary = size // sum(len(passage.positions) for passage in self._passages)
        self._file.seek(0)
        for passage in self._passages:
            count = len(passage.positions) * vocabulary
            read = np.fromfile(self._file, dtype=np.float32, count=count)
            yield torch.from_numpy(read.reshape(-1, vocabulary))


def passages(request: ScoreRequest, tokenizer: Any) -> list[Passage]:
    """The texts of a request's task, cut to 64 tokens, with at most 1,024 positions in all.

    Few positions of many texts say more than many of a few: positions are spread evenly over
    each text, and the texts, where there are more of them than positions, over the task.

    Raises:
        ValueError: no text has a token.
    """
    from lm_eval.utils import handle_non_serializable, hash_string

    task = build_general_task(load_suite(Path(request.suite_path)), request.task, request.limit)
    found: dict[str, Passage] = {}
    docs = list(task.eval_docs)
    share = max(1, POSITIONS // max(1, len(docs)))
    encode = TextEncoder(tokenizer)
    for doc in docs[:: math.ceil(len(docs) / POSITIONS) or 1]:
        tokens = encode(str(task.doc_to_target(doc)))[:LONGEST]
        if not tokens:
            continue
        text = json.dumps(doc, indent=2, default=handle_non_serializable, ensure_ascii=False)
        key = str(hash_string(text))
        places = np.linspace(0, len(tokens) - 1, min(share, len(tokens))).round().astype(int)
        found[key] = Passage(key, *item_identity(doc), tokens, tuple(places.tolist()))
    if not found:
        raise ValueError(f"task {request.task} of {request.suite_path} has no text")
    return list(found.values())


def log_probabilities(model: Any, passage: Passage) -> torch.Tensor:
    """Log-probabilities of the next token, shape (positions, vocabulary), float32, nats."""
    import torch

    model.eval()
    with torch.inference_mode():
        ids = torch.tensor([passage.tokens], device=model.device)
        logits = model(input_ids=ids).logits[0, list(passage.positions)]
        return torch.log_softmax(logits.float(), dim=-1)


def divergence(base: torch.Tensor, candidate: torch.Tensor) -> float | None:
    """Mean KL(base || candidate) over positions, nats; None where it is not a number.

    base, candidate: log-probabilities, shape (positions, vocabulary).
    """
    base = base.to(candidate.device)
    each = (base.exp() * (base - candidate)).sum(dim=-1)
    value = float(each.mean())
    # Rounding can take the divergence of equals a hair below 0.
    return max(value, 0.0) if math.isfinite(value) else None
