"""From an experiment to the trials that answer it: identities, score keys, trial specifications.

Nothing here runs a model. Every identity is a hash of all that can change what it names, so a
wrong reuse cannot happen silently: a changed instruction, item, dtype or library is another key.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.data import Prepared, fingerprint, write_examples
from harness.evaluation.suites import Suite
from harness.records import (
    Example,
    GeneralTask,
    Phase,
    ResolvedModel,
    Runtime,
    ScoreRequest,
    TrialSpec,
    content_hash,
)
from harness.spec import Experiment

# Raised when scoring or training changes in a way that changes numbers.
SCORING_VERSION = 1
TRAINING_VERSION = 1
# Search trials share one seed, which is none of the finalists': finalists are fresh draws.
SEARCH_SEED = 1_000_003
DOMAIN = "domain"
BASE = "base"


@dataclass(frozen=True, slots=True)
class ItemSet:
    """Examples on disk, as a trial is handed them. split: as in :class:`ScoreRequest`."""

    task: str
    split: str
    path: Path
    fingerprint: str
    examples: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything decided before the first trial."""

    experiment: Experiment
    prepared: Prepared
    model: ResolvedModel
    runtime: Runtime
    suite: Suite | None
    experiment_id: str
    folder: Path
    sets: dict[str, ItemSet]

    def general_tasks(self) -> dict[str, GeneralTask]:
        """Tasks of the general suite; none without one."""
        return self.suite.general_tasks() if self.suite else {}

    def search_trial(self, arm: str, number: int, params: dict[str, Any]) -> TrialSpec:
        """A trial on validation. It is handed no path of a test set."""
        return self._trial(arm, "search", number, SEARCH_SEED, params, ["validation"])

    def finalist(self, arm: str, position: int, seed: int, params: dict[str, Any]) -> TrialSpec:
        """The selected setting of an arm, drawn anew with ``seed``, on every held-out set."""
        trained = self.experiment.arms[arm].kind != "prompt"
        names = ["validation", "test", *self.experiment.data.out_of_domain]
        if trained:
            names.insert(0, "train_sample")
        return self._trial(arm, "finalist", position, seed, params, names, general=trained)

    def baseline(self) -> TrialSpec:
        """The untouched base, asked plainly."""
        params = {"shots": 0, "selection": "fixed", "answering": "generate", "instruction": None}
        names = ["test", *self.experiment.data.out_of_domain]
        return self._trial(BASE, "baseline", 0, 0, params, names, general=True)

    def _trial(
        self,
        arm: str,
        phase: Phase,
        number: int,
        seed: int,
        params: dict[str, Any],
        names: Sequence[str],
        *,
        general: bool = False,
    ) -> TrialSpec:
        kind = "prompt" if phase == "baseline" else self.experiment.arms[arm].kind
        # A finalist is known by its seed, wherever that stands in the list of seeds.
        place = None if phase == "finalist" else number
        trial_id = content_hash(
            [self.experiment_id, arm, kind, phase, place, seed, params, TRAINING_VERSION], 20
        )
        candidate = self._candidate_key(kind, seed, params, trial_id)
        requests = [self._domain_request(candidate, kind, seed, params, name) for name in names]
        if general and self.suite is not None:
            requests += [self._general_request(candidate, task) for task in self.general_tasks()]
        trains = kind != "prompt"
        return TrialSpec(
            trial_id=trial_id,
            experiment_id=self.experiment_id,
            arm=arm,
            kind=kind,
            phase=phase,
            number=number,
            seed=seed,
            params=params,
            model=self.model,
            task=self.experiment.task.model_dump(mode="json", by_alias=True),
            train_path=str(self.sets["train"].path),
            scores=tuple(requests),
            runtime=self.runtime,
            validation_path=str(self.sets["validation"].path) if trains else "",
            keep_artifact=phase == "finalist" and trains,
        )

    def _candidate_key(
        self, kind: str, seed: int, params: dict[str, Any], trial_id: str
    ) -> dict[str, Any]:
        """What is scored, but for the prompt: weights, form, machine arithmetic, libraries."""
        return {
            "weights": self.model.fingerprint if kind == "prompt" else trial_id,
            "device": self.runtime.device.partition(":")[0],
            "dtype": self.runtime.dtype,
            "batch": self.runtime.score_batch_size,
            "versions": _library_versions(),
        }

    def _domain_request(
        self,
        candidate: dict[str, Any],
        kind: str,
        seed: int,
        params: dict[str, Any],
        name: str,
    ) -> ScoreRequest:
        items = self.sets[name]
        drawn = params["shots"] and params["selection"] in ("random", "balanced")
        prompt = {
            "task": self.experiment.task.model_dump(mode="json", by_alias=True),
            "instruction": params["instruction"],
            "answering": params["answering"],
            "shots": params["shots"],
            "selection": params["selection"] if params["shots"] else "",
            "seed": seed if drawn else None,
            # Shots, label lists and the room for an answer all come from the training split.
            "pool": self.sets["train"].fingerprint,
        }
        key = content_hash(
            {"candidate": candidate, "prompt": prompt, "items": items.fingerprint}, 40
        )
        domain = items.task == DOMAIN
        return ScoreRequest(
            key=key,
            task=items.task,
            suite="domain" if domain else "out_of_domain",
            split=items.split,
            items_path=str(items.path),
        )

    def _general_request(self, candidate: dict[str, Any], task: str) -> ScoreRequest:
        if self.suite is None or self.experiment.general is None:
            raise ValueError("the experiment has no general suite")
        limit = self.experiment.general.limit
        key = content_hash(
            {
                "candidate": candidate,
                "suite": self.suite.fingerprint,
                "task": task,
                "limit": limit,
            },
            40,
        )
        return ScoreRequest(
            key=key,
            task=task,
            suite="general",
            split="test",
            suite_path=str(self.suite.path),
            limit=limit,
        )


def make_plan(
    experiment: Experiment,
    prepared: Prepared,
    model: ResolvedModel,
    runtime: Runtime,
    suite: Suite | None,
    results: Path,
) -> Plan:
    """Fix the experiment's identity and write its item sets under ``results``."""
    experiment_id = content_hash(
        {
            "spec": experiment.trial_identity(),
            "data": prepared.fingerprint,
            "model": model.fingerprint,
            "suite": suite.fingerprint if suite else "",
            "device": runtime.device.partition(":")[0],
            "dtype": runtime.dtype,
            "versions": _library_versions(),
        }
    )
    folder = results.resolve() / f"{experiment.name}-{experiment_id[:8]}"
    splits = prepared.splits
    wanted = experiment.train_gap_items or len(splits.test)
    named: dict[str, tuple[str, str, tuple[Example, ...]]] = {
        "train": (DOMAIN, "train", splits.train),
        "train_sample": (DOMAIN, "train", _sample(splits.train, wanted)),
        "validation": (DOMAIN, "validation", splits.validation),
        "test": (DOMAIN, "test", splits.test),
        **{name: (name, "test", items) for name, items in splits.out_of_domain.items()},
    }
    sets: dict[str, ItemSet] = {}
    for name, (task, split, examples) in named.items():
        digest = fingerprint({name: examples})
        # Named by content: the training sample may change size while the experiment stays.
        path = folder / "splits" / f"{name}-{digest[:8]}.parquet"
        if not path.exists():
            write_examples(path, examples)
        sets[name] = ItemSet(task, split, path, digest, len(examples))
    return Plan(experiment, prepared, model, runtime, suite, experiment_id, folder, sets)


def _sample(examples: Sequence[Example], size: int) -> tuple[Example, ...]:
    if len(examples) <= size:
        return tuple(examples)
    chosen = np.random.default_rng(0).permutation(len(examples))[:size]
    return tuple(examples[i] for i in sorted(chosen.tolist()))


def _library_versions() -> dict[str, str]:
    names = ("torch", "transformers", "lm_eval", "peft", "bitsandbytes")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {"scoring": str(SCORING_VERSION), **versions}
