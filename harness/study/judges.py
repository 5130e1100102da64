"""The judges of a study: their models, their seats in its trials, people's marks beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.data import read_calibration
from harness.errors import DataError, Problem, SpecError, UnknownReferenceError
from harness.measures import JudgeMetric
from harness.measures.judge import TARGET
from harness.records import (
    CalibrationRow,
    Endpoint,
    Example,
    JsonValue,
    ResolvedModel,
    Runtime,
    Seat,
    content_hash,
)
from harness.spec import Experiment, JudgeSpec, ModelSpec
from harness.spec.endpoint import EndpointSpec
from harness.study.score_keys import library_versions
from harness.wording import plural

# So many items, each with the replies of both arms, are marked by people unless told otherwise: a
# judge's bias is then known to about a sixth of the spread of its errors.
HUMAN_ITEMS = 40


def judging(experiment: Experiment) -> dict[str, JudgeSpec]:
    """Those judges whose marks are metrics of the task."""
    names = {metric.judge for metric in experiment.task.judged}
    return {name: judge for name, judge in experiment.judges.items() if name in names}


def known_by_weights(experiment: Experiment, models: Mapping[str, ResolvedModel]) -> Experiment:
    """The experiment, whose judges are known by what their models are and not where they lie.

    Args:
        models: judge -> its model, of those that have a local one.
    """
    if not models:
        return experiment
    metrics = [
        metric.weighing(_model_as(experiment.judges[metric.judge], models[metric.judge]))
        if isinstance(metric, JudgeMetric) and metric.judge in models
        else metric
        for metric in experiment.task.metrics
    ]
    task = type(experiment.task).model_validate(
        experiment.task.model_dump(by_alias=True) | {"metrics": metrics}
    )
    return experiment.model_copy(update={"task": task})


def _model_as(judge: JudgeSpec, model: ResolvedModel) -> str:
    """A local judge's weights, and what its chat template is told."""
    args = _template_args(judge)
    return content_hash([model.fingerprint, args]) if args else model.fingerprint


def _template_args(judge: JudgeSpec) -> dict[str, JsonValue]:
    """What the chat template of a local judge is told."""
    return dict(judge.model.chat_template_args) if judge.model else {}


def _see_template(metric: JudgeMetric, judge: JudgeSpec, model: ResolvedModel) -> None:
    """See whether a local judge's chat template reads what it is told."""
    if args := _template_args(judge):
        from harness.evaluation.judging import judges_renderer
        from harness.models.load import load_tokenizer, quiet_libraries

        quiet_libraries()
        judges_renderer(load_tokenizer(model), metric, args)


def asked_of(weights: str, runtime: Runtime | None) -> str:
    """Who judges and how, as one hash: the same mark is then given for the same request.

    Args:
        weights: hash of the judge's weights and of what its chat template is told, or its model
            and server.
        runtime: where it computes; None of a server.
    """
    how = None
    if runtime is not None:
        how = [runtime.device.partition(":")[0], runtime.dtype, library_versions()]
    return content_hash(["judge", weights, how], 40)


def endpoint_record(spec: EndpointSpec, currency: str, ledger: str) -> Endpoint:
    """A server as trials are handed it.

    Args:
        ledger: the file in which requests to it are noted.
    """
    return Endpoint(**spec.model_dump(), currency=currency, ledger=ledger)


def seats(
    experiment: Experiment, models: Mapping[str, ResolvedModel], runtime: Runtime, folder: Path
) -> tuple[Seat, ...]:
    """The judges that a trial asks.

    Args:
        models: judge -> its model, of those that have a local one.
        folder: the study's, where what servers charge is noted.
    """
    taken = []
    for name, judge in judging(experiment).items():
        if judge.endpoint is None:
            model, args = models[name], _template_args(judge)
            asked = asked_of(_model_as(judge, model), runtime)
            taken.append(Seat(name, asked, model, template_args=args))
            continue
        ledger = folder / "spending" / "judges" / f"{name}.jsonl"
        server = endpoint_record(judge.endpoint, experiment.cost.currency, str(ledger))
        asked = asked_of(judge.server, None)
        taken.append(Seat(name, asked, None, server, judge.max_new_tokens))
    return tuple(taken)


def kept_here(experiment: Experiment) -> str:
    """What becomes of the trials of a cluster whose replies a server judges; empty without one."""
    served = [name for name, judge in judging(experiment).items() if judge.endpoint is not None]
    if not served:
        return ""
    return (
        f"judge {', '.join(served)} asks a server, whose charges are counted on this machine: all "
        "trials that it marks run here, not in the cluster. To train there, run without its "
        "metric first and add it afterwards: it then marks the replies, and nothing is trained"
    )


def judges_of(experiment: Experiment, splits: Mapping[str, Sequence[Example]]) -> Judges:
    """The judges with people's marks beside them, as far as the data say that they can be used.

    Raises:
        SpecError: a file of marks cannot be used, or no column holds what a judge is to compare
            with; says what is wrong, and where.
    """
    every = [item for items in splits.values() for item in items]
    ids, columns = {item.id for item in every}, {name for item in every for name in item.columns}
    found, problems = {}, []
    for name, judge in experiment.judges.items():
        of_column = judge.pairwise not in (None, TARGET) and name in judging(experiment)
        if of_column and judge.pairwise not in columns:
            known = ", ".join(sorted(columns)) or "none"
            what = f"the data have no column {judge.pairwise!r}; the columns are {known}"
            problems.append(Problem(f"judges.{name}.pairwise", what))
        if judge.calibration is None:
            continue
        try:
            found[name] = read_calibration(judge.calibration, judge.ends, ids)
        except DataError as error:
            problems += [
                Problem(f"judges.{name}.calibration: {problem.where}", problem.what)
                for problem in error.problems
            ]
    if problems:
        raise SpecError(problems)
    return Judges(calibration=found)


@dataclass(slots=True)
class Judges:
    """What a study has of its judges, once it was found."""

    models: dict[str, ResolvedModel] = field(default_factory=dict)
    """Judge -> its model; those on servers, and those that mark nothing, are left out."""
    calibration: dict[str, tuple[CalibrationRow, ...]] = field(default_factory=dict)
    """Judge -> people's marks of this study's replies; only of judges that have some."""
    away: list[str] = field(default_factory=list)
    """Judges whose model was looked for on this machine and is not there."""

    def find(
        self, experiment: Experiment, find: Callable[[ModelSpec], ResolvedModel | None]
    ) -> None:
        """Find the judges' models.

        Args:
            find: gives a model, None where it is not on this machine and is not to be fetched now.

        Raises:
            SpecError: there is no such model, or what its chat template is told would not be read.
        """
        used = judging(experiment)
        for metric in experiment.task.judged:
            judge = used[metric.judge]
            if judge.model is None:
                continue
            try:
                model = find(judge.model)
                if model is None:
                    self.away.append(metric.judge)
                    continue
                self.models[metric.judge] = model
                _see_template(metric, judge, model)
            except (SpecError, UnknownReferenceError) as refusal:
                where = f"judges.{metric.judge}.model"
                raise SpecError(Problem(where, str(refusal))) from refusal

    def notes(self, experiment: Experiment) -> list[str]:
        """What a user should know of the judges, a sentence each."""
        used = judging(experiment)
        notes = [
            f"the model of judge {name}, {used[name].by}, is not on this machine yet: harness plan "
            "and harness run fetch it"
            for name in self.away
        ]
        for name in experiment.judges:
            people = len({mark.item_id for mark in self.calibration.get(name, ())})
            if name not in used:
                notes.append(
                    f"judge {name} marks nothing: list judge:{name} under task.metrics to use it"
                )
            elif not people:
                notes.append(
                    f"judge {name} is held against no person's marks: after the run, harness judge "
                    f"writes {HUMAN_ITEMS} items for people to mark, and judges.{name}.calibration "
                    "takes the file; nothing is computed anew for it"
                )
            elif people < HUMAN_ITEMS:
                notes.append(
                    f"judge {name} is held against people's marks of {plural(people, 'item')}; "
                    f"{HUMAN_ITEMS} would do"
                )
        return notes


__all__ = [
    "HUMAN_ITEMS",
    "Judges",
    "asked_of",
    "endpoint_record",
    "judges_of",
    "judging",
    "kept_here",
    "known_by_weights",
    "seats",
]
