"""Whether an exported form answers as the trial did: its test items again, one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from harness.data import read_examples_file
from harness.data.examples_file import write_examples
from harness.errors import InputError
from harness.export.final_run import FinalRun
from harness.records import Example, ScoreRecord, ScoreRequest
from harness.spec import TaskSpec
from harness.store import STORE_FILE, StoreReader
from harness.trial.candidate import Candidate, TrialRun, make_renderer
from harness.trial.scoring import score_all
from harness.versions import environment_versions

if TYPE_CHECKING:
    from harness.models.load import LoadedModel

Values = dict[tuple[str, str], float | None]


@dataclass(frozen=True, slots=True)
class ItemDifference:
    """An item that the exported form answers, or is scored, otherwise than the trial."""

    item_id: str
    trial_output: str
    exported_output: str
    score_difference: float


@dataclass(frozen=True, slots=True)
class Parity:
    """The exported form, loaded afresh, against the scores that the store holds.

    items: test items compared, of ``test_items`` in all. same_replies: answered letter by letter
    as in the trial. same_scores: with the same value under every metric. equal: both.
    largest_score_difference: over items and metrics, in the metric's unit.
    largest_likelihood_difference: over items, of the right answer's log-likelihood (nats) under
    the trained and the exported form; None where the weights are the trial's own files.
    trial_mean, exported_mean: ``metric`` over the items compared.
    dtype, device: of the check. circumstances: in what else it differs from the trial, a sentence
    each.
    """

    items: int
    test_items: int
    same_replies: int
    same_scores: int
    equal: int
    largest_score_difference: float
    largest_likelihood_difference: float | None
    metric: str
    trial_mean: float
    exported_mean: float
    dtype: str
    device: str
    differences: tuple[ItemDifference, ...]
    circumstances: tuple[str, ...]

    @property
    def different(self) -> int:
        """Items that are not equal."""
        return self.items - self.equal


Opened = Callable[[], "AbstractContextManager[LoadedModel]"]


def check_parity(
    run: FinalRun, results: Path, exported: Opened, trained: Opened | None, limit: int | None
) -> Parity:
    """Score the exported form on the run's test items and compare.

    Args:
        exported: opens the exported form, loaded afresh.
        trained: opens the form that the trial scored, for log-likelihoods; None where the
            exported weights are that form's own.
        limit: compare so many items, spread evenly over the test set; None for all. What shares a
            batch can move a score a little, so that all are the fairest check.

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
        candidate = _candidate(run, loaded)
        found = _score(candidate, request, items)
        after = _likelihoods(candidate, items) if trained else []
        dtype = str(loaded.model.dtype).removeprefix("torch.")
        device = str(loaded.model.device)
    before: list[float] = []
    if trained:
        with trained() as loaded:
            before = _likelihoods(_candidate(run, loaded), items)
    moved = max((abs(a - b) for a, b in zip(after, before, strict=True)), default=None)
    compared = _compare(_stored(results, request.key), found, run.metric)
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


def _candidate(run: FinalRun, loaded: LoadedModel) -> Candidate:
    """The loaded model, asked as the trial asked."""
    spec = run.spec
    task = TaskSpec.model_validate(spec.task)
    split = read_examples_file(Path(spec.train_path))
    pool = split[: spec.train_items]
    renderer = make_renderer(spec, task, pool, loaded.tokenizer)
    return Candidate(spec, task, split, pool, loaded, renderer)


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
    from harness.evaluation.answer_likelihood import likelihoods
    from harness.evaluation.candidate_lm import CandidateLM
    from harness.models.packed_weights import packed_weights

    loaded, renderer, runtime = candidate.loaded, candidate.renderer, candidate.spec.runtime
    lm = CandidateLM(loaded.model, loaded.tokenizer, runtime.score_batch_size)
    asked = [(renderer.prompt(item), renderer.reply(item.answer)) for item in items]
    with packed_weights(loaded.model, runtime.memory_share):
        return likelihoods(lm, asked)


@dataclass(frozen=True, slots=True)
class _Answered:
    item_id: str
    output: str
    values: Values


def _stored(results: Path, key: str) -> dict[str, _Answered]:
    """What the store holds of a score, by lm-eval's hash of the item."""
    reader = StoreReader(results / STORE_FILE)
    outputs = reader.query(
        "SELECT doc_hash, item_id, output FROM item_output WHERE score_key = ?", [key]
    )
    scores = reader.query(
        "SELECT doc_hash, filter, metric, value FROM item_score WHERE score_key = ?", [key]
    )
    return _by_item(outputs.rows, scores.rows)


def _by_item(
    outputs: Iterable[tuple[str, str, str]], scores: Iterable[tuple[str, str, str, float | None]]
) -> dict[str, _Answered]:
    found = {doc: _Answered(item, output, {}) for doc, item, output in outputs}
    for doc, name, metric, value in scores:
        found[doc].values[name, metric] = value
    return found


def _compare(stored: Mapping[str, _Answered], found: ScoreRecord, metric: str) -> Parity:
    again = _by_item(
        ((one.doc_hash, one.item_id, one.output) for one in found.outputs),
        ((one.doc_hash, one.filter, one.metric, one.value) for one in found.item_scores),
    )
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
        largest_score_difference=max((one.score_difference for one in differences), default=0.0),
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
