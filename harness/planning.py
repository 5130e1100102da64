"""From an experiment to the trials that answer it: identities, score keys, trial specifications.

Nothing here runs a model. Every identity is a hash of all that can change what it names, so a
wrong reuse cannot happen silently: a changed instruction, item, dtype or library is another key.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.data import Prepared
from harness.evaluation.suites import Suite
from harness.item_sets import (
    DOMAIN,
    MEMORISATION,
    NOTHING_TO_COMPLETE,
    ItemSet,
    curve_sample,
    left_out_curves,
    write_item_sets,
)
from harness.records import (
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
BASE = "base"
# Phases in which a setting is drawn anew on each seed: its place in the list of seeds is no
# part of its identity, so that seeds can be added or reordered.
BY_SEED = ("finalist", "default", "curve")


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

    def left_out(self) -> list[str]:
        """What the experiment asks for and its data cannot give, a sentence each."""
        found = left_out_curves(self.experiment, self.prepared.splits)
        asked = self.experiment.memorisation_items and self.experiment.trained_arms()
        if asked and not self._memorisation_sets():
            found.append(NOTHING_TO_COMPLETE)
        return found

    def search_trial(self, arm: str, number: int, params: dict[str, Any]) -> TrialSpec:
        """A trial on validation. It is handed no path of a test set.

        Trained, it shows on some general items too what its setting forgets.
        """
        trial = self._trial(arm, "search", number, SEARCH_SEED, params, ["validation"])
        general = self.experiment.general
        if general is None or not general.search_limit or trial.kind == "prompt":
            return trial
        # Never more than the base is scored on: the two are paired.
        limit = min(general.search_limit, general.limit or general.search_limit)
        candidate = self._candidate_key(trial.kind, trial.trial_id)
        requests = [
            self._general_request(candidate, name, limit)
            for name, task in self.general_tasks().items()
            if task.accuracy
        ]
        return replace(trial, scores=(*trial.scores, *requests))

    def finalist(self, arm: str, position: int, seed: int, params: dict[str, Any]) -> TrialSpec:
        """The selected setting of an arm, drawn anew with ``seed``, on every held-out set."""
        trained = self.experiment.arms[arm].kind != "prompt"
        names = ["validation", "test", *self.experiment.data.out_of_domain]
        if trained:
            names = ["train_sample", *names, *self._memorisation_sets()]
        return self._trial(arm, "finalist", position, seed, params, names, general=trained)

    def baseline(self) -> TrialSpec:
        """The untouched base, asked plainly."""
        params = {"shots": 0, "selection": "fixed", "answering": "generate", "instruction": None}
        names = ["validation", "test", *self.experiment.data.out_of_domain]
        names += self._memorisation_sets()
        return self._trial(BASE, "baseline", 0, 0, params, names, general=True)

    def default_trial(self, arm: str, position: int, seed: int) -> TrialSpec:
        """The default setting of a tuned arm on test, where validation selected another one."""
        names = ["validation", "test"]
        return self._trial(arm, "default", position, seed, self.default_setting(arm), names)

    def curve_trial(
        self, arm: str, number: int, size: int, seed: int, params: dict[str, Any]
    ) -> TrialSpec:
        """The selected setting on the first ``size`` training examples; it is handed no test."""
        names = [curve_sample(size), "validation"]
        return self._trial(arm, "curve", number, seed, params, names, train_items=size)

    def default_setting(self, arm: str) -> dict[str, Any]:
        """Every hyperparameter of the arm's trial 0."""
        spec = self.experiment.arms[arm]
        return spec.resolve(spec.defaults())

    def _memorisation_sets(self) -> list[str]:
        return [name for name, items in self.sets.items() if items.task == MEMORISATION]

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
        train_items: int | None = None,
    ) -> TrialSpec:
        kind = "prompt" if phase == "baseline" else self.experiment.arms[arm].kind
        place = train_items if phase in BY_SEED else number
        trial_id = content_hash(
            [self.experiment_id, arm, kind, phase, place, seed, params, TRAINING_VERSION], 20
        )
        candidate = self._candidate_key(kind, trial_id)
        requests = [
            self._memorisation_request(candidate, name)
            if self.sets[name].task == MEMORISATION
            else self._domain_request(candidate, seed, params, name, train_items)
            for name in names
        ]
        trains = kind != "prompt"
        if general and self.experiment.general is not None:
            limit = self.experiment.general.limit
            tasks = self.general_tasks()
            requests += [self._general_request(candidate, task, limit) for task in tasks]
            if trains:
                requests += self._divergence_requests(candidate, limit)
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
            train_items=train_items,
        )

    def _candidate_key(self, kind: str, trial_id: str) -> dict[str, Any]:
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
        seed: int,
        params: dict[str, Any],
        name: str,
        train_items: int | None,
    ) -> ScoreRequest:
        items = self.sets[name]
        pool = self.sets["train"].fingerprint
        drawn = params["shots"] and params["selection"] in ("random", "balanced")
        prompt = {
            "task": self.experiment.task.model_dump(mode="json", by_alias=True),
            "instruction": params["instruction"],
            "answering": params["answering"],
            "shots": params["shots"],
            "selection": params["selection"] if params["shots"] else "",
            "seed": seed if drawn else None,
            # Shots, label lists and the room for an answer all come from the training split.
            "pool": pool if train_items is None else [pool, train_items],
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

    def _memorisation_request(self, candidate: dict[str, Any], name: str) -> ScoreRequest:
        items = self.sets[name]
        content = {
            "candidate": candidate,
            "completed": self.experiment.task.template,
            "items": items.fingerprint,
        }
        return ScoreRequest(
            key=content_hash(content, 40),
            task=MEMORISATION,
            suite="memorisation",
            split=items.split,
            items_path=str(items.path),
        )

    def _divergence_requests(
        self, candidate: dict[str, Any], limit: int | None
    ) -> list[ScoreRequest]:
        """One on the first text task of the suite; none where it has no text."""
        text = self.suite.text_task() if self.suite else None
        if text is None:
            return []
        general = self._general_request(candidate, text, limit)
        key = content_hash([general.key, "divergence"], 40)
        return [replace(general, key=key, suite="divergence")]

    def _general_request(
        self, candidate: dict[str, Any], task: str, limit: int | None
    ) -> ScoreRequest:
        if self.suite is None:
            raise ValueError("the experiment has no general suite")
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
    sets = write_item_sets(experiment, prepared.splits, folder / "splits")
    return Plan(experiment, prepared, model, runtime, suite, experiment_id, folder, sets)


def accesses_to_test(spec: TrialSpec) -> list[dict[str, Any]]:
    """What the store notes before a trial runs: a record for each set of test items it reads."""
    purpose = f"final score of the {spec.phase}"
    if spec.phase == "default":
        purpose = "test of the default setting, to show what tuning gained"
    return [
        {
            "trial_id": spec.trial_id,
            "arm": spec.arm,
            "seed": spec.seed,
            "task": request.task,
            "phase": spec.phase,
            "purpose": purpose,
        }
        for request in spec.scores
        if request.suite in ("domain", "out_of_domain")
        and request.split == "test"
        and request.key not in spec.known_scores
    ]


def _library_versions() -> dict[str, str]:
    names = ("torch", "transformers", "lm_eval", "peft", "bitsandbytes")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {"scoring": str(SCORING_VERSION), **versions}
