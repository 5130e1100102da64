"""A stand-in for a trial: a plausible record in no time, and a study made of such trials.

:func:`execute` has the signature that engines call. What it does can be steered by marks in an
arm's ``instruction``, which reach it in ``TrialSpec.params`` wherever it runs:

    [fail]       a recorded failure            [raise]     an exception leaves the trial
    [killed]     SIGKILL to its own process    [segfault]  SIGSEGV to its own process
    [exit]       the process exits with 7      [hang]      sleeps for a minute
    [sleep=S]    sleeps S seconds midway       [gain=G]    adds G to its chance of a right answer
    [prune]      stopped early                 [lose=L]    takes L from its general abilities
    [once]       SIGKILL the first time, fine the second
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from harness.answers.metrics import METRICS
from harness.data import read_examples_file
from harness.engine.in_process import InProcessEngine
from harness.evaluation.suites.find import Suite, load_suite
from harness.records import (
    Canaries,
    ItemOutput,
    ItemScore,
    Progress,
    ScoreRecord,
    ScoreRequest,
    StepReport,
    Stopped,
    TrialCost,
    TrialRecord,
    TrialSpec,
    content_hash,
    primary_name,
)
from harness.spec import Experiment
from harness.store import STORE_FILE, write_record
from harness.store.connection import held_open
from harness.trial.candidate import TrialRun
from harness.trial.choosing import keep_best_way

NOW = "2026-01-02T03:04:05+00:00"
LABELS = ("billing", "delivery", "praise")
RIGHT = {
    "prompt": 0.4, "full": 0.6, "lora": 0.75, "qlora": 0.7, "trained": 0.65, "classifier": 0.55,
}  # fmt: skip
LOG = "executions.log"
# For the fork server, of which a process of tests has one: what pretended trials import.
PRELOADED = ["pandas", "pyarrow.parquet", "harness.store", "tests.fake_trial"]


def execute(spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None]) -> None:
    """Leave the record of a pretended trial in ``folder``.

    Beside the folder of all trials, ``executions.log`` gets a line ``begin ID`` (``again ID``
    where a record is there already, ``adds ID`` where only scores are missing) and, once the
    record is whole, ``done ID``.
    """
    again = "again" if (folder / "record").exists() else "begin"
    note(folder, f"{'adds' if spec.adds else again} {spec.trial_id}")
    marks = dict(re.findall(r"\[(\w+)(?:=(-?[\d.]+))?\]", str(spec.params.get("instruction"))))
    on_progress(Progress(spec.trial_id, spec.arm, "load", 1, 1))
    _misbehave(marks, folder)
    if "sleep" in marks:
        time.sleep(float(marks["sleep"]))
    record = pretend(
        spec,
        float(marks.get("gain") or 0),
        failed="fail" in marks,
        pruned="prune" in marks,
        lost=float(marks.get("lose") or 0),
    )
    for done in (1, 2):
        on_progress(Progress(spec.trial_id, spec.arm, "score", done, 2, task="domain"))
    write_record(folder, record)
    note(folder, f"done {spec.trial_id}")


def note(folder: Path, line: str) -> None:
    """Append one line to the log of executions in one write, which is atomic."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent.parent / LOG).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def _misbehave(marks: Mapping[str, str], folder: Path) -> None:
    if "once" in marks and not (folder / "tried").exists():
        (folder / "tried").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if "raise" in marks:
        raise RuntimeError("the trial raised")
    if "killed" in marks:
        os.kill(os.getpid(), signal.SIGKILL)
    if "segfault" in marks:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "exit" in marks:
        os._exit(7)
    if "hang" in marks:
        time.sleep(60)


def pretend(
    spec: TrialSpec,
    gain: float = 0.0,
    *,
    failed: bool = False,
    pruned: bool = False,
    lost: float = 0.0,
) -> TrialRecord:
    """The record that a trial of this specification has: a function of ``spec`` alone.

    lost: of the general abilities, by a fine-tuned candidate.
    """
    trained = spec.kind not in ("prompt", "classifier")
    wanted = () if failed or pruned else spec.scores
    fresh = [one for one in wanted if one.key not in spec.known_scores]
    run = TrialRun(scores=[_score(spec, one, gain, lost if trained else 0.0) for one in fresh])
    run.environment["torch"] = "fake"
    if spec.ways and wanted:
        keep_best_way(spec, run)
    return TrialRecord(
        spec=spec.settled(run.answering) if run.answering else spec,
        status="failed" if failed else "pruned" if pruned else "complete",
        stopped=Stopped("items", 8, 20, 0.25, 0.5, ((0, 0.0), (3, 1.0)), 300) if pruned else None,
        started_at=NOW,
        ended_at=NOW,
        failure_kind="nan_loss" if failed else "",
        failure_message="the loss is not a number at step 3" if failed else "",
        steps=_steps() if trained and not spec.adds else (),
        scores=tuple(run.scores),
        canaries=None if failed else _canaries(trained),
        cost=TrialCost(
            load_seconds=0.1,
            train_seconds=2.0 if trained else 0.0,
            score_seconds=0.5,
            train_tokens=960 if trained else 0,
            peak_memory_mib=900.0,
            peak_device_mib=None,
            total_parameters=1000,
            trainable_parameters=100 if trained else 0,
            artifact_bytes=400 if trained else 0,
        ),
        environment=run.environment,
    )


def _canaries(trained: bool) -> Canaries:
    return Canaries(0.0, 0.5, True) if trained else Canaries(None, None, True)


def _steps() -> tuple[StepReport, ...]:
    return tuple(
        StepReport(step, 4, step / 4, 1.5 / step, 1e-4, 1.0, step * 240, step * 0.5, 1.6 / step)
        for step in range(1, 5)
    )


def _timed(request: ScoreRequest) -> ScoreRecord:
    found = {"seconds": 0.015, "other_cores": 0.1, "cores": 2.0}
    return ScoreRecord(
        key=request.key,
        task=request.task,
        suite=request.suite,
        split=request.split,
        form="base",
        seconds=0.2,
        outputs=(),
        item_scores=(),
        aggregates=found,
        higher_is_better=dict.fromkeys(found, False),
        latencies=(0.01, 0.02),
    )


def _score(spec: TrialSpec, request: ScoreRequest, gain: float, lost: float) -> ScoreRecord:
    if request.suite == "latency":
        return _timed(request)
    metrics, chance, items = _asked(spec, request, gain, lost)
    hashes = [hashlib.sha256(f"{request.task}/{one[0]}".encode()).hexdigest() for one in items]
    # A reply is the same, whatever else is asked beside it, and whatever release pretends; without
    # shots a prompt is, whatever the seed.
    seed = spec.seed if spec.kind != "prompt" or spec.params.get("shots") else 1
    who = content_hash([spec.kind, dict(spec.params), seed, spec.train_items])
    asked = f"{who}/{request.answering}"
    values = [float(_uniform(asked, identity) < share) for identity, _, _, share in items]
    if request.suite in ("domain", "out_of_domain") and not all(metrics.values()):
        # Of an error what is right has none.
        values = [1 - value for value in values]
    return ScoreRecord(
        key=request.key,
        asked=request.asked,
        task=request.task,
        suite=request.suite,
        split=request.split,
        form="base" if spec.kind == "prompt" else "adapter-on-bfloat16",
        seconds=0.2,
        outputs=tuple(
            ItemOutput(h, identity, group, answer, answer if value else "?", 30, 3)
            for h, (identity, group, answer, _), value in zip(hashes, items, values, strict=True)
        ),
        item_scores=tuple(
            ItemScore(h, "none", metric, value)
            for metric in metrics
            for h, value in zip(hashes, values, strict=True)
        ),
        aggregates={metric: sum(values) / len(values) for metric in metrics},
        higher_is_better=metrics,
        chance=chance,
    )


def _asked(
    spec: TrialSpec, request: ScoreRequest, gain: float, lost: float
) -> tuple[dict[str, bool], float | None, list[tuple[str, str, str, float]]]:
    """Metric -> higher is better, the chance, and the items: id, group, answer, share right."""
    if request.suite_path:
        path = Path(request.suite_path)
        entry = _suite(path, path.stat().st_mtime_ns).task(request.task)
        first, last = min(request.skip, 10), 10 if request.half else 20
        numbers = range(first, min(first + (request.limit or 20), last))
        names = [f"{request.task}-{n}" for n in numbers]
        metrics = {entry.metric: entry.higher_is_better}
        if request.suite == "divergence":
            metrics = {"kl_to_base": False}
        return metrics, entry.chance, [(name, name, "A", 0.8 - lost) for name in names]
    right = RIGHT[spec.kind] + gain
    items = [
        (example.id, example.group, example.answer, right)
        for example in read_examples_file(request.items_path)
    ]
    if request.suite == "memorisation":
        return {"verbatim": True, "bits_per_byte": False}, None, items
    if request.suite == "divergence":
        return {"kl_to_base": False}, None, items[: request.limit]
    name = primary_name(spec.task["metrics"])
    return {name: METRICS[name].higher_is_better if name in METRICS else True}, None, items


@cache
def _suite(path: Path, changed: int) -> Suite:
    """The suite of a file as it stood after a change: to read it takes longer than a trial."""
    return load_suite(path)


def _uniform(asked: str, item: str) -> float:
    """A number in [0, 1) that depends on who is asked, and how, and the item."""
    return int(hashlib.sha256(f"{asked}/{item}".encode()).hexdigest()[:8], 16) / 2**32


class Watching(InProcessEngine):
    """Runs fakes here, keeping the specifications that it was handed.

    Meanwhile the store stays open: to open it after each of them takes a fifth of a study's time,
    and no other process waits for it. With children it is opened each time.
    """

    def __init__(self) -> None:
        super().__init__(execute)
        self.seen: list[TrialSpec] = []
        self._opened = ExitStack()

    def submit(self, spec: TrialSpec, folder: Path) -> None:
        """Keep the specification, then queue it."""
        if not self.seen:
            self._opened.enter_context(held_open(folder.parent.parent / STORE_FILE))
        self.seen.append(spec)
        super().submit(spec, folder)

    def close(self) -> None:
        """Let the store go."""
        self._opened.close()
        super().close()


def executions(results: Path) -> list[tuple[str, str]]:
    """The log as (``begin``, ``again``, ``adds`` or ``done``; trial id), in order."""
    lines = (results / LOG).read_text(encoding="utf-8").splitlines()
    return [(line.split()[0], line.split()[1]) for line in lines]


# --------------------------------------------------------------------------- a study of fakes


ARMS: dict[str, dict[str, Any]] = {
    "zero-shot": {"kind": "prompt"},
    "few-shot": {"kind": "prompt", "shots": {"low": 1, "high": 9}},
    "lora": {"kind": "lora"},
}


def _bytes() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def write_model(folder: Path) -> Path:
    """A folder that resolves as a model: configuration, tokenizer, a few bytes of weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    vocabulary = {"<|end|>": 0, **{sign: n + 1 for n, sign in enumerate(_bytes())}}
    bpe = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [
            {"id": 0, "content": "<|end|>", "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
        ],
        "pre_tokenizer": bpe,
        "decoder": bpe,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>"}', encoding="utf-8"
    )
    (folder / "model.safetensors").write_bytes(fake_weights("fake weights"))
    return folder


def fake_weights(content: str) -> bytes:
    """A file of safetensors that holds a text in place of weights."""
    return save({"weights": np.frombuffer(content.encode(), dtype=np.uint8)})


def write_data(path: Path, rows: int = 60) -> Path:
    """Labelled messages, no two alike."""
    lines = (json.dumps(row) for row in _rows(rows))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _rows(number: int) -> Iterator[dict[str, str]]:
    for n in range(number):
        word = hashlib.sha256(str(n).encode()).hexdigest()
        text = " ".join(word[start : start + 6] for start in range(0, 60, 6))
        yield {"text": text, "label": LABELS[n % len(LABELS)]}


def experiment_values(folder: Path, **changes: Any) -> dict[str, Any]:
    """The experiment file of a study of fakes whose model and data are written to ``folder``.

    Defaults are tested only where ``budget`` says so.
    """
    data = folder / "data.jsonl"
    values: dict[str, Any] = {
        "name": "pretended",
        "question": "Does the pipeline keep its word?",
        "model": str(write_model(folder / "model")),
        "data": {"source": str(data if data.exists() else write_data(data))},
        "task": {
            "instruction": "Classify.",
            "answer": {"kind": "label", "column": "label", "labels": list(LABELS)},
        },
        "arms": ARMS,
        "seeds": [1],
        "general": None,
    }
    budget = {"trials": 2, "test_default": False, **changes.pop("budget", {})}
    return {**values, "budget": budget, **changes}


def experiment(folder: Path, **changes: Any) -> Experiment:
    """The same, validated."""
    return Experiment.model_validate(experiment_values(folder, **changes))
