"""From an experiment to the trials that answer it: which there are, and what is asked of each.

Nothing here runs a model. Every identity is a hash of all that can change what it names, so a
wrong reuse cannot happen silently: a changed instruction, item, dtype or library is another key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.data import Prepared
from harness.evaluation.suites.find import Suite
from harness.models.runtime import alone
from harness.records import (
    ARTIFACT,
    TRIALS,
    Endpoint,
    GeneralTask,
    Phase,
    Pruning,
    ResolvedModel,
    Runtime,
    ScoreRequest,
    TrialSpec,
    TrialSummary,
    content_hash,
)
from harness.spec import Experiment, PromptArm
from harness.spec.instruction_sources import foreseen
from harness.spec.kinds import kind_info
from harness.spec.settings import (
    PromptSettings,
    Settings,
    TrainedSettings,
    params_of,
    settings_from,
)
from harness.study.asked_models import BASE, base_arm, template_args_of
from harness.study.brought import BroughtWeights, learnt_the_training_split, weights_of
from harness.study.commands import Commands
from harness.study.completions import CompletionsOfArms
from harness.study.identity import TrialInputs, latency_identity, trial_identity, weights_identity
from harness.study.item_sets import (
    REPLAY,
    TIMED,
    VALIDATION_LOSSES,
    Bootstrapped,
    ItemSet,
    curve_sample,
    left_out_curves,
    training_rows,
)
from harness.study.judges import Judges, endpoint_record, seats
from harness.study.score_keys import (
    ScoringContext,
    divergence_requests,
    domain_requests,
    general_request,
    in_score_batches,
    latency_request,
    memorisation_request,
    task_divergence_request,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything decided before the first trial."""

    experiment: Experiment
    """The experiment as declared."""
    prepared: Prepared
    """Its data, divided and audited."""
    model: ResolvedModel
    """The experiment's own base model."""
    runtime: Runtime
    """Where and how trials compute."""
    suite: Suite | None
    """The general suite; None where none is declared."""
    experiment_id: str
    """Id of the experiment in the store."""
    folder: Path
    """The study's folder among the results."""
    sets: dict[str, ItemSet]
    """Name of a set of items -> its file."""
    completions: CompletionsOfArms = field(default_factory=CompletionsOfArms)
    """The texts that fine-tuned arms are asked to complete."""
    models: dict[str, ResolvedModel] = field(default_factory=dict)
    """Arm -> the model it starts from, where that is not the experiment's."""
    brought: dict[str, tuple[BroughtWeights, ...]] = field(default_factory=dict)
    """Arm -> its weights, in the order of its seeds, where these were trained before."""
    starts: dict[str, BroughtWeights] = field(default_factory=dict)
    """Arm -> the adapter that its trainings go on from; those that begin anew are left out."""
    commands: Commands = field(default_factory=dict)
    """Arm -> the command that trains it, where that is the user's own."""
    date: str | None = None
    """First day of the study, YYYY-MM-DD, which chat templates that write the date are told."""
    renderings: dict[str, str] = field(default_factory=dict)
    """Arm -> what its model's chat template makes of a small conversation then."""
    judges: Judges = field(default_factory=Judges)
    """What it has of its judges."""
    writers: dict[str, ResolvedModel] = field(default_factory=dict)
    """Arm -> the local model that writes its instruction, where that is not its own."""
    writings: dict[str, dict[int, TrialSummary]] = field(default_factory=dict)
    """Arm -> repeat of its search -> the trial that wrote its instruction, once that has ended."""
    worked: Bootstrapped = field(default_factory=dict)
    """Worked examples that reason, once they are made."""
    notes: tuple[str, ...] = ()
    """What was seen of data, prompts and models, a sentence each."""

    @property
    def trials(self) -> Path:
        """Folder of all trials among the results, whichever studies name them."""
        return self.folder.parent / TRIALS

    def general_tasks(self) -> dict[str, GeneralTask]:
        """Tasks of the general suite; none without one."""
        return self.suite.general_tasks() if self.suite else {}

    def left_out(self) -> list[str]:
        """What the experiment asks for and its data cannot give, a sentence each."""
        sentences = left_out_curves(self.experiment, self.prepared.splits)
        sentences += self.completions.sentences()
        return sentences + [items.left_out for items in self.sets.values() if items.left_out]

    def search_trial(
        self,
        arm: str,
        number: int,
        settings: Settings,
        pruning: Pruning | None = None,
        repeat: int = 0,
    ) -> TrialSpec:
        """A trial of the arm's search ``repeat`` on validation, handed no path of a test set.

        Trained, it shows on some general items too what its setting forgets.
        """
        seed = self.experiment.search_seed(arm, repeat)
        trial = self._trial(arm, "search", number, seed, settings, ["validation"], pruning=pruning)
        stoppable = self.experiment.search.prompt_pruner != "none"
        prompted = isinstance(settings, PromptSettings)
        if stoppable and prompted and self.experiment.arms[arm].search_space():
            size = self.runtime.score_batch_size
            trial = replace(
                trial, scores=tuple(in_score_batches(score, size) for score in trial.scores)
            )
        general = self.experiment.general
        if self.suite is None or general is None or not self.experiment.watches_forgetting(arm):
            return trial
        asked = self._asked(arm, trial.weights_id, trial.seed, settings, None)
        requests = [
            general_request(asked, self.suite, name, general.search_items, half=True)
            for name, task in self.general_tasks().items()
            if task.accuracy
        ]
        return replace(trial, scores=(*trial.scores, *requests))

    def model_of(self, arm: str) -> ResolvedModel:
        """The model that the arm starts from."""
        return self.models.get(arm, self.model)

    def endpoint_of(self, arm: str) -> Endpoint | None:
        """The server that the arm asks, if it does."""
        spec = self.experiment.arms.get(arm)
        if not isinstance(spec, PromptArm) or spec.endpoint is None:
            return None
        ledger = self.folder / "spending" / f"{arm}.jsonl"
        return endpoint_record(spec.endpoint, self.experiment.cost.currency, str(ledger))

    def finalist(self, arm: str, position: int, seed: int, settings: Settings) -> TrialSpec:
        """The selected setting of an arm, drawn anew with ``seed``, on every held-out set."""
        trained = arm in self.experiment.trained_arms()
        names = ["validation", "test", *self.experiment.data.out_of_domain]
        if trained and learnt_the_training_split(self.experiment, arm):
            names = ["train_sample", *names]
        names += self.completions.sets_of(arm)
        return self._trial(arm, "finalist", position, seed, settings, names, general=trained)

    def baseline(self) -> TrialSpec:
        """The untouched base, asked plainly."""
        settings = base_arm(self.experiment).resolve({})
        names = ["validation", "test", *self.experiment.data.out_of_domain]
        names += [name for name, items in self.sets.items() if items.suite == "memorisation"]
        trial = self._trial(BASE, "baseline", 0, 0, settings, names, general=True)
        return replace(trial, runtime=alone(trial.runtime))

    def default_trial(self, arm: str, position: int, seed: int, settings: Settings) -> TrialSpec:
        """The setting of trial 0 of a tuned arm on test, where validation selected another."""
        return self._trial(arm, "default", position, seed, settings, ["validation", "test"])

    def curve_trial(
        self, arm: str, number: int, size: int, seed: int, settings: Settings
    ) -> TrialSpec:
        """The selected setting on the first ``size`` training examples; it is handed no test."""
        names = [curve_sample(size), "validation"]
        return self._trial(arm, "curve", number, seed, settings, names, train_items=size)

    def latency_trial(
        self, arm: str, turn: int, final: TrialSpec | TrialSummary, together: Sequence[str]
    ) -> TrialSpec:
        """Seconds of single requests of a finalist, in one turn of all arms.

        Args:
            final: the finalist, which has ended well by then.
            together: ids of the finalists that are timed with it. They are part of the trial's
                identity, so that all are timed anew where one of them is another.
        """
        settings = settings_from(final.params)
        trial = self._trial(arm, "latency", turn, final.seed, settings, [])
        timed = self.sets[TIMED]
        # All turns after the first are there to show a drift.
        limit = -(-self.experiment.latency_items // 2) if turn else None
        identity = latency_identity(final.trial_id, turn, limit, together, timed.fingerprint)
        trial_id = content_hash(identity, 20)
        trained = self.trials / final.trial_id / ARTIFACT
        return replace(
            trial,
            trial_id=trial_id,
            identity=identity,
            runtime=alone(trial.runtime),
            scores=(latency_request(trial_id, timed, limit),),
            trained_path=str(trained) if kind_info(settings.kind).trains else trial.trained_path,
        )

    def default_setting(self, arm: str) -> Settings:
        """Every hyperparameter of the arm's trial 0, as far as it is known before any search."""
        spec = foreseen(self.experiment.arms, arm)
        return spec.resolve(spec.defaults())

    def _trial(
        self,
        arm: str,
        phase: Phase,
        number: int,
        seed: int,
        settings: Settings,
        names: Sequence[str],
        *,
        general: bool = False,
        train_items: int | None = None,
        pruning: Pruning | None = None,
    ) -> TrialSpec:
        kind = kind_info(settings.kind)
        trains, tuned = kind.trains, kind.fine_tuned
        replays = isinstance(settings, TrainedSettings) and settings.uses_general_text
        brought = weights_of(self.experiment, self.brought, arm, seed)
        inputs = self._inputs(arm, seed, settings, train_items, pruning)
        identity = trial_identity(inputs)
        # All but the base's: trained here, fitted, or brought.
        weights_id = (
            ""
            if isinstance(settings, PromptSettings)
            else content_hash(weights_identity(inputs), 20)
        )
        asked = self._asked(arm, weights_id, seed, settings, train_items)
        task = self.experiment.task
        requests: list[ScoreRequest] = []
        for items in (self.sets[name] for name in names):
            if items.suite == "memorisation":
                requests.append(memorisation_request(asked, task, items))
            else:
                requests += domain_requests(asked, task, items)
        if general and tuned:
            requests.append(task_divergence_request(asked, task, self.sets["validation"]))
        if general and self.suite is not None and self.experiment.general is not None:
            rules = self.experiment.general
            for name, general_task in self.general_tasks().items():
                # What the search was shown does not judge; the base is paired with both.
                skip = rules.search_items if tuned and general_task.accuracy else 0
                limit = rules.limit if tuned else rules.asked
                requests.append(general_request(asked, self.suite, name, limit, skip=skip))
            if tuned:
                requests += divergence_requests(asked, self.suite, rules.limit)
        return TrialSpec(
            trial_id=content_hash(identity, 20),
            experiment_id=self.experiment_id,
            arm=arm,
            kind=settings.kind,
            phase=phase,
            number=number,
            seed=seed,
            params=params_of(settings),
            model=self.model_of(arm),
            task=task.model_dump(mode="json", by_alias=True),
            train_path=str(self._train(arm, settings).path),
            scores=tuple(requests),
            runtime=self.runtime,
            validation_path=str(self.sets[VALIDATION_LOSSES].path) if trains else "",
            keep_artifact=trains
            and (phase == "finalist" or (phase == "search" and self.experiment.trains_once(arm))),
            train_items=train_items,
            endpoint=self.endpoint_of(arm),
            replay_path=str(self.sets[REPLAY].path) if replays else "",
            checks_per_epoch=self.experiment.search.checks_per_epoch,
            pruning=pruning,
            date=self.date,
            template_args=template_args_of(self.experiment, arm),
            identity=identity,
            weights_id=weights_id,
            trained_path=str(brought.folder) if brought else "",
            judges=seats(self.experiment, self.judges.models, self.runtime, self.folder),
            start_path=str(self.starts[arm].folder) if arm in self.starts else "",
            command=self.commands.get(arm),
        )

    def _train(self, arm: str, settings: Settings) -> ItemSet:
        return training_rows(self.sets, self.worked, arm, settings)

    def _inputs(
        self,
        arm: str,
        seed: int,
        settings: Settings,
        train_items: int | None,
        pruning: Pruning | None,
    ) -> TrialInputs:
        model, endpoint, task = self.model_of(arm), self.endpoint_of(arm), self.experiment.task
        brought = weights_of(self.experiment, self.brought, arm, seed)
        return TrialInputs(
            model=model.fingerprint,
            server=endpoint.asked_as if endpoint else "",
            asked_by=self.experiment_id if endpoint else "",
            rendering=self.renderings.get(arm, ""),
            runtime=self.runtime,
            settings=settings,
            seed=seed,
            task=task,
            train=self._train(arm, settings).fingerprint,
            train_items=train_items,
            validation=self.sets["validation"].fingerprint,
            validation_losses=self.sets[VALIDATION_LOSSES].fingerprint,
            checks_per_epoch=self.experiment.search.checks_per_epoch,
            validation_columns=self.sets["validation"].columns,
            loss_columns=self.sets[VALIDATION_LOSSES].columns,
            general_texts=self.sets[REPLAY].fingerprint if REPLAY in self.sets else "",
            pruning=pruning,
            brought=brought.fingerprint if brought else "",
            start=self.starts[arm].fingerprint if arm in self.starts else "",
            command=self.commands.get(arm),
        )

    def _asked(
        self,
        arm: str,
        weights_id: str,
        seed: int,
        settings: Settings,
        train_items: int | None,
    ) -> ScoringContext:
        endpoint = self.endpoint_of(arm)
        if endpoint is not None:
            # What a server answers may change any day: nothing is shared between experiments.
            weights = content_hash([self.experiment_id, endpoint.asked_as])
        else:
            weights = weights_id or self.model_of(arm).fingerprint
        pool = self._train(arm, settings).fingerprint
        rendering = self.renderings.get(arm, "")
        return ScoringContext(weights, self.runtime, settings, seed, pool, train_items, rendering)
