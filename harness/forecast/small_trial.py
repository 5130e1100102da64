"""Real trials cut down to a few steps and items, which show how fast this machine is."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.data import read_examples_file, write_examples
from harness.errors import SpecError
from harness.evaluation.suites import build_general_task, load_suite
from harness.forecast.scoring_work import general_works
from harness.forecast.trial_work import TrialWork
from harness.records import Progress, ScoreRequest, TrialSpec, file_sha256
from harness.store import write_record
from harness.trial import run_trial

# Steps of which the first warms up and the last ends with a check of validation loss.
STEPS = 5
QUICK_STEPS = 4
# Examples of a check of validation loss.
CHECKED = 24
# Items of each kind of request; generated answers take a whole batch, as its steps are shared.
ITEMS = 16
# Single requests whose latency is taken, and the one that warms up.
SINGLE = 2
# Of tasks this cheap several are asked, of two sizes: what a batch takes shows beside its tokens.
SHORT, SHORT_TASKS = "general loglikelihood", 4
# Longer replies to general tasks are not waited for.
LONGEST_ROOM = 64
WRITTEN_MIB = 32
WRITING = "writing.json"


def execute_small(spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None]) -> None:
    """Run the trial and time the disk; both are left in ``folder``. What an engine calls."""
    record = run_trial(spec, folder, on_progress)
    write_record(folder, record)
    if spec.kind != "prompt":
        seconds = _seconds_of_writing(folder, WRITTEN_MIB)
        (folder / WRITING).write_text(json.dumps(seconds / WRITTEN_MIB), encoding="utf-8")


def small_trial(work: TrialWork, folder: Path, *, quick: bool = False) -> TrialSpec:
    """The trial of ``work`` cut down: a few steps, a batch of every kind of request.

    Its replies may be as long as a training answer where the whole trial would have learnt to
    answer so. Files of fewer items are written to ``folder``.
    """
    spec = work.spec
    if spec.kind != "prompt":
        batch, steps = spec.params["batch_size"], QUICK_STEPS if quick else STEPS
        examples = max(batch * max(2, min(steps, 64 // batch)), spec.params["shots"] + 1)
        validation = read_examples_file(Path(spec.validation_path))
        spec = replace(
            spec,
            params={**spec.params, "epochs": 1},
            train_items=min(examples, spec.train_items or examples),
            validation_path=str(_written(validation[:CHECKED], folder)),
            checks_per_epoch=1,
            task={**spec.task, "max_new_tokens": work.answer[1]},
        )
    return replace(
        spec,
        scores=tuple(_fewer(work, folder, quick=quick)),
        known_scores=(),
        keep_artifact=False,
        pruning=None,
    )


def _fewer(work: TrialWork, folder: Path, *, quick: bool) -> list[ScoreRequest]:
    """A request of each kind, cut down."""
    spec = work.spec
    seen: Counter[str] = Counter()
    found: list[ScoreRequest] = []
    batch = spec.runtime.score_batch_size
    for request, part in work.scores:
        kind = "single" if part.pool == "single" else part.group
        # The set of the test is the one whose latency is taken.
        tested = (request.suite, request.split) == ("domain", "test")
        most = SHORT_TASKS if part.group == SHORT else 1
        if seen[kind] >= most or (tested and part.pool != "single"):
            continue
        few = (batch if part.room else ITEMS) // (2 if quick or seen[kind] else 1)
        if part.pool == "single":
            cut = _first_items(request, SINGLE, folder)
        elif request.items_path:
            cut = _first_items(request, max(1, few), folder)
        else:
            limit = min(few, request.limit or few)
            if part.room > LONGEST_ROOM or not _limitable(request, limit):
                continue
            # A task with several kinds of requests is asked whole.
            parts = general_works(request.suite_path, request.task, limit, spec.model, batch)
            if request.suite == "general" and len(parts) > 1:
                continue
            cut = replace(request, limit=limit)
        seen[kind] += 1
        found.append(replace(cut, wave=None))
    # What comes first warms up, and latencies are taken after a request that is not counted.
    return sorted(found, key=lambda one: (one.suite, one.split) != ("domain", "test"))


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


def _seconds_of_writing(folder: Path, mib: int) -> float:
    """Seconds to save so much as safetensors and to hash it, as for trained weights."""
    import torch
    from safetensors.torch import save_file

    tensors = {"weights": torch.zeros(mib * 2**20, dtype=torch.uint8)}
    began = time.perf_counter()
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".safetensors") as file:
        save_file(tensors, file.name)
        file_sha256(Path(file.name))
        return time.perf_counter() - began
