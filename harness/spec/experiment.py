"""The experiment: one frozen value that says all that a study will do."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from harness.records import JUDGING_FIELDS, SEARCH_SEED, content_hash
from harness.records.frozen_spec import FrozenSpec
from harness.spec.answering import check_answering, check_bootstrapped, check_writing
from harness.spec.arm_base import ORIGIN_FIELDS, STUDY_FIELDS
from harness.spec.arms import Arm, PromptArm, TrainedArm
from harness.spec.brought_arm import BroughtArm
from harness.spec.contrast import check_contrast, check_margin
from harness.spec.conversations import check_conversations, with_template_of_conversations
from harness.spec.data import DataSpec
from harness.spec.decision import Constraints, ContrastSpec, CostSpec
from harness.spec.endpoint import TERMS
from harness.spec.instruction import without_terms
from harness.spec.instruction_sources import check_sources, instruction_source
from harness.spec.judges import JudgeSpec
from harness.spec.kinds import kind_info
from harness.spec.model import ModelSpec, from_reference
from harness.spec.names import Column, checked_name, distinct_files
from harness.spec.search import Budget, ExecutionSpec, SearchSpec
from harness.spec.shown_columns import check_columns, shown_columns
from harness.spec.spaces import Count, PositiveInt
from harness.spec.task import TaskSpec


class ReplaySpec(FrozenSpec):
    """General text that fine-tuning may be mixed with, against forgetting."""

    source: str = Field(
        "packaged:general-text", min_length=1, description="File, packaged name or hub data set."
    )
    column: Column = Field("text", description="Column that holds the text.")
    limit: PositiveInt = Field(256, description="At most this many texts, the first ones.")


class GeneralSpec(FrozenSpec):
    """What the base could already do, and how much of it may be lost."""

    suite: str = Field("general-mini", description="Suite name, or path of a suite YAML.")
    margin: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="Loss of accuracy (0 to 1) that is still called no forgetting."
    )
    limit: PositiveInt | None = Field(
        None, description="At most this many items a task, beside those of search_limit."
    )
    search_limit: Count = Field(
        16,
        description="Items a task on which the search trials of fine-tuned arms are scored too, "
        "to show learning against forgetting for every setting tried: at most `limit`, and at most "
        "half of the task's. Finalists are judged on others. 0 leaves this out.",
    )
    replay: ReplaySpec = Field(
        default_factory=ReplaySpec,
        description="Text for arms with replay or kl_weight; none that the suite asks about.",
    )

    @property
    def search_items(self) -> int:
        """Items of a task that search trials are asked at most: no more than judge afterwards."""
        return min(self.search_limit, self.limit or self.search_limit)

    @property
    def asked(self) -> int | None:
        """Items of a task that are asked of anyone at most: those of the search and the judging."""
        return None if self.limit is None else self.search_items + self.limit


class Experiment(FrozenSpec):
    """One study, from question to verdict."""

    name: str = Field(description="Short name: letters, digits, dot, dash, underscore.")
    question: str = Field("", description="What the study is to decide, in a sentence.")
    model: ModelSpec
    data: DataSpec
    judges: dict[str, JudgeSpec] = Field(
        default_factory=dict,
        description="Name -> a model that marks replies; task.metrics has `judge:NAME`.",
    )
    task: TaskSpec
    arms: dict[str, Arm] = Field(min_length=1, description="Name -> arm.")
    budget: Budget = Field(default_factory=Budget)
    search: SearchSpec = Field(default_factory=SearchSpec, validate_default=True)
    execution: ExecutionSpec = Field(default_factory=ExecutionSpec)
    seeds: tuple[Count, ...] = Field(
        (1, 2, 3), min_length=1, description="Seeds on which each finalist is trained and tested."
    )
    general: GeneralSpec | None = Field(
        default_factory=GeneralSpec, description="General suite; null leaves it out."
    )
    contrast: ContrastSpec = Field(default_factory=ContrastSpec)
    cost: CostSpec = Field(default_factory=CostSpec)
    constraints: Constraints = Field(default_factory=Constraints)
    score_batch_size: PositiveInt = Field(
        32, description="Requests per forward pass when scoring, the same for every arm."
    )
    train_gap_items: PositiveInt | None = Field(
        None,
        description="Training examples scored to measure overfitting; as many as test by default.",
    )
    memorisation_items: Count = Field(
        64,
        description="Training and validation examples whose text fine-tuned finalists are asked to "
        "complete, to see whether they memorised it; 0 leaves this out.",
    )
    latency_items: int = Field(
        8,
        ge=2,
        description="Test examples of which each finalist's requests are timed, one at a time; "
        "half of them once more, later, to see whether the machine was as fast throughout.",
    )

    @field_validator("name")
    @classmethod
    def _safe_name(cls, name: str) -> str:
        return checked_name(name)

    @field_validator("judges")
    @classmethod
    def _safe_judge_names(cls, judges: dict[str, JudgeSpec]) -> dict[str, JudgeSpec]:
        for name in judges:
            checked_name(name)
        distinct_files(judges)
        return judges

    @field_validator("task")
    @classmethod
    def _judged(cls, task: TaskSpec, info: ValidationInfo) -> TaskSpec:
        # Where the judges are refused, that is told by itself.
        judges = info.data.get("judges")
        if judges is None:
            return task
        return task.judged_by({name: judge.declared() for name, judge in judges.items()})

    @field_validator("search")
    @classmethod
    def _prunable_by_metric(cls, search: SearchSpec, info: ValidationInfo) -> SearchSpec:
        task = info.data.get("task")
        if task is None or not task.judged or task.judged[0] is not task.metrics[0]:
            return search
        if search.prompt_pruner != "none" and "prompt_pruner" in search.model_fields_set:
            raise ValueError(
                f"prompt_pruner: {search.prompt_pruner} stops a trial between its replies, and the "
                "primary metric, a judge's mark, is known after the last; use none"
            )
        return search.model_copy(update={"prompt_pruner": "none"})

    @field_validator("arms")
    @classmethod
    def _safe_arm_names(cls, arms: dict[str, Any]) -> dict[str, Any]:
        for name in arms:
            checked_name(name)
            if name == "base":
                raise ValueError("`base` names the untouched model; call the arm something else")
        distinct_files(arms)
        check_sources(arms)
        return arms

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"seeds {list(seeds)} hold a value twice")
        return seeds

    @field_validator("model", mode="before", json_schema_input_type=str | ModelSpec)
    @classmethod
    def _short_model(cls, model: Any) -> Any:
        return from_reference(model)

    @model_validator(mode="before")
    @classmethod
    def _template_of_conversations(cls, values: Any) -> Any:
        return with_template_of_conversations(values)

    @model_validator(mode="after")
    def _margin_in_unit(self) -> Self:
        check_margin(self.contrast, self.task)
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_conversations(self.data, self.task, self.arms)
        check_columns(self.task, self.arms)
        check_answering(self.task.answer, self.arms)
        for name, arm in self.arms.items():
            if self.general is None and isinstance(arm, TrainedArm) and arm.uses_general_text():
                raise ValueError(
                    f"arms.{name}: replay and kl_weight need general.replay, but general is null"
                )
        for name in self.arms:
            repeats, seeds = self.repeats_of(name), len(self.seeds_of(name))
            if seeds % repeats:
                brought = isinstance(self.arms[name], BroughtArm)
                change = "name more folders" if brought else f"change seeds (or arms.{name}.seeds)"
                written = repeats > self.search.repeats
                writer = instruction_source(self.arms[name]) or name
                key = f"arms.{writer}.instruction.optimise.seeds" if written else "search.repeats"
                raise ValueError(
                    f"{key}: {repeats} searches of {name} share its final "
                    f"{'folders' if brought else 'seeds'}, so these must be {repeats} or a "
                    f"multiple, and are {seeds}; {change}, or set {key.rpartition('.')[2]}: 1"
                )
        check_contrast(self.contrast, self.arms)
        check_writing(self.budget, self.arms)
        check_bootstrapped(self.task.primary, self.arms)
        return self

    def seeds_of(self, arm: str) -> tuple[int, ...]:
        """Seeds of the arm's final runs: its own, or the experiment's."""
        spec = self.arms[arm]
        if isinstance(spec, BroughtArm):
            return tuple(range(1, len(spec.paths) + 1))
        return spec.seeds or self.seeds

    def trained_arms(self) -> dict[str, Arm]:
        """The fine-tuned arms, by name."""
        return {name: arm for name, arm in self.arms.items() if kind_info(arm.kind).fine_tuned}

    def watches_forgetting(self, arm: str) -> bool:
        """Whether the arm's search trials are scored on some general items too."""
        general = self.general
        return arm in self.trained_arms() and general is not None and bool(general.search_limit)

    def search_margin(self, arm: str) -> float | None:
        """Loss of general abilities (0 to 1) that the arm's search accepts; None where forgetting
        plays no part in it."""
        if self.general is None or self.search.forgetting == "ignore":
            return None
        return self.general.margin if self.watches_forgetting(arm) else None

    def prompt_arms(self) -> dict[str, PromptArm]:
        """The prompting arms, by name."""
        return {name: arm for name, arm in self.arms.items() if isinstance(arm, PromptArm)}

    def reference_arms(self) -> dict[str, Arm]:
        """Arms without a language model, which are no candidates of the verdict, by name."""
        return {
            name: arm for name, arm in self.arms.items() if not kind_info(arm.kind).language_model
        }

    def trials_of(self, arm: str) -> int:
        """Trials of one search of the arm: the budget, or fewer where it has fewer settings."""
        settings = self.arms[arm].settings()
        return self.budget.trials if settings is None else min(self.budget.trials, settings)

    def repeats_of(self, arm: str) -> int:
        """How often the arm is searched; once where there is nothing that tuning could change."""
        optimiser, source = self.arms[arm].optimiser, instruction_source(self.arms[arm])
        if optimiser is not None:
            return max(optimiser.seeds, self.search.repeats)
        if source is not None and self.arms[source].optimiser is not None:
            return self.repeats_of(source)
        searched = (self.arms[name].settings() for name in (arm, source) if name)
        return 1 if self.search.repeats == 1 or set(searched) == {1} else self.search.repeats

    def source_repeat(self, source: str, repeat: int) -> int:
        """The search of ``source`` that selects the instruction of another arm's search."""
        return min(repeat, self.repeats_of(source) - 1)

    def trains_once(self, arm: str) -> bool:
        """Whether the arm's one setting is trained for its finalists alone.

        The search's trial is then the first of them. Where the arm may be picked among others by
        what it scores on validation, it is trained apart for the search: what picks is not what is
        tested.
        """
        trained = self.trained_arms()
        picked = self.contrast.fine_tuned is None and len(trained) > 1
        spec = trained.get(arm)
        # Of several ways of answering the search finds the best.
        ways = () if spec is None else spec.values_of("answering")
        settled = spec is not None and spec.settings() == self.repeats_of(arm) == len(ways) == 1
        return settled and not picked

    def search_seed(self, arm: str, repeat: int) -> int:
        """Seed of the trials of one of the arm's searches."""
        return self.seeds_of(arm)[0] if self.trains_once(arm) else SEARCH_SEED + repeat

    def search_trials(self) -> int:
        """Number of trials of all searches of all arms."""
        return sum(self.repeats_of(arm) * self.trials_of(arm) for arm in self.arms)

    def repeat_of(self, arm: str, seed: int) -> int:
        """The search whose setting a final run of the arm has: seeds are dealt in turn.

        A seed that is not declared is dealt to the first.
        """
        seeds = self.seeds_of(arm)
        return seeds.index(seed) % self.repeats_of(arm) if seed in seeds else 0

    def columns(self) -> tuple[str, ...]:
        """Data columns the task reads, in order of first use."""
        extra = [name for name in (self.data.id, self.data.group) if name]
        return tuple(dict.fromkeys([*self.input_columns(), *self.task.answer.columns_read, *extra]))

    def input_columns(self) -> tuple[str, ...]:
        """Columns that the templates show: the task's own first, then those of arms."""
        return shown_columns(self.task, self.arms)

    def plain(self) -> dict[str, Any]:
        """The experiment as JSON-compatible data; ``Experiment.model_validate`` reads it back."""
        return self.model_dump(mode="json", by_alias=True)

    def trial_identity(self) -> str:
        """Hash of the parts that change what a trial computes.

        Left out: what only judges the results (contrast, cost, constraints; the general margin
        where the search ignores it) and what only extends the study (budget, repeats of searches,
        seeds, learning curves, tests of defaults, numbers of items that only describe, the limits
        of processes, the terms on which a server is asked): a study can be extended or its
        assumptions restated without repeating a trial. Each restatement is an event in the store.
        Left out too: where data, model and suite lie, since their contents are hashed beside this;
        and the columns that divide a report.
        """
        plain = self.plain()
        extending = ("budget", "execution", "seeds", "train_gap_items", "latency_items")
        for key in JUDGING_FIELDS + extending:
            plain.pop(key)
        plain["search"].pop("repeats")
        for arm in plain["arms"].values():
            for key in (STUDY_FIELDS | ORIGIN_FIELDS) & set(arm):
                arm.pop(key)
            for key in TERMS & set(arm.get("endpoint") or ()):
                arm["endpoint"].pop(key)
            without_terms(arm.get("instruction"))
        if plain["general"] is not None:
            plain["general"].pop("suite")
            plain["general"]["replay"].pop("source")
            if self.search.forgetting == "ignore":
                plain["general"].pop("margin")
        plain["model"].pop("reference")
        # Labels of metrics, and where their files lie, are left out; what they compute is not.
        plain["task"]["metrics"] = list(self.task.metric_identities())
        data = plain["data"]
        data.pop("source")
        data.pop("slices")
        # The text that it decodes to is hashed.
        data.pop("encoding")
        data["out_of_domain"] = sorted(data["out_of_domain"])
        for key in ("test", "validation"):
            if isinstance(data["splits"].get(key), str):
                data["splits"].pop(key)
        return content_hash(plain)


__all__ = [
    "Budget",
    "Constraints",
    "ContrastSpec",
    "CostSpec",
    "Experiment",
    "GeneralSpec",
    "ModelSpec",
]
