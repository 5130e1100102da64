"""Whether an exported form answers as the trial did: its test items again, one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from harness.answers.metrics import CONFIDENCE
from harness.data import read_examples_file
from harness.data.examples_file import write_examples
from harness.errors import InputError
from harness.export.final_run import FinalRun
from harness.records import Example, ScoreRecord, ScoreRequest
from harness.store import STORE_FILE, StoreReader
from harness.trial.candidate import Candidate, TrialRun, candidate_of
from harness.trial.scoring import score_all
from harness.versions import environment_versions

if TYPE_CHECKING:
    from harness.models.load import LoadedModel

Values = dict[tuple[str, str], float | None]


@dataclass(frozen=True, slots=True)
class ItemDifference:
    """An item that the exported form answers, or is scored, otherwise than the trial."""

    item_id: str
    """Id of the item."""
    trial_output: str
    """What the trial replied."""
    exported_output: str
    """What the exported form replied."""
    score_difference: float
    """Largest difference over all metrics; infinite where only one of the two has a value."""


@dataclass(frozen=True, slots=True)
class Parity:
    """The exported form, loaded afresh, against the scores that the store holds."""

    items: int
    """Number of test items compared."""
    test_items: int
    """Number of test items in all."""
    same_replies: int
    """Items answered letter by letter as in the trial."""
    same_scores: int
    """Items with the same value under every metric."""
    equal: int
    """Items for which both hold."""
    largest_score_difference: float
    """Largest difference over items and metrics, in the metric's unit."""
    largest_likelihood_difference: float | None
    """Largest difference over items of the right answer's log-likelihood (nats) under the trained
    and the exported form; None where the weights are the trial's own files."""
    metric: str
    """The study's primary metric."""
    trial_mean: float
    """Mean of ``metric`` over the items compared, as the trial had it."""
    exported_mean: float
    """The same mean of the exported form."""
    dtype: str
    """Type of the weights in the check."""
    device: str
    """Device of the check."""
    differences: tuple[ItemDifference, ...]
    """Items that are not equal."""
    circumstances: tuple[str, ...]
    """What else differs between the check and the trial, a sentence each."""

    @property
    def different(self) -> int:
        """Number of items that are not equal."""
        return self.items - self.equal


Opened = Callable[[], "AbstractContextManager[LoadedModel]"]


def check_parity(
    run: FinalRun, results: Path, exported: Opened, trained: Opened | None, limit: int | None
) -> Parity:
    """Score the exported form on the run's test items and compare.

    What shares a batch can move a score a little, so that all items are the fairest check.

    Args:
        exported: opens the exported form, loaded afresh.
        trained: opens the form that the trial scored, for log-likelihoods; None where the
            exported weights are that form's own.
        limit: number of items to compare, spread evenly over the test set; None for all.

    Raises:
        InputError: the trial has no score on test, or its items are gone.
    """
    import torch

    request = _test_request(run)
    all_items = read_examples_file(Path(request.items_path))
    items = _sample(all_items, limit)
    if run.spec.runtime.threads:
        torch.set_num_threads(run.spec.runtime.threads)
    torch.manual_seed(run.spec.seed)
    with exported() as loaded:
        candidate = candidate_of(run.spec, loaded)
        rescored = _score(candidate, request, items)
        after = _likelihoods(candidate, items) if trained else []
        dtype = str(loaded.model.dtype).removeprefix("torch.")
        device = str(loaded.model.device)
    before: list[float] = []
    if trained:
        with trained() as loaded:
            before = _likelihoods(candidate_of(run.spec, loaded), items)
    moved = max((abs(a - b) for a, b in zip(after, before, strict=True)), default=None)
    compared = _compare(_stored(results, request.key), rescored, run.metric)
    return replace(
        compared,
        test_items=len(all_items),
        largest_likelihood_difference=moved,
        dtype=dtype,
        device=device,
        circumstances=tuple(_circumstances(run, dtype, device, len(items) < len(all_items))),
    )


def _test_request(run: FinalRun) -> ScoreRequest:
    for request in run.spec.scores:
        if (request.suite, request.split) == ("domain", "test"):
            return request
    raise InputError(f"{run.title}: the trial was not scored on the test set")


def _sample(items: Sequence[Example], limit: int | None) -> Sequence[Example]:
    if limit is None or limit >= len(items):
        return items
    return [items[place * len(items) // limit] for place in range(limit)]


def _score(candidate: Candidate, request: ScoreRequest, items: Sequence[Example]) -> ScoreRecord:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "items.parquet"
        write_examples(path, items)
        asked = replace(request, items_path=str(path))
        candidate.spec = replace(candidate.spec, scores=(asked,), known_scores=(), pruning=None)
        run = TrialRun()
        score_all(candidate, run, lambda *args, **more: None)
    (score,) = run.scores
    return score


def _likelihoods(candidate: Candidate, items: Sequence[Example]) -> list[float]:
    """Log-likelihood (nats) of each item's right answer after its prompt."""
    from harness.evaluation.local.answer_likelihood import likelihoods
    from harness.evaluation.local.candidate_lm import CandidateLM
    from harness.models.packed_weights import packed_weights

    loaded, renderer, runtime = candidate.loaded, candidate.renderer, candidate.spec.runtime
    lm = CandidateLM(loaded.model, loaded.tokenizer, runtime.score_batch_size)
    asked = [(renderer.prompt(item), renderer.reply(item.answer)) for item in items]
    with packed_weights(loaded.model, runtime.memory_share):
        return likelihoods(lm, asked)


@dataclass(frozen=True, slots=True)
class _Answered:
    """One item of a score."""

    item_id: str
    """Id of the item."""
    output: str
    """The reply."""
    values: Values
    """Filter and metric -> value; None where the item could not be scored."""


def _stored(results: Path, key: str) -> dict[str, _Answered]:
    """What the store holds of a score, by lm-eval's hash of the item."""
    reader = StoreReader(results / STORE_FILE)
    outputs = reader.query(
        "SELECT doc_hash, item_id, output FROM item_output WHERE score_key = ?", [key]
    )
    scores = reader.query(
        "SELECT doc_hash, filter, metric, value FROM item_score WHERE score_key = ?", [key]
    )
    return _by_item(outputs.named, scores.named)


def _by_item(
    outputs: Iterable[Mapping[str, Any]], scores: Iterable[Mapping[str, Any]]
) -> dict[str, _Answered]:
    answered = {row["doc_hash"]: _Answered(row["item_id"], row["output"], {}) for row in outputs}
    for row in scores:
        # How sure a model is rests on every digit; whether it answers alike does not.
        if row["metric"] != CONFIDENCE.name:
            answered[row["doc_hash"]].values[row["filter"], row["metric"]] = row["value"]
    return answered


def _compare(stored: Mapping[str, _Answered], rescored: ScoreRecord, metric: str) -> Parity:
    again = _by_item(map(asdict, rescored.outputs), map(asdict, rescored.item_scores))
    if unknown := again.keys() - stored.keys():
        raise InputError(
            f"{len(unknown)} of {len(again)} test items are not those that the trial answered; the "
            "file of test items was changed: run the experiment again"
        )
    differences: list[ItemDifference] = []
    same_replies = same_scores = 0
    for doc, now in again.items():
        then = stored[doc]
        apart = _largest_gap(then.values, now.values)
        same_replies += now.output == then.output
        same_scores += apart == 0
        if apart or now.output != then.output:
            differences.append(ItemDifference(now.item_id, then.output, now.output, apart))
    return Parity(
        items=len(again),
        test_items=len(again),
        same_replies=same_replies,
        same_scores=same_scores,
        equal=len(again) - len(differences),
        largest_score_difference=max(
            (difference.score_difference for difference in differences), default=0.0
        ),
        largest_likelihood_difference=None,
        metric=metric,
        trial_mean=_mean((stored[doc] for doc in again), metric),
        exported_mean=_mean(again.values(), metric),
        dtype="",
        device="",
        differences=tuple(differences),
        circumstances=(),
    )


def _largest_gap(then: Values, now: Values) -> float:
    """Largest difference over all metrics; infinite where only one side has a value."""
    gaps = [0.0]
    for name in then.keys() | now.keys():
        a, b = then.get(name), now.get(name)
        if a is not None and b is not None:
            gaps.append(abs(a - b))
        elif a is not b:
            gaps.append(math.inf)
    return max(gaps)


def _mean(answers: Iterable[_Answered], metric: str) -> float:
    values = [
        value
        for answer in answers
        for (_, name), value in answer.values.items()
        if name == metric and value is not None
    ]
    return sum(values) / len(values) if values else math.nan


def _circumstances(run: FinalRun, dtype: str, device: str, sampled: bool) -> Iterable[str]:
    runtime = run.spec.runtime
    if dtype != runtime.dtype:
        yield f"The trial computed in {runtime.dtype}, the exported weights are {dtype}."
    if device.partition(":")[0] != runtime.device.partition(":")[0]:
        yield f"The trial computed on {runtime.device}, the check on {device}."
    if sampled:
        yield "Not all test items were asked again; other batches can move a score a little."
    now = environment_versions()
    for name, version in now.items():
        then = run.environment.get(name, version)
        if then != version:
            yield f"The trial ran with {name} {then}, the check with {version}."


__all__ = ["ItemDifference", "Opened", "Parity", "check_parity"]
