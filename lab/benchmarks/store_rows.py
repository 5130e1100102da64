"""A store of many item scores, made up: SQL draws them inside DuckDB, in the store's own tables.

    python -m lab.benchmarks.store_rows FOLDER [--rows 10000000]

One large experiment and some small ones: prompt and trained arms, their searches, finalists with
three seeds, the domain's splits, two sets from elsewhere, general tasks, two metrics.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from harness.records import (
    LEAK_KINDS,
    AuditRecord,
    DataRecord,
    ExperimentRecord,
    GeneralTask,
    ResolvedModel,
    content_hash,
    to_json,
)
from harness.spec import Experiment
from harness.spec.spaces import Choice, FloatRange
from harness.store import STORE_FILE, StoreWriter
from harness.store.connection import transaction

NOW = "2026-01-02T03:04:05+00:00"
LARGEST = "large"
SMALL_STUDIES = 9
SEEDS = (1, 2, 3)
STEPS = 60
SEARCH_LIMIT = 16
GENERAL = {f"general_{n}": GeneralTask("acc", True, True, 0.25) for n in range(6)}
ELSEWHERE = ("forum", "letters")
SKILL = {"prompt": 0.55, "full": 0.72, "lora": 0.74, "qlora": 0.71}
MODEL = ResolvedModel("base-1b", "/models/base-1b", "f" * 64)
# More settings than the largest study has trials, for an arm is not searched beyond its settings.
SHOWN = {
    "selection": {"choices": ["random", "balanced", "nearest", "bm25"]},
    "order": {"choices": ["selected", "reversed", "shuffled"]},
}
ASKED = {"choices": ["Sort the ticket. Reply with JSON.", "Reply with its topic and urgency."]}
ARMS: dict[str, dict[str, Any]] = {
    "zero-shot": {"kind": "prompt"},
    "few-shot": {"kind": "prompt", "shots": {"low": 0, "high": 16}, **SHOWN},
    "instructed": {
        "kind": "prompt",
        "shots": {"low": 0, "high": 8},
        "instruction": ASKED,
        **SHOWN,
    },
    "full": {"kind": "full", "epochs": {"low": 1, "high": 4}},
    "lora": {"kind": "lora", "rank": {"low": 4, "high": 64}},
    "qlora": {"kind": "qlora", "rank": {"low": 4, "high": 64}},
}
ANSWER = {
    "kind": "json",
    "columns": {"topic": "topic", "urgency": "urgency"},
    "schema": {
        "type": "object",
        "properties": {"topic": {"type": "string"}, "urgency": {"type": "integer"}},
        "required": ["topic", "urgency"],
    },
}

_TRIALS = """
INSERT INTO trial BY NAME
SELECT trial_id, json_object('trial', trial_id) AS identity, kind, seed, status,
       CASE status WHEN 'failed' THEN 'out_of_memory' ELSE '' END AS failure_kind,
       CASE status WHEN 'failed' THEN 'needed 90 GiB' ELSE '' END AS failure_message,
       $now AS started_at, $now AS ended_at, params,
       json_object('trial_id', trial_id, 'params', params::JSON, 'train_items', NULL) AS spec,
       '{}' AS environment, 4.0 AS load_seconds, 300.0 AS train_seconds, 40.0 AS score_seconds,
       500000 AS train_tokens, 9000.0 AS peak_memory_mib, 1000000000 AS total_parameters,
       10000000 AS trainable_parameters, 10000000 AS artifact_bytes, trial_id AS content_hash,
       $now AS ingested_at
FROM trials_drawn
"""
_STEPS = """
INSERT INTO training_step BY NAME
SELECT trial_id, n AS step, $steps AS steps, 2.0 * n / $steps AS epoch, 0.3 + 1.5 / n AS loss,
       5e-4 AS learning_rate, 1.0 AS grad_norm, n * 4000 AS tokens, n * 2.5 AS seconds,
       CASE WHEN n % 20 = 0 THEN 0.4 + 1.4 / n END AS validation_loss
FROM trials_drawn, range(1, $steps + 1) AS r(n) WHERE kind <> 'prompt' ORDER BY trial_id, n
"""
_SCORES = """
INSERT INTO score
SELECT score_key, score_key, trial_id, task, suite, split, 'base', 12.0,
       CASE suite WHEN 'general' THEN 0.25 END,
       CASE WHEN suite = 'domain' AND split = 'test' THEN [0.11, 0.12, 0.13] ELSE [] END,
       count(*), sum(prompt_tokens), sum(completion_tokens)
FROM scores_drawn JOIN item_output USING (score_key) GROUP BY ALL
"""
_NAMES = """
INSERT INTO study_trial BY NAME
SELECT experiment_id, arm, phase, number, trial_id FROM trials_drawn
"""
_LINKS = """
INSERT INTO study_score
SELECT n.entry, d.score_key, d.task, d.suite, d.split, ''
FROM scores_drawn d JOIN study_trial n USING (trial_id)
"""
_OUTPUTS = """
INSERT INTO item_output
SELECT score_key, n, sha256(concat_ws('/', experiment_id, task, split, n)),
       concat(split, '-', n),
       CASE suite WHEN 'general' THEN '' ELSE concat('customer-', n // 2) END,
       concat('{"topic":"billing","urgency":', n % 4, '}'),
       concat('{"topic":"billing","urgency":', hash(score_key, n) % 4, '}'),
       60 + hash(n) % 80, 8 + hash(score_key, n) % 6,
       CASE suite WHEN 'general' THEN ''
       ELSE concat('my parcel ', n, ' of order ', hash(n), ' is late again, please refund it') END,
       NULL
FROM scores_drawn, unnest(range(items)) AS r(n) ORDER BY place, n
"""
# A right answer is right by every metric; a wrong one has half of its fields right, or none.
_ITEM_SCORES = """
INSERT INTO item_score
SELECT score_key, sha256(concat_ws('/', experiment_id, task, split, n)), 'none', 0, metric,
       CASE WHEN hash(score_key, n) % 1000 < 1000 * skill THEN 1.0
            WHEN metric = 'field_f1' AND hash(n) % 2 = 0 THEN 0.5 ELSE 0.0 END
FROM scores_drawn, unnest(metrics) AS m(metric), unnest(range(items)) AS r(n)
ORDER BY place, metric, n
"""
_METRICS = """
INSERT INTO score_metric BY NAME
SELECT score_key, metric, avg(value) AS value, true AS higher_is_better FROM item_score
WHERE score_key IN (SELECT score_key FROM scores_drawn) GROUP BY ALL
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much a store holds."""

    trials: int
    """Trials of each tuned arm."""
    domain: int
    """Items of a domain split."""
    general: int
    """Items of a general task."""


def make_store(folder: Path, rows: int) -> Path:
    """Write a store of about ``rows`` item scores into ``folder``, unless it is there."""
    path = folder / STORE_FILE
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / "unfinished.duckdb"
        unfinished.unlink(missing_ok=True)
        writer = StoreWriter(unfinished, now=lambda: NOW)
        share = rows / 10_000_000
        for number in range(SMALL_STUDIES):
            _write(writer, f"small-{number}", Size(24, max(4, round(700 * share)), 100))
        _write(writer, LARGEST, Size(200, max(4, round(3500 * share)), 200))
        unfinished.rename(path)
    return path


def _write(writer: StoreWriter, name: str, size: Size) -> None:
    identity = content_hash(name, 20)
    experiment = _experiment(name, size)
    writer.declare(_record(identity, experiment, size), who="benchmark")
    trials = list(_trials(identity, experiment))
    scores = [score for trial in trials for score in _scores(trial, size)]
    for place, score in enumerate(scores):
        score["place"] = place
    with transaction(writer.path) as connection:
        for table, drawn in (("trials_drawn", trials), ("scores_drawn", scores)):
            connection.register(table, pa.Table.from_pylist(drawn))
        connection.execute(_TRIALS, {"now": NOW})
        connection.execute(_STEPS, {"steps": STEPS})
        for statement in (_NAMES, _LINKS, _OUTPUTS, _SCORES, _ITEM_SCORES, _METRICS):
            connection.execute(statement)
    with writer.held_open():
        for trial in trials:
            if trial["phase"] == "finalist":
                look = {key: trial[key] for key in ("trial_id", "arm", "seed")}
                look |= {"task": "domain", "purpose": "final score"}
                writer.record_event(identity, "test_access", look, who="benchmark")


def _experiment(name: str, size: Size) -> Experiment:
    return Experiment.model_validate(
        {
            "name": name,
            "model": MODEL.reference,
            "data": {
                "source": "tickets.jsonl",
                "group": "customer",
                "out_of_domain": {one: f"{one}.jsonl" for one in ELSEWHERE},
            },
            "task": {
                "instruction": "Sort the ticket. Reply with JSON.",
                "answer": ANSWER,
                "metrics": ["exact_match", "field_f1"],
            },
            "arms": ARMS,
            "budget": {"trials": size.trials},
            "seeds": SEEDS,
            "general": {"limit": size.general, "search_limit": SEARCH_LIMIT},
            "contrast": {"margin": 0.03},
        }
    )


def _record(identity: str, experiment: Experiment, size: Size) -> ExperimentRecord:
    return ExperimentRecord(
        experiment_id=identity,
        name=experiment.name,
        created_at=NOW,
        spec=experiment.plain(),
        splits=dict.fromkeys(("train", "validation", "test"), size.domain),
        data=_data(identity, size),
        model=MODEL,
        environment={"torch": "2.13.0", "dtype": "bfloat16"},
        general_tasks=GENERAL,
    )


def _data(identity: str, size: Size) -> DataRecord:
    splits = ("train", "validation", "test")
    judged = splits[1:]
    none: tuple[str, ...] = ()
    return DataRecord(
        source="data.jsonl",
        fingerprint=identity,
        test_fingerprint=identity,
        available=dict.fromkeys(splits, size.domain),
        groups=dict.fromkeys(splits, size.domain),
        answers={},
        dropped_rows=0,
        audit=AuditRecord(
            found={split: dict.fromkeys(LEAK_KINDS, 0) for split in judged},
            dropped_from_train=0,
            flagged={split: dict.fromkeys(LEAK_KINDS, none) for split in judged},
            selection=dict.fromkeys(LEAK_KINDS, none),
            general={},
            general_not_audited=(),
            shared_groups=dict.fromkeys(judged, 0),
            strongest=(),
        ),
    )


def _trials(identity: str, experiment: Experiment) -> Iterator[dict[str, Any]]:
    """Rows of ``trials_drawn``: the base, the searches, then the finalists."""
    generator = np.random.default_rng(int(identity[:8], 16))

    def drawn(arm: str, phase: str, number: int, seed: int, params: str) -> dict[str, Any]:
        kind = "prompt" if arm == "base" else experiment.arms[arm].kind
        failed = phase == "search" and number > 0 and generator.random() < 0.02
        return {
            "trial_id": content_hash([identity, arm, phase, number, seed], 20),
            "experiment_id": identity,
            "arm": arm,
            "kind": kind,
            "phase": phase,
            "number": number,
            "seed": seed,
            "status": "failed" if failed else "complete",
            "params": params,
            "skill": SKILL[kind] + float(generator.normal(0, 0.03)),
        }

    yield drawn("base", "baseline", 0, 0, "{}")
    for arm in experiment.arms:
        chosen = _setting(experiment, arm, None)
        yield drawn(arm, "search", 0, 0, chosen)
        for number in range(1, experiment.trials_of(arm)):
            yield drawn(arm, "search", number, 0, _setting(experiment, arm, generator))
        for seed in experiment.seeds:
            yield drawn(arm, "finalist", 0, seed, chosen)


def _setting(experiment: Experiment, arm: str, generator: np.random.Generator | None) -> str:
    """A setting within the arm's search space, as JSON; its defaults without a generator."""
    spec = experiment.arms[arm]
    values = spec.defaults()
    for name, space in spec.search_space().items() if generator else ():
        assert generator is not None
        match space:
            case Choice():
                values[name] = space.choices[int(generator.integers(len(space.choices)))]
            case FloatRange():
                values[name] = float(np.exp(generator.uniform(*np.log([space.low, space.high]))))
            case _:
                values[name] = int(generator.integers(space.low, space.high + 1))
    return to_json(spec.resolve(values))


def _scores(trial: dict[str, Any], size: Size) -> Iterator[dict[str, Any]]:
    """Rows of ``scores_drawn``: what the trial was scored on."""
    if trial["status"] != "complete":
        return
    search, trained = trial["phase"] == "search", trial["kind"] != "prompt"
    splits = ["validation"] if search else ["validation", "test", *(["train"] * trained)]
    places = [("domain", "domain", split, size.domain) for split in splits]
    if not search:
        places += [(one, "out_of_domain", "test", size.domain // 2) for one in ELSEWHERE]
    if trained or trial["arm"] == "base":
        count = SEARCH_LIMIT if search else size.general
        places += [(task, "general", "test", count) for task in GENERAL]
    for task, suite, split, items in places:
        yield {
            "trial_id": trial["trial_id"],
            "experiment_id": trial["experiment_id"],
            "skill": trial["skill"],
            "score_key": content_hash([trial["trial_id"], task, split]),
            "task": task,
            "suite": suite,
            "split": split,
            "items": items,
            "metrics": ["acc"] if suite == "general" else ["exact_match", "field_f1"],
        }


def main() -> None:
    """Make the store and say how many item scores it has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args()
    path = make_store(options.folder, options.rows)
    with duckdb.connect(str(path), read_only=True) as connection:
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM item_score), (SELECT count(*) FROM item_output), "
            "(SELECT count(*) FROM trial)"
        ).fetchone()
    assert counts is not None
    print("item scores: {:,}; outputs: {:,}; trials: {:,}".format(*counts))
    print(f"{path}: {path.stat().st_size / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
