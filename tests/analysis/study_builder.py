"""A study of a few arms, written down by hand: scores in, records out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.records import (
    Aggregate,
    DataRecord,
    Event,
    ExperimentRecord,
    GeneralTask,
    ItemRow,
    Phase,
    ResolvedModel,
    ScoreVector,
    Status,
    Study,
    SuiteKind,
    TrialCost,
    TrialSummary,
)
from harness.spec import Experiment
from tests.data_records import data_record

METRIC = "exact_match"
NOW = "2026-01-01T00:00:00+00:00"
Kind = Literal["prompt", "full", "lora", "qlora"]


def experiment(
    arms: Mapping[str, Kind | dict[str, Any]] | None = None, **changes: Any
) -> Experiment:
    """A small valid experiment; ``changes`` replace whole sections."""
    plain: dict[str, Any] = {
        "name": "small",
        "model": "smollm2-135m-instruct",
        "data": {"source": "data.jsonl"},
        "task": {
            "instruction": "Name the intent.",
            "answer": {"kind": "label", "column": "label", "labels": ["a", "b"]},
        },
        "arms": {
            name: _arm(kind)
            for name, kind in (arms or {"few-shot": "prompt", "lora": "lora"}).items()
        },
        "budget": {"trials": 2},
        "seeds": [1, 2, 3],
        "contrast": {"margin": 0.03},
    }
    return Experiment.model_validate({**plain, **changes})


def _arm(kind: Kind | dict[str, Any]) -> dict[str, Any]:
    if isinstance(kind, dict):
        return kind
    return {"kind": kind, **({"shots": {"choices": [0, 4]}} if kind == "prompt" else {})}


def cost(
    train_seconds: float = 100.0, *, memory: float = 1000.0, artifact_bytes: int = 2**20
) -> TrialCost:
    """A trial's cost with everything but the given values fixed."""
    return TrialCost(
        load_seconds=10.0,
        train_seconds=train_seconds,
        score_seconds=20.0,
        train_tokens=1000,
        peak_memory_mib=memory,
        peak_device_mib=None,
        total_parameters=135_000_000,
        trainable_parameters=1_000_000,
        artifact_bytes=artifact_bytes,
    )


@dataclass
class StudyBuilder:
    """Collects trials and vectors; :meth:`build` freezes them into a study."""

    experiment: Experiment
    general_tasks: dict[str, GeneralTask] = field(default_factory=dict)
    trials: list[TrialSummary] = field(default_factory=list)
    vectors: list[ScoreVector] = field(default_factory=list)
    items: list[ItemRow] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    data: DataRecord = field(default_factory=data_record)

    def search(
        self,
        arm: str,
        validation: Sequence[float | None],
        *,
        trial_cost: TrialCost | None = None,
        params: Sequence[dict[str, Any]] | None = None,
        general: Sequence[Mapping[str, ArrayLike]] = (),
    ) -> StudyBuilder:
        """One search trial per validation score; None is a failed trial.

        params: each trial's setting. general: each trial's scores, named as for a finalist.
        """
        for number, score in enumerate(validation):
            for where, values in general[number].items() if general else ():
                self._vector(arm, "search", number, 0, where, np.asarray(values, np.float64), None)
            self.trials.append(
                self._trial(
                    arm,
                    "search",
                    number=number,
                    seed=0,
                    status="failed" if score is None else "complete",
                    params=params[number] if params else {"setting": number},
                    trial_cost=trial_cost or cost(),
                    aggregates=()
                    if score is None
                    else (self._aggregate("domain", "domain", "validation", score),),
                )
            )
        return self

    def finalist(
        self,
        arm: str,
        seed: int,
        scores: Mapping[str, ArrayLike],
        *,
        clusters: Mapping[str, Sequence[str]] | None = None,
        latencies: Sequence[float] = (0.1,),
        trial_cost: TrialCost | None = None,
        status: Status = "complete",
        setting: int = 0,
        phase: Phase | None = None,
        train_items: int | None = None,
    ) -> StudyBuilder:
        """A finalist; ``base`` is the baseline. phase: of a trial that is neither.

        scores: ``test``, ``train``, ``validation`` of the domain, ``ood:NAME`` for sets from
        elsewhere, ``general:NAME`` for general tasks, ``memorisation:METRIC:SPLIT`` and
        ``divergence:NAME`` -> one score per item. latencies: of the turn in which this finalist is
        timed; of an arm with several, each is timed in a turn of its own.
        """
        phase = phase or ("baseline" if arm == "base" else "finalist")
        number = train_items or 0
        aggregates = []
        for where, values in scores.items():
            array = np.asarray(values, dtype=np.float64)
            self._vector(arm, phase, number, seed, where, array, (clusters or {}).get(where))
            suite, task, split = _place(where)
            if suite in ("domain", "out_of_domain"):
                mean = float(np.nanmean(array))
                aggregates.append(self._aggregate(suite, task, split, mean))
        self.trials.append(
            self._trial(
                arm,
                phase,
                number=number,
                seed=seed,
                status=status,
                params={"setting": setting},
                trial_cost=trial_cost or cost(),
                aggregates=tuple(aggregates),
                train_items=train_items,
            )
        )
        if phase == "finalist" and status == "complete" and "test" in scores and latencies:
            self.timed(arm, seed, latencies, setting=setting)
        return self

    def timed(
        self,
        arm: str,
        seed: int,
        latencies: Sequence[float],
        *,
        turn: int | None = None,
        setting: int = 0,
        other_cores: float = 0.0,
        failure: str = "",
        began: str = NOW,
        ended: str = "2026-01-01T00:01:00+00:00",
    ) -> StudyBuilder:
        """One turn in which requests of a finalist were timed; the next one of the arm."""
        before = [t for t in self.trials if (t.arm, t.phase) == (arm, "latency")]
        noted = {"seconds": float(np.mean(latencies)), "other_cores": other_cores, "cores": 4.0}
        trial = self._trial(
            arm,
            "latency",
            number=len(before) if turn is None else turn,
            seed=seed,
            status="failed" if failure else "complete",
            params={"setting": setting},
            trial_cost=cost(0.0),
            aggregates=()
            if failure
            else tuple(
                replace(
                    self._aggregate("latency", "domain", "test", value),
                    metric=metric,
                    higher_is_better=False,
                    latencies=tuple(latencies),
                )
                for metric, value in noted.items()
            ),
        )
        trial = replace(trial, started_at=began, ended_at=ended, failure_message=failure)
        self.trials.append(trial)
        return self

    def _vector(
        self,
        arm: str,
        phase: Phase,
        number: int,
        seed: int,
        where: str,
        values: NDArray[np.float64],
        clusters: Sequence[str] | None,
    ) -> None:
        suite, task, split = _place(where)
        reading = self.general_tasks.get(task) if suite == "general" else None
        metric = reading.metric if reading else self.experiment.task.primary_metric
        own = self.experiment.task.higher_is_better
        higher = reading.higher_is_better if reading else own
        if suite == "memorisation":
            metric = where.split(":")[1]
            higher = metric == "verbatim"
        if suite == "divergence":
            metric, higher = "kl_to_base", False
        self.vectors.append(
            ScoreVector(
                trial_id=_trial_id(arm, phase, number, seed),
                arm=arm,
                kind=self._kind(arm),
                phase=phase,
                seed=seed,
                suite=suite,
                task=task,
                split=split,
                metric=metric,
                higher_is_better=higher,
                chance=reading.chance if reading else None,
                doc_hashes=tuple(f"{where}-{item}" for item in range(len(values))),
                clusters=tuple(clusters or ("",) * len(values)),
                values=values,
                item_ids=tuple(f"{where}-{item}" for item in range(len(values))),
            )
        )

    def event(self, kind: str, **detail: Any) -> StudyBuilder:
        """Something that happened."""
        self.events.append(Event("2026-01-01T00:00:00+00:00", kind, "someone", detail))
        return self

    def build(self) -> Study:
        """The frozen study."""
        return Study(
            experiment=ExperimentRecord(
                experiment_id="e1",
                name=self.experiment.name,
                created_at="2026-01-01T00:00:00+00:00",
                spec=self.experiment.plain(),
                splits={"train": 100, "validation": 50, "test": 100},
                data=self.data,
                model=ResolvedModel("smollm2-135m-instruct", "/models/small", "0" * 64),
                environment={},
                general_tasks=dict(self.general_tasks),
            ),
            trials=tuple(self.trials),
            vectors=tuple(self.vectors),
            items=tuple(self.items),
            events=tuple(self.events),
        )

    def _kind(self, arm: str) -> str:
        return "prompt" if arm == "base" else self.experiment.arms[arm].kind

    def _trial(
        self,
        arm: str,
        phase: Phase,
        *,
        number: int,
        seed: int,
        status: Status,
        params: dict[str, Any],
        trial_cost: TrialCost,
        aggregates: tuple[Aggregate, ...],
        train_items: int | None = None,
    ) -> TrialSummary:
        return TrialSummary(
            trial_id=_trial_id(arm, phase, number, seed),
            arm=arm,
            kind=self._kind(arm),
            phase=phase,
            number=number,
            seed=seed,
            status=status,
            params=params,
            started_at="2026-01-01T00:00:00+00:00",
            ended_at="2026-01-01T00:01:00+00:00",
            failure_kind="error" if status == "failed" else "",
            failure_message="it failed" if status == "failed" else "",
            canaries=None,
            cost=trial_cost,
            aggregates=aggregates,
            steps=(),
            train_items=train_items,
        )

    def _aggregate(self, suite: SuiteKind, task: str, split: str, value: float) -> Aggregate:
        return Aggregate(
            suite=suite,
            task=task,
            split=split,
            form="base",
            metric=self.experiment.task.primary_metric,
            value=value,
            items=100,
            prompt_tokens=50.0,
            completion_tokens=5.0,
            seconds=10.0,
            reused=False,
            higher_is_better=self.experiment.task.higher_is_better,
            chance=None,
        )


def _trial_id(arm: str, phase: str, number: int, seed: int) -> str:
    return f"{arm}-{phase}-{number}-{seed}"


def _place(where: str) -> tuple[SuiteKind, str, str]:
    if where.startswith("general:"):
        return "general", where.removeprefix("general:"), "test"
    if where.startswith("ood:"):
        return "out_of_domain", where.removeprefix("ood:"), "test"
    if where.startswith("memorisation:"):
        return "memorisation", "memorisation", where.split(":")[2]
    if where.startswith("divergence:"):
        task = where.removeprefix("divergence:")
        return "divergence", task, "validation" if task == "task_inputs" else "test"
    return "domain", "domain", where


def items_reversed(study: Study) -> Study:
    """The same study, every vector's items in the opposite order."""
    turned = tuple(
        replace(
            vector,
            doc_hashes=vector.doc_hashes[::-1],
            clusters=vector.clusters[::-1],
            values=vector.values[::-1],
        )
        for vector in study.vectors
    )
    return replace(study, vectors=turned)


def right(share: float, items: int = 200) -> list[float]:
    """Scores of which the first ``share`` are 1 and the rest 0."""
    count = round(share * items)
    return [1.0] * count + [0.0] * (items - count)


ACCURACY = GeneralTask(metric="acc", accuracy=True, higher_is_better=True, chance=0.25)
BITS = GeneralTask(metric="bits_per_byte", accuracy=False, higher_is_better=False, chance=None)


def whole_study(
    *,
    prompt: float = 0.5,
    tuned: float = 0.8,
    general: float = 0.8,
    seeds: Sequence[int] = (1, 2, 3),
    **changes: Any,
) -> StudyBuilder:
    """``few-shot`` against ``lora`` with given shares of right answers; the base has 0.8 right.

    general: what ``lora`` has right of the general task. general_suite: the experiment's section.
    """
    if "general_suite" in changes:
        changes["general"] = changes.pop("general_suite")
    built = StudyBuilder(experiment(**changes), {"facts": ACCURACY})
    built.search("few-shot", [prompt, prompt - 0.1]).search("lora", [tuned, tuned - 0.1])
    built.finalist("base", 0, {"test": right(0.3), "general:facts": right(0.8)})
    for seed in seeds:
        built.finalist(
            "few-shot",
            seed,
            {
                "test": right(prompt),
                "train": right(prompt),
                "validation": right(prompt),
            },
            trial_cost=cost(0.0, artifact_bytes=0),
        )
        built.finalist(
            "lora",
            seed,
            {
                "test": right(tuned),
                "train": right(min(1.0, tuned + 0.1)),
                "validation": right(tuned),
                "general:facts": right(general),
            },
        )
    return built
