"""Whether two sides of the study benchmark found the same, item by item."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.data import read_examples_file
from harness.evaluation.suites.find import load_suite
from harness.records import ScoreRequest
from harness.spec import TaskSpec
from harness.store import StoreReader
from lab.benchmarks.peer_tasks import PeerTrial

# Share of items that must be decided equally, with the same score: a tie or a near tie may fall
# either way. In 32 bits the replies themselves must be equal; in 16, long replies part company at
# some token, whatever they are batched with.
LEAST_EQUAL = {"float32": 0.99, "bfloat16": 0.9, "float16": 0.9}
STANDARD_ERRORS = 4.0
# Bits per byte are means over hundreds of tokens: rounding hardly moves them.
BITS_APART = {"float32": 1e-3, "bfloat16": 2e-2, "float16": 2e-2}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one side made of one item."""

    output: str
    """The reply."""
    value: float
    """The item's value of the task's main metric."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One candidate on one task, on both sides."""

    trial: str
    """What the trial is called."""
    kind: str
    """Kind of the arm."""
    task: str
    """Name of the task."""
    items: int
    """Number of items."""
    equal: float
    """Number of items with equal replies; NaN for plain texts."""
    decided: float
    """Number of items with equal scores; NaN for plain texts."""
    differences: tuple[float, ...]
    """Score of the product minus that of the peer, of each item."""
    own_mean: float
    """Mean score of the product."""
    peer_mean: float
    """Mean score of the peer."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far both sides agree."""

    lines: tuple[str, ...]
    """Rows of the table, one a candidate and task."""
    short: str
    """The same in a sentence."""
    failures: tuple[str, ...]
    """What breaks the promise; empty where nothing does."""

    def hold(self) -> None:
        """Raise AssertionError unless both sides agree."""
        assert not self.failures, "; ".join(self.failures)


def agreement(store: StoreReader, trials: Sequence[PeerTrial], dtype: str) -> Agreement:
    """Compare every score that the peer made with the product's."""
    complete = {row[0] for row in store.query("SELECT trial_id FROM trial "
                                              "WHERE status = 'complete'").rows}  # fmt: skip
    compared = [
        one
        for trial in trials
        if trial.spec.trial_id in complete
        for one in _of_trial(store, trial)
    ]
    prompted = [one for one in compared if one.kind == "prompt"]
    trained = [one for one in compared if one.kind != "prompt"]
    failures: list[str] = []
    asked, equal, decided = _equal(prompted)
    held = equal if dtype == "float32" else decided
    if held < LEAST_EQUAL[dtype] * asked:
        what = "answered" if dtype == "float32" else "decided"
        failures.append(f"only {held} of {asked} items of base and prompt arms are {what} equally")
    furthest = 0.0
    by_trial: defaultdict[str, list[float]] = defaultdict(list)
    for one in compared:
        if math.isnan(one.equal):
            apart = abs(one.own_mean - one.peer_mean)
            # A trained model's rounding has gone through its training.
            if one.kind == "prompt" and apart > BITS_APART[dtype]:
                failures.append(f"{one.trial}, {one.task}: {apart:.4f} bits per byte apart")
        elif one.kind != "prompt":
            by_trial[one.trial].extend(one.differences)
    for name, differences in by_trial.items():
        errors = _standard_errors(differences)
        furthest = max(furthest, errors)
        if errors > STANDARD_ERRORS:
            failures.append(f"{name}: scores differ by {errors:.1f} standard errors")
    tuned, tuned_equal, tuned_decided = _equal(trained)
    short = (
        f"base and prompts: {decided} of {asked} decisions equal ({equal} replies); fine-tuned "
        f"models: {tuned_decided} of {tuned} ({tuned_equal}), scores within {furthest:.1f} "
        "standard errors"
    )
    return Agreement(tuple(_line(one) for one in compared), short, tuple(failures))


def _equal(compared: Sequence[Compared]) -> tuple[int, int, int]:
    """Items asked, those with equal replies, with equal scores; plain texts are not counted."""
    counted = [one for one in compared if not math.isnan(one.equal)]
    return (
        sum(one.items for one in counted),
        int(sum(one.equal for one in counted)),
        int(sum(one.decided for one in counted)),
    )


def _standard_errors(differences: Sequence[float]) -> float:
    """Mean difference over its standard error; 0 where nothing differs."""
    values = np.asarray(differences)
    if not values.any():
        return 0.0
    return float(abs(values.mean()) / (values.std(ddof=1) / math.sqrt(len(values))))


def _line(one: Compared) -> str:
    equal = "text"
    if not math.isnan(one.equal):
        equal = f"{one.decided:.0f} of {one.items} decided equally, {one.equal:.0f} replies equal"
    return f"{one.trial}: {one.task}: {equal}, score {one.own_mean:.4f} and {one.peer_mean:.4f}"


def _of_trial(store: StoreReader, trial: PeerTrial) -> list[Compared]:
    spec = trial.spec
    kept: dict[str, Any] = json.loads(trial.out.read_text())
    found = []
    for name, request in trial.tasks.items():
        metric = _metric(request, spec.task)
        own, targets = _own(store, request, metric)
        theirs = _peer(kept[name], request, metric, targets, trial)
        if own.keys() != theirs.keys():
            raise ValueError(f"{spec.arm}, {request.task}: the two sides scored other items")
        texts = metric == "bits_per_byte"
        equal = math.nan if texts else sum(own[k].output == theirs[k].output for k in own)
        decided = math.nan if texts else sum(own[k].value == theirs[k].value for k in own)
        found.append(
            Compared(
                trial=f"{spec.arm} {spec.phase} {spec.number}",
                kind=spec.kind,
                task=f"{request.task} {request.split}",
                items=len(own),
                equal=equal,
                decided=decided,
                differences=tuple(own[k].value - theirs[k].value for k in own),
                own_mean=float(np.mean([one.value for one in own.values()])),
                peer_mean=float(np.mean([one.value for one in theirs.values()])),
            )
        )
    return found


def _metric(request: ScoreRequest, task: dict[str, Any]) -> str:
    if request.suite == "general":
        return load_suite(Path(request.suite_path)).task(request.task).metric
    return TaskSpec.model_validate(task).primary_metric


def _own(
    store: StoreReader, request: ScoreRequest, metric: str
) -> tuple[dict[str, Answer], dict[str, str]]:
    """The product's answers by item, and the right ones."""
    rows = store.query(
        "SELECT o.item_id, o.output, i.value, o.target FROM item_output o "
        "JOIN item_score i ON i.score_key = o.score_key AND i.doc_hash = o.doc_hash "
        "WHERE o.score_key = ? AND i.metric = ? AND i.filter_rank = 0",
        [request.key, metric],
    ).rows
    answers = {row[0]: Answer(row[1].strip(), row[2]) for row in rows}
    return answers, {row[0]: row[3] for row in rows}


def _peer(
    samples: list[dict[str, Any]],
    request: ScoreRequest,
    metric: str,
    targets: dict[str, str],
    trial: PeerTrial,
) -> dict[str, Answer]:
    """The peer's answers, read as the product reads its own."""
    task = TaskSpec.model_validate(trial.spec.task)
    labels = task.answer.valid_answers(read_examples_file(trial.spec.train_path)) or ()
    read = task.answer.reader(labels)
    found: dict[str, Answer] = {}
    for sample in samples:
        asked, replies = sample["asked"], sample["replies"]
        value = sample["metrics"].get(metric)
        if metric == "bits_per_byte":
            likelihood, size = value
            found[sample["id"]] = Answer("", -likelihood / (size * math.log(2)))
            continue
        if asked[0] and isinstance(asked[0][0], str):
            likelihoods = [reply[0] for reply in replies]
            output = str(asked[likelihoods.index(max(likelihoods))][0])
        else:
            output = str(replies[0])
        output = output.strip()
        if request.suite != "general":
            output = output.removesuffix(trial.end).strip()
            value = read(targets[sample["id"]], output).metrics[metric]
        found[sample["id"]] = Answer(output, float(value))
    return found
