"""How far training moved the model's language: divergence from its base, on general text and on
the task's own inputs.

The measure is KL(base || candidate) of the next-token distributions, in nats per token: 0 where
training changed nothing. It sees drift that right and wrong answers are too coarse for. On the
task's inputs it foretells forgetting ("RL's Razor", arXiv 2509.04259).
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.answers.metrics import KL_TO_BASE
from harness.evaluation.suites.find import build_general_task, item_identity, load_suite
from harness.prompting.encoding import TextEncoder
from harness.prompting.render import PromptRenderer
from harness.records import (
    Example,
    ItemOutput,
    ItemScore,
    ModelWork,
    ScoreRecord,
    ScoreRequest,
    content_hash,
)

if TYPE_CHECKING:
    import torch

METRIC = KL_TO_BASE.name
POSITIONS = 1024
LONGEST = 64


@dataclass(frozen=True, slots=True)
class Passage:
    """The head of one text."""

    doc_hash: str
    """The hash of the text, the key by which arms are paired."""
    item_id: str
    """Id of the text in its suite or data set."""
    cluster: str
    """Cluster of the text; texts of one cluster are resampled together."""
    tokens: tuple[int, ...]
    """Token ids of the head."""
    positions: tuple[int, ...]
    """Places, from 0 and rising, at which the next token is predicted."""


class BaseDistributions:
    """Next-token distributions of the base on the passages of a request, to compare with later.

    They are taken when this is made, of ``model`` as it then is, and kept as float32
    log-probabilities in a file without a name in ``folder``: in memory they would count as
    memory of the training that comes between.
    """

    def __init__(
        self, request: ScoreRequest, base_passages: Sequence[Passage], model: Any, folder: Path
    ) -> None:
        from harness.models.tree_pass import evaluating

        self._request = request
        self._passages = base_passages
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open until compared
        with evaluating(model):
            for passage in self._passages:
                log_probabilities(model, passage).cpu().numpy().tofile(self._file)
        self._file.flush()

    def compare(self, model: Any, form: str) -> ScoreRecord:
        """Mean divergence of ``model`` from the base over the positions of each text."""
        from harness.models.tree_pass import evaluating

        began = time.perf_counter()
        with evaluating(model):
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
            work=ModelWork(
                passes=len(self._passages),
                read=sum(len(passage.tokens) for passage in self._passages),
                predicted=sum(len(passage.positions) for passage in self._passages),
            ),
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
    by_key: dict[str, Passage] = {}
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
        by_key[key] = Passage(key, *item_identity(doc), tokens, tuple(places.tolist()))
    if not by_key:
        raise ValueError(f"task {request.task} of {request.suite_path} has no text")
    return list(by_key.values())


def task_passages(
    items: Sequence[Example], renderer: PromptRenderer, context: int | None
) -> list[Passage]:
    """Items of the task, each as its prompt and its reference answer, cut to ``context`` tokens.

    Predictions are compared from the item's first own token to the last but one of its answer,
    at no more than 1,024 positions in all, spread evenly. What stands before (instruction, worked
    examples) is not the item's, and would count again with each. The answer is the reference one,
    since each model would reply with another, and what they replied would not be compared on one
    text; what follows the end of an answer is never written.
    """
    share = max(1, POSITIONS // max(1, len(items)))
    item_passages = []
    for item in items:
        encoded = renderer.encode(item)
        tokens = (encoded.prompt + encoded.answer)[:context]
        last = len(tokens) - 2
        first = min(renderer.opening(item), last)
        places = np.linspace(first, last, min(share, last - first + 1)).round().astype(int)
        key = content_hash([item.id], 16)
        item_passages.append(Passage(key, item.id, item.group, tokens, tuple(places.tolist())))
    return item_passages


def log_probabilities(model: Any, passage: Passage) -> torch.Tensor:
    """Log-probabilities of the next token, shape (positions, vocabulary), float32, nats."""
    import torch

    from harness.models.tree_pass import logits_at

    with torch.inference_mode():
        ids = torch.tensor([passage.tokens], device=model.device)
        logits = logits_at(model, torch.tensor(passage.positions, device=ids.device), input_ids=ids)
        return torch.log_softmax(logits[0].float(), dim=-1)


def divergence(base: torch.Tensor, candidate: torch.Tensor) -> float | None:
    """Mean KL(base || candidate) over positions, nats; None where it is not a number.

    Args:
        base, candidate: log-probabilities, shape (positions, vocabulary). The candidate may know
            tokens more, after the base's: the base gives them no probability, so they add nothing.
    """
    base = base.to(candidate.device)
    each = (base.exp() * (base - candidate[..., : base.shape[-1]])).sum(dim=-1)
    value = float(each.mean())
    # Rounding can take the divergence of equals a hair below 0.
    return max(value, 0.0) if math.isfinite(value) else None
