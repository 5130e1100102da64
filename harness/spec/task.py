"""The user's task: what the model is told, what it answers, how answers are scored."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from harness.answers import KINDS, AnyAnswer
from harness.answers.metrics import MetricInfo
from harness.measures import AnyMeasure, JudgeMetric, Measure, as_mapping
from harness.records import JsonValue
from harness.records.frozen_spec import FrozenSpec
from harness.spec.spaces import PositiveInt


class TaskSpec(FrozenSpec):
    """Instruction, template, answer and metrics."""

    instruction: str = Field(
        description="What the model is asked to do. With data.conversations it stands before a "
        "conversation's own system message, and may be empty."
    )
    template: str = Field(
        "{text}",
        description="The item, with `{column}` where a column's text goes. With data.conversations "
        "it is left out: a conversation is shown message by message.",
    )
    answer: AnyAnswer
    metrics: tuple[str | AnyMeasure, ...] = Field(
        (),
        description="Metrics to report; the first is primary. Default by answer kind. Beside its "
        "names, `python:FILE.py:FUNCTION` is one of your own, `judge:NAME` a judge's mark, and so "
        "is a mapping as below.",
    )
    max_new_tokens: PositiveInt | None = Field(
        None, description="Longest generated answer; from the training answers if not given."
    )

    @field_validator("template")
    @classmethod
    def _plain_fields(cls, template: str) -> str:
        names = template_fields(template)
        if not names:
            raise ValueError("the template names no column; write one as {column}")
        return template

    @model_validator(mode="before")
    @classmethod
    def _default_metrics(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("metrics"):
            kind = values.get("answer", {})
            kind = kind.get("kind") if isinstance(kind, dict) else getattr(kind, "kind", None)
            if isinstance(kind, str) and kind in KINDS:
                names = tuple(metric.name for metric in KINDS[kind].metrics)
                return {**values, "metrics": names}
        return values

    @field_validator("metrics", mode="before")
    @classmethod
    def _long_forms(cls, metrics: Any) -> Any:
        return (
            [as_mapping(one) for one in metrics] if isinstance(metrics, list | tuple) else metrics
        )

    @model_validator(mode="after")
    def _known_metrics(self) -> Self:
        known = {metric.name: metric for metric in self.answer.metrics}
        for name in self.metrics:
            if isinstance(name, str) and name not in known:
                raise ValueError(
                    f"metric {name!r} is not one for answers of kind {self.answer.kind!r}: "
                    f"choose from {', '.join(sorted(known))}, or bring your own as "
                    "python:FILE.py:FUNCTION"
                )
        names = [info.name for info in self.metric_infos]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"metrics: {', '.join(twice)} stands twice; keep one, or give one of them other "
                "`names`"
            )
        if self.metrics and not self.metric_infos[0].per_item:
            first = [name for name, metric in known.items() if metric.per_item]
            raise ValueError(
                f"the first metric is the primary one and must have a value per item, which "
                f"{self.primary_metric!r} has not: put one of {', '.join(first)} first"
            )
        return self

    @property
    def metric_infos(self) -> tuple[MetricInfo, ...]:
        """What is known of each of its metrics, in order: the product's own and those brought."""
        known = {metric.name: metric for metric in self.answer.metrics}
        return tuple(
            info
            for metric in self.metrics
            for info in ((known[metric],) if isinstance(metric, str) else metric.infos)
        )

    def metric_info(self, name: str) -> MetricInfo | None:
        """What is known of one of its metrics, or of a form's metric; None of any other name."""
        infos = {info.name: info for info in (*self.answer.metrics, *self.metric_infos)}
        return infos.get(name)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of its metrics, in order."""
        return tuple(info.name for info in self.metric_infos)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The metrics that the user brings, in order."""
        return tuple(metric for metric in self.metrics if isinstance(metric, Measure))

    @property
    def judged(self) -> tuple[JudgeMetric, ...]:
        """Those of them that are a judge's marks, in order."""
        return tuple(metric for metric in self.metrics if isinstance(metric, JudgeMetric))

    @property
    def computed(self) -> tuple[Measure, ...]:
        """Those of them that are computed of an item and its reply, in order."""
        return tuple(one for one in self.measures if not isinstance(one, JudgeMetric))

    def judged_by(self, judges: Mapping[str, Mapping[str, Any]]) -> TaskSpec:
        """With what is declared of judges in the metrics that are their marks.

        Args:
            judges: name -> what :meth:`~harness.measures.JudgeMetric.filled` takes.

        Raises:
            ValueError: there is no such judge, or a metric says otherwise.
        """
        if not self.judged:
            return self
        metrics: list[str | Measure] = []
        for metric in self.metrics:
            if not isinstance(metric, JudgeMetric):
                metrics.append(metric)
                continue
            if metric.judge not in judges:
                known = f"the judges are {', '.join(judges)}" if judges else "there is none"
                raise ValueError(
                    f"metrics: no judge is called {metric.judge!r} under `judges`; {known}"
                )
            metrics.append(metric.filled(judges[metric.judge]))
        return TaskSpec.model_validate(self.model_dump(by_alias=True) | {"metrics": metrics})

    @property
    def is_located(self) -> bool:
        """Whether the metrics that the user brings are as a study keeps them."""
        return all(measure.is_located for measure in self.measures)

    @property
    def reads_rows(self) -> bool:
        """Whether a metric is handed the columns of an item's row."""
        return any(measure.reads_rows for measure in self.measures)

    @property
    def primary(self) -> MetricInfo:
        """What is known of the primary metric."""
        return self.metric_infos[0]

    @property
    def primary_metric(self) -> str:
        """The metric that selection and the primary contrast use."""
        return self.primary.name

    @property
    def higher_is_better(self) -> bool:
        """Direction of the primary metric."""
        return self.primary.higher_is_better

    def metric_identities(self) -> tuple[JsonValue, ...]:
        """What each of its metrics is known by, in order: a name, or all that can change a value
        of one that the user brings."""
        return tuple(one if isinstance(one, str) else one.identity() for one in self.metrics)

    @property
    def primary_identity(self) -> JsonValue:
        """What the primary metric is known by: its name, and all that can change its value."""
        first = self.metrics[0]
        if isinstance(first, str):
            return first
        return {"metric": self.primary_metric, **first.identity()}

    def located(self, folder: Path) -> TaskSpec:
        """With the metrics that the user brings as a study keeps them.

        Args:
            folder: what relative paths are taken from.

        Raises:
            ValueError: a metric cannot be used; says which, why and what to do.
        """
        if not self.measures:
            return self
        located = []
        for place, metric in enumerate(self.metrics):
            if isinstance(metric, Measure):
                try:
                    metric = metric.located(folder)  # noqa: PLW2901
                except ValidationError as error:
                    raise MetricError(place, "; ".join(refusals(error))) from error
                except ValueError as error:
                    raise MetricError(place, str(error)) from error
            located.append(metric)
        # Validated again: what a decorator declares may be a name that stands twice.
        plain = self.model_dump(by_alias=True) | {"metrics": located}
        return TaskSpec.model_validate(plain)


def refusals(error: ValidationError) -> list[str]:
    """What a validation refused, in the words of its rules."""
    details = error.errors(include_url=False)
    return [detail["msg"].removeprefix("Value error, ") for detail in details]


class MetricError(ValueError):
    """A metric that the user brings cannot be used. place: its place in the list, from 0."""

    def __init__(self, place: int, what: str) -> None:
        self.place = place
        super().__init__(what)


def template_fields(template: str) -> tuple[str, ...]:
    """Column names in a template, in order of first use.

    Raises:
        ValueError: braces that do not match, or anything but a plain name between them, which a
            number is not.
    """
    names: list[str] = []
    for _, name, spec, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if spec or conversion or not name or any(mark in name for mark in ".[]"):
            raise ValueError(f"write columns as {{name}} only, not {{{name}}} with extras")
        if name.isdecimal():
            raise ValueError(
                f"{{{name}}} is a number, not a name: rename that column in the file, and here"
            )
        if name not in names:
            names.append(name)
    return tuple(names)
