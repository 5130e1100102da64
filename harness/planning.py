"""From an experiment to the trials that answer it: identities, score keys, trial specifications.

Nothing here runs a model. Every identity is a hash of all that can change what it names, so a
wrong reuse cannot happen silently: a changed instruction, item, dtype or library is another key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from harness.data import Prepared, fingerprint
from harness.evaluation.suites import Suite
from harness.item_sets import (
    MEMORISATION,
    NOTHING_TO_COMPLETE,
    REPLAY,
    ItemSet,
    curve_sample,
    left_out_curves,
    replay_texts,
    write_item_sets,
)
from harness.records import (
    Endpoint,
    GeneralTask,
    Phase,
    Pruning,
    ResolvedModel,
    Runtime,
    TrialSpec,
    content_hash,
    study_folder,
)
from harness.score_keys import (
    Asked,
    divergence_requests,
    domain_request,
    general_request,
    in_waves,
    library_versions,
    memorisation_request,
)
from harness.spec import Experiment, ModelSpec, PromptArm

# Raised when training changes in a way that changes numbers.
TRAINING_VERSION = 3
# Search trials share one seed, which is none of the finalists': finalists are fresh draws.
SEARCH_SEED = 1_000_003
BASE = "base"
M = TypeVar("M")
# Phases in which a setting is drawn anew on each seed: its place in the list of seeds is no
# part of its identity, so that seeds can be added or reordered.
BY_SEED = ("finalist", "default", "curve")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything decided before the first trial.

    models: arm -> the model it starts from, where that is not the experiment's.
    date: the day on which the study began, as YYYY-MM-DD: what chat templates that write the date
        are told on every later day, too.
    renderings: path of a model -> what its chat template makes of a small conversation then.
    notes: what was seen of data, prompts and models, a sentence each.
    """

    experiment: Experiment
    prepared: Prepared
    model: ResolvedModel
    runtime: Runtime
    suite: Suite | None
    experiment_id: str
    folder: Path
    sets: dict[str, ItemSet]
    models: dict[str, ResolvedModel] = field(default_factory=dict)
    date: str | None = None
    renderings: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def general_tasks(self) -> dict[str, GeneralTask]:
        """Tasks of the general suite; none without one."""
        return self.suite.general_tasks() if self.suite else {}

    def left_out(self) -> list[str]:
        """What the experiment asks for and its data cannot give, a sentence each."""
        found = left_out_curves(self.experiment, self.prepared.splits)
        asked = self.experiment.memorisation_items and self.experiment.trained_arms()
        if asked and not self._memorisation_sets():
            found.append(NOTHING_TO_COMPLETE)
        return found + [items.left_out for items in self.sets.values() if items.left_out]

    def search_trial(
        self, arm: str, number: int, params: dict[str, Any], pruning: Pruning | None = None
    ) -> TrialSpec:
        """A trial on validation. It is handed no path of a test set.

        Trained, it shows on some general items too what its setting forgets.
        """
        trial = self._trial(arm, "search", number, SEARCH_SEED, params, ["validation"])
        trial = replace(trial, pruning=pruning)
        stoppable = self.experiment.search.prompt_pruner != "none"
        if trial.kind == "prompt" and stoppable and self.experiment.arms[arm].search_space():
            size = self.runtime.score_batch_size
            trial = replace(trial, scores=tuple(in_waves(one, size) for one in trial.scores))
        general = self.experiment.general
        if self.suite is None or general is None or not self.watches_forgetting(arm):
            return trial
        # Never more than the base is scored on: the two are paired.
        limit = min(general.search_limit, general.limit or general.search_limit)
        asked = self._asked(arm, trial.kind, trial.trial_id, trial.seed, params, None)
        requests = [
            general_request(asked, self.suite, name, limit)
            for name, task in self.general_tasks().items()
            if task.accuracy
        ]
        return replace(trial, scores=(*trial.scores, *requests))

    def watches_forgetting(self, arm: str) -> bool:
        """Whether the arm's search trials are scored on some general items too."""
        general = self.experiment.general
        trained = self.experiment.arms[arm].kind != "prompt"
        return trained and general is not None and bool(general.search_limit)

    def model_of(self, arm: str) -> ResolvedModel:
        """The model that the arm starts from."""
        return self.models.get(arm, self.model)

    def endpoint_of(self, arm: str) -> Endpoint | None:
        """The server that the arm asks, if it does."""
        spec = self.experiment.arms.get(arm)
        if not isinstance(spec, PromptArm) or spec.endpoint is None:
            return None
        ledger = self.folder / "spending" / f"{arm}.jsonl"
        return Endpoint(
            **spec.endpoint.model_dump(),
            currency=self.experiment.cost.currency,
            ledger=str(ledger),
        )

    def finalist(self, arm: str, position: int, seed: int, params: dict[str, Any]) -> TrialSpec:
        """The selected setting of an arm, drawn anew with ``seed``, on every held-out set."""
        trained = self.experiment.arms[arm].kind != "prompt"
        names = ["validation", "test", *self.experiment.data.out_of_domain]
        if trained:
            names = ["train_sample", *names, *self._memorisation_sets()]
        return self._trial(arm, "finalist", position, seed, params, names, general=trained)

    def baseline(self) -> TrialSpec:
        """The untouched base, asked plainly."""
        params = base_arm(self.experiment).resolve({})
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
        replays = bool(params.get("replay") or params.get("kl_weight"))
        identity = [self.experiment_id, arm, kind, phase, place, seed, params, TRAINING_VERSION]
        if arm in self.models:
            identity.append(self.models[arm].fingerprint)
        if replays:
            identity.append(self.sets[REPLAY].fingerprint)
        if params["chat"] and (rendering := self.renderings.get(self.model_of(arm).path)):
            identity.append(rendering)
        trial_id = content_hash(identity, 20)
        asked = self._asked(arm, kind, trial_id, seed, params, train_items)
        task = self.experiment.task
        requests = [
            memorisation_request(asked, task, self.sets[name])
            if self.sets[name].task == MEMORISATION
            else domain_request(asked, task, self.sets[name])
            for name in names
        ]
        trains = kind != "prompt"
        if general and self.suite is not None and self.experiment.general is not None:
            limit = self.experiment.general.limit
            tasks = self.general_tasks()
            requests += [general_request(asked, self.suite, name, limit) for name in tasks]
            if trains:
                requests += divergence_requests(asked, self.suite, limit)
        return TrialSpec(
            trial_id=trial_id,
            experiment_id=self.experiment_id,
            arm=arm,
            kind=kind,
            phase=phase,
            number=number,
            seed=seed,
            params=params,
            model=self.model_of(arm),
            task=task.model_dump(mode="json", by_alias=True),
            train_path=str(self.sets["train"].path),
            scores=tuple(requests),
            runtime=self.runtime,
            validation_path=str(self.sets["validation"].path) if trains else "",
            keep_artifact=phase == "finalist" and trains,
            train_items=train_items,
            endpoint=self.endpoint_of(arm),
            replay_path=str(self.sets[REPLAY].path) if replays else "",
            checks_per_epoch=self.experiment.search.checks_per_epoch,
            date=self.date,
        )

    def _asked(
        self,
        arm: str,
        kind: str,
        trial_id: str,
        seed: int,
        params: dict[str, Any],
        train_items: int | None,
    ) -> Asked:
        endpoint = self.endpoint_of(arm)
        if endpoint is not None:
            # What a server answers may change any day: nothing is shared between experiments.
            weights = content_hash([self.experiment_id, endpoint.url, endpoint.model])
        else:
            weights = self.model_of(arm).fingerprint if kind == "prompt" else trial_id
        pool = self.sets["train"].fingerprint
        rendering = self.renderings.get(self.model_of(arm).path, "")
        return Asked(weights, self.runtime, params, seed, pool, train_items, rendering)


def base_arm(experiment: Experiment) -> PromptArm:
    """How the untouched base is asked: plainly, through its chat template if any arm is."""
    own = [
        arm
        for arm in experiment.arms.values()
        if not (isinstance(arm, PromptArm) and arm.asks_another_model)
    ]
    chat = not own or any(True in arm.values_of("chat") for arm in own)
    return PromptArm(kind="prompt", chat=chat)


def models_of(experiment: Experiment, find: Callable[[ModelSpec], M]) -> dict[str, M]:
    """What ``find`` makes of the model of the base and of each arm that asks a local one."""
    base = find(experiment.model)
    found = {BASE: base}
    for arm, spec in experiment.arms.items():
        if not isinstance(spec, PromptArm) or not spec.asks_another_model:
            found[arm] = base
        elif spec.model is not None:
            found[arm] = find(spec.model)
    return found


def make_plan(
    experiment: Experiment,
    prepared: Prepared,
    model: ResolvedModel,
    runtime: Runtime,
    suite: Suite | None,
    results: Path,
    models: dict[str, ResolvedModel] | None = None,
) -> Plan:
    """Fix the experiment's identity and write its item sets under ``results``."""
    texts = replay_texts(experiment, prepared.splits)
    experiment_id = content_hash(
        {
            "spec": experiment.trial_identity(),
            "data": prepared.fingerprint,
            "model": model.fingerprint,
            "models": {arm: own.fingerprint for arm, own in (models or {}).items()},
            "suite": suite.fingerprint if suite else "",
            "device": runtime.device.partition(":")[0],
            "dtype": runtime.dtype,
            "versions": library_versions(),
            **({"replay": fingerprint({REPLAY: texts.examples})} if texts else {}),
        }
    )
    folder = results.resolve() / study_folder(experiment.name, experiment_id)
    sets = write_item_sets(experiment, prepared.splits, folder / "splits", texts)
    models = models or {}
    return Plan(experiment, prepared, model, runtime, suite, experiment_id, folder, sets, models)


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
