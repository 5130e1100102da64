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
from harness.export.look import log_look
from harness.export.near_ties import LARGEST, TwoReplies, likelihood_gaps, tie_tolerance
from harness.records import Example, ScoreRecord, ScoreRequest, TrialSpec, even_sample
from harness.store import STORE_FILE, StoreReader
from harness.trial.candidate import Candidate, TrialRun, candidate_of
from harness.trial.scoring import PACKED, score_all
from harness.versions import environment_versions

if TYPE_CHECKING:
    from harness.models.load import LoadedModel

Values = dict[tuple[str, str], float | None]
# The log-odds of what is surer than this rest on digits that a likelihood has not.
SURE = 1 - 1e-4


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
    likelihood_gap: float | None = None
    """How much likelier one of the two replies is to the exported form than the other, nats; None
    where they are the same."""


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
    tolerance: float | None = None
    """Nats up to which two replies are a near tie, as measured in the check; None where nothing
    differs."""
    confidence_shift: float | None = None
    """Largest difference over items of the log-odds (nats) of the answer chosen, in the trial and
    now; None where none was chosen among several."""

    @property
    def different(self) -> int:
        """Number of items that are not equal."""
        return self.items - self.equal

    @property
    def near_ties(self) -> int:
        """Number of items with another reply, which the exported form finds as likely."""
        gaps = [difference.likelihood_gap for difference in self.differences]
        return sum(gap is not None and gap <= (self.tolerance or 0.0) for gap in gaps)

    @property
    def of_other_weights(self) -> bool:
        """Whether something differs that rounding cannot explain."""
        moved = self.confidence_shift is not None and self.confidence_shift > LARGEST
        return moved or self.different > self.near_ties


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
    log_look(run, "export", "check of the exported model")
    all_items = read_examples_file(Path(request.items_path))
    items = even_sample(all_items, limit)
    if run.spec.runtime.threads:
        torch.set_num_threads(run.spec.runtime.threads)
    torch.manual_seed(run.spec.seed)
    stored = _stored(results, request.key)
    packing = run.environment.get(PACKED)
    with exported() as loaded:
        candidate = candidate_of(_as_packed(run.spec, packing), loaded)
        rescored, packed = _score(candidate, request, items)
        compared = _compare(stored, rescored, run.metric)
        if compared.differences:
            compared = _weighed(compared, candidate, items)
        after = _likelihoods(candidate, items) if trained else []
        dtype = str(loaded.model.dtype).removeprefix("torch.")
        device = str(loaded.model.device)
    before: list[float] = []
    if trained:
        with trained() as loaded:
            before = _likelihoods(candidate_of(run.spec, loaded), items)
    moved = max((abs(a - b) for a, b in zip(after, before, strict=True)), default=None)
    sampled = len(items) < len(all_items)
    return replace(
        compared,
        test_items=len(all_items),
        largest_likelihood_difference=moved,
        dtype=dtype,
        device=device,
        circumstances=tuple(_circumstances(run, dtype, device, packed, sampled)),
    )


def _test_request(run: FinalRun) -> ScoreRequest:
    for request in run.spec.scores:
        if (request.suite, request.split) == ("domain", "test"):
            return request
    raise InputError(f"{run.title}: the trial was not scored on the test set")


def _as_packed(spec: TrialSpec, packing: str | None) -> TrialSpec:
    """The specification with weights as the trial had them: where it packed none, none is."""
    if packing != "0":
        return spec
    return replace(spec, runtime=replace(spec.runtime, memory_share=0.0))


def _weighed(compared: Parity, candidate: Candidate, items: Sequence[Example]) -> Parity:
    """The comparison with how far apart different replies are to the exported form."""
    by_id = {item.id: item for item in items}
    apart = [one for one in compared.differences if one.trial_output != one.exported_output]
    asked = [TwoReplies(by_id[o.item_id], o.trial_output, o.exported_output) for o in apart]
    gaps = dict(zip((o.item_id for o in apart), likelihood_gaps(candidate, asked), strict=True))
    return replace(
        compared,
        differences=tuple(
            replace(one, likelihood_gap=gaps.get(one.item_id)) for one in compared.differences
        ),
        tolerance=tie_tolerance(candidate, items),
    )


def _score(
    candidate: Candidate, request: ScoreRequest, items: Sequence[Example]
) -> tuple[ScoreRecord, str]:
    """The score, and how many layers were packed meanwhile."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "items.parquet"
        write_examples(path, items)
        asked = replace(request, items_path=str(path))
        candidate.spec = replace(candidate.spec, scores=(asked,), known_scores=(), pruning=None)
        run = TrialRun()
        score_all(candidate, run, lambda *args, **more: None)
    (score,) = run.scores
    return score, run.environment[PACKED]


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
    log_odds: list[float]
    """Of the answer that was chosen, nats; empty where none was, or where it is all but certain."""


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
    answered = {
        row["doc_hash"]: _Answered(row["item_id"], row["output"], {}, []) for row in outputs
    }
    for row in scores:
        # How sure a model is rests on every digit; whether it answers alike does not.
        if row["metric"] != CONFIDENCE.name:
            answered[row["doc_hash"]].values[row["filter"], row["metric"]] = row["value"]
        elif row["value"] is not None and row["value"] < SURE:
            log_odds = math.log(row["value"]) - math.log1p(-row["value"])
            answered[row["doc_hash"]].log_odds.append(log_odds)
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
    shifts: list[float] = []
    for doc, now in again.items():
        then = stored[doc]
        if now.output == then.output:
            shifts += [abs(a - b) for a, b in zip(then.log_odds, now.log_odds, strict=False)]
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
        confidence_shift=max(shifts, default=None),
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


def _circumstances(
    run: FinalRun, dtype: str, device: str, packed: str, sampled: bool
) -> Iterable[str]:
    runtime = run.spec.runtime
    if dtype != runtime.dtype:
        yield f"The trial computed in {runtime.dtype}, the exported weights are {dtype}."
    if device.partition(":")[0] != runtime.device.partition(":")[0]:
        yield f"The trial computed on {runtime.device}, the check on {device}."
    then = run.environment.get(PACKED, packed)
    if then != packed:
        yield (
            f"The trial multiplied by packed copies of {then} layers, the check by those of "
            f"{packed}: memory that is free decides that, and sums are rounded in another order."
        )
    if sampled:
        yield "Not all test items were asked again; other batches can move a score a little."
    now = environment_versions()
    for name, version in now.items():
        then = run.environment.get(name, version)
        if then != version:
            yield f"The trial ran with {name} {then}, the check with {version}."


__all__ = ["ItemDifference", "Opened", "Parity", "check_parity"]
