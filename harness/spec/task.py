"""The user's task: what the model is told, what it answers, how answers are scored."""

from __future__ import annotations

import string
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from harness.answers import KINDS, AnyAnswer
from harness.answers.metrics import MetricInfo
from harness.records.frozen_spec import FrozenSpec
from harness.spec.spaces import PositiveInt


class TaskSpec(FrozenSpec):
    """Instruction, template, answer and metrics."""

    instruction: str = Field(min_length=1, description="What the model is asked to do.")
    template: str = Field(
        "{text}", description="The item, with `{column}` where a column's text goes."
    )
    answer: AnyAnswer
    metrics: tuple[str, ...] = Field(
        (), description="Metrics to report; the first is primary. Default by answer kind."
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

    @model_validator(mode="after")
    def _known_metrics(self) -> Self:
        known = {metric.name: metric for metric in self.answer.metrics}
        for name in self.metrics:
            if name not in known:
                raise ValueError(
                    f"metric {name!r} is not one for answers of kind {self.answer.kind!r}: "
                    f"choose from {', '.join(sorted(known))}"
                )
        if self.metrics and not known[self.primary_metric].per_item:
            first = [name for name, metric in known.items() if metric.per_item]
            raise ValueError(
                f"the first metric is the primary one and must have a value per item, which "
                f"{self.primary_metric!r} has not: put one of {', '.join(first)} first"
            )
        return self

    @model_validator(mode="after")
    def _shown(self) -> Self:
        for column in self.answer.columns_shown:
            if column not in template_fields(self.template):
                raise ValueError(
                    f"the template must show the model column {column!r}, on which the answer "
                    f"depends: write {{{column}}} into it"
                )
        return self

    @property
    def primary_metric(self) -> str:
        """The metric that selection and the primary contrast use."""
        return self.metrics[0]

    @property
    def primary_info(self) -> MetricInfo:
        """What is known of the primary metric."""
        (info,) = (each for each in self.answer.metrics if each.name == self.primary_metric)
        return info

    @property
    def higher_is_better(self) -> bool:
        """Direction of the primary metric."""
        return self.primary_info.higher_is_better


def template_fields(template: str) -> tuple[str, ...]:
    """Column names in a template, in order of first use.

    Raises:
        ValueError: braces that do not match, or anything but a plain name between them.
    """
    names: list[str] = []
    for _, name, spec, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if spec or conversion or not name or any(mark in name for mark in ".[]"):
            raise ValueError(f"write columns as {{name}} only, not {{{name}}} with extras")
        if name not in names:
            names.append(name)
    return tuple(names)
