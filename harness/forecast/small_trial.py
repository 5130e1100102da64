"""Real trials cut down to a few steps and items, which show how fast this machine is."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from harness.data import read_examples_file, write_examples
from harness.errors import SpecError
from harness.evaluation.suites.find import build_general_task, load_suite
from harness.forecast.cost_model import Activity
from harness.forecast.workload import Workload
from harness.records import ScoreRequest, TrialSpec
from harness.spec.kinds import PROMPT, kind_info
from harness.spec.settings import PromptSettings

# Steps of which the first warms up.
STEPS = 5
QUICK_STEPS = 3
# Examples of a check of validation loss.
CHECKED, QUICK_CHECKED = 24, 8
# Items of each kind of request; generated answers take a whole batch, as its steps are shared.
ITEMS = 16
# Single requests whose latency is taken, and the one that warms up.
SINGLE, QUICK_SINGLE = 2, 1
# Of tasks this cheap several are asked, of two sizes: what a batch takes shows beside its tokens.
SHORT, SHORT_TASKS = "general loglikelihood", 4
# What is asked of all arms alike, or is timed on few items, so that one arm may show how long it
# takes another.
STOOD_IN = ("general", "memorisation", "divergence", "latency")
# Longer replies to general tasks are not waited for.
LONGEST_ANSWER = 64


def small_trial(
    whole: Workload,
    folder: Path,
    *,
    thorough: bool = False,
    hurried: bool = False,
    known: Collection[Activity] = (),
) -> TrialSpec:
    """The trial of ``whole`` cut down: a few steps, a batch of every kind of request.

    Its replies may be as long as a training answer where the whole trial would have learnt to
    answer so. Files of fewer items are written to ``folder``.

    Args:
        hurried: ask half as many items, as measuring has taken long.
        known: what other trials of the model have shown: of what is not the user's task, and of
            requests that are timed alone, they stand in for this one.
    """
    spec = whole.spec
    if whole.training:
        batch, steps = spec.params["batch_size"], STEPS if thorough else QUICK_STEPS
        examples = max(batch * max(2, min(steps, 64 // batch)), spec.params["shots"] + 1)
        validation = read_examples_file(Path(spec.validation_path))
        limit = spec.task["max_new_tokens"]
        spec = replace(
            spec,
            # Which way of answering is best is not asked: each request names its own.
            params={**spec.params, "epochs": 1, "answering": spec.answering},
            train_items=min(examples, spec.train_items or examples),
            validation_path=str(
                _written(validation[: CHECKED if thorough else QUICK_CHECKED], folder)
            ),
            checks_per_epoch=1,
            task={**spec.task, "max_new_tokens": min(whole.answer.longest, limit or math.inf)},
        )
    if kind_info(spec.kind).commanded:
        spec = _base_asked_alike(spec)
    return replace(
        spec,
        scores=tuple(_fewer(whole, folder, known, 1 if thorough else 4 if hurried else 2)),
        known_scores=(),
        keep_artifact=False,
        pruning=None,
        # What is measured is the arm: a judge may cost money.
        judges=(),
    )


def _fewer(
    whole: Workload, folder: Path, known: Collection[Activity], share: int
) -> list[ScoreRequest]:
    """A request of each kind, cut down to a batch or, where ``share`` is above 1, a part of it."""
    shown = {(one.model, one.measure, one.group, one.writes) for one in known}
    kinds = Counter(request.key for request, _ in whole.scores)
    seen: Counter[str] = Counter()
    requests: list[ScoreRequest] = []
    batch = whole.spec.runtime.score_batch_size
    for request, load in whole.scores:
        asks = whole.scoring(load)
        if (
            request.suite in STOOD_IN
            and (asks.model, asks.measure, asks.group, asks.writes) in shown
        ):
            continue
        kind = f"{load.measure} {load.group}"
        most = SHORT_TASKS if load.group == SHORT else 1
        # A task with several kinds of requests is asked whole: what each took would not show.
        if seen[kind] >= most or kinds[request.key] > 1:
            continue
        few = (batch if load.answer_limit else ITEMS) // (max(2, share) if seen[kind] else share)
        if load.measure == "single":
            cut = _first_items(request, SINGLE if share == 1 else QUICK_SINGLE, folder)
        elif request.items_path:
            cut = _first_items(request, max(1, few), folder)
        else:
            limit = min(few, request.limit or few)
            if load.answer_limit > LONGEST_ANSWER or not _limitable(request, limit):
                continue
            cut = replace(request, limit=limit)
        seen[kind] += 1
        requests.append(replace(cut, wave=None))
    # What comes first warms up, and latencies are taken after a request that is not counted.
    return sorted(requests, key=lambda request: request.suite != "latency")


def _base_asked_alike(spec: TrialSpec) -> TrialSpec:
    """The trial with the untouched base in place of what a command is to train."""
    # What only a prompt has is left as it is without being asked for.
    names = {field.name for field in fields(PromptSettings)}
    asked = {name: value for name, value in spec.params.items() if name in names}
    params = {**asked, "kind": PROMPT.name, "answering": spec.answering}
    return replace(
        spec, kind=PROMPT.name, params=params, command=None, weights_id="", trained_path=""
    )


def _limitable(request: ScoreRequest, limit: int) -> bool:
    try:
        build_general_task(load_suite(Path(request.suite_path)), request.task, limit)
    except SpecError:
        return False
    return True


def _first_items(request: ScoreRequest, number: int, folder: Path) -> ScoreRequest:
    items = read_examples_file(Path(request.items_path))
    return replace(request, items_path=str(_written(items[:number], folder)))


def _written(examples: Sequence[Any], folder: Path) -> Path:
    name = hashlib.sha256("".join(example.id for example in examples).encode()).hexdigest()[:16]
    path = folder / "items" / f"{name}-{len(examples)}.parquet"
    if not path.exists():
        write_examples(path, examples)
    return path
