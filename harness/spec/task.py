"""The user's task: what the model is told, what it answers, how answers are scored."""

from __future__ import annotations

import itertools
import json
import math
import string
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

import jsonschema
from pydantic import Field, field_validator, model_validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from harness.answers.characters import composed, trimmed
from harness.answers.json_text import composed_value
from harness.answers.json_values import check_order_marks
from harness.spec.spaces import FrozenSpec, PositiveInt

MAX_CHOICES = 256


class LabelAnswer(FrozenSpec):
    """The answer is one of a closed list of labels."""

    kind: Literal["label"]
    column: str = Field(description="Column that holds the label.")
    labels: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="All valid labels; those of the training split if not given.",
    )

    @field_validator("labels")
    @classmethod
    def _distinct(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        labels = labels and tuple(map(trimmed, labels))
        if "" in (labels or ()):
            raise ValueError("a label is empty; an empty reply is never right")
        twice = sorted({label for label in labels or () if (labels or ()).count(label) > 1})
        if twice:
            raise ValueError(f"labels stand twice: {', '.join(twice)}; keep one of each")
        return labels


class JsonAnswer(FrozenSpec):
    """The answer is a JSON object that conforms to a schema."""

    kind: Literal["json"]
    schema_: dict[str, Any] = Field(alias="schema", description="JSON Schema of the answer.")
    columns: dict[str, str] | None = Field(
        None, description="Answer field -> data column. Give this or `column`."
    )
    column: str | None = Field(None, description="Column that holds the whole answer as JSON.")

    @field_validator("schema_")
    @classmethod
    def _valid_schema(cls, schema: dict[str, Any]) -> dict[str, Any]:
        _check_json(schema)
        schema = composed_value(schema)
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            raise ValueError(f"not a valid JSON Schema: {error.message}") from error
        check_order_marks(schema)
        if schema.get("type") != "object":
            raise ValueError("the schema must describe an object: add `type: object`")
        _check_references(schema)
        return schema

    @field_validator("columns")
    @classmethod
    def _composed_fields(cls, columns: dict[str, str] | None) -> dict[str, str] | None:
        return columns and {composed(field): column for field, column in columns.items()}

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.columns is None) == (self.column is None):
            raise ValueError("give exactly one of `columns` (field -> column) and `column`")
        return self


class TextAnswer(FrozenSpec):
    """The answer is free text."""

    kind: Literal["text"]
    column: str = Field(description="Column that holds the reference answer.")


Answer = Annotated[LabelAnswer | JsonAnswer | TextAnswer, Field(discriminator="kind")]

DEFAULT_METRICS: dict[str, tuple[str, ...]] = {
    "label": ("exact_match", "valid", "macro_f1"),
    "json": ("field_f1", "exact_match", "valid_json", "valid", "macro_f1"),
    "text": ("chrf", "rouge_l", "exact_match"),
}
ITEM_METRICS: dict[str, tuple[str, ...]] = {
    "label": ("exact_match", "valid"),
    "json": ("field_f1", "exact_match", "valid_json", "valid"),
    "text": ("exact_match", "chrf", "rouge_l"),
}


class TaskSpec(FrozenSpec):
    """Instruction, template, answer and metrics."""

    instruction: str = Field(min_length=1, description="What the model is asked to do.")
    template: str = Field(
        "{text}", description="The item, with `{column}` where a column's text goes."
    )
    answer: Answer
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
            if isinstance(kind, str) and kind in DEFAULT_METRICS:
                return {**values, "metrics": DEFAULT_METRICS[kind]}
        return values

    @model_validator(mode="after")
    def _known_metrics(self) -> Self:
        known = set(DEFAULT_METRICS[self.answer.kind])
        for metric in self.metrics:
            if metric not in known:
                raise ValueError(
                    f"metric {metric!r} is not one for answers of kind {self.answer.kind!r}: "
                    f"choose from {', '.join(sorted(known))}"
                )
        if self.metrics and self.primary_metric not in ITEM_METRICS[self.answer.kind]:
            raise ValueError(
                f"the first metric is the primary one and must have a value per item, which "
                f"{self.primary_metric!r} has not: put one of "
                f"{', '.join(ITEM_METRICS[self.answer.kind])} first"
            )
        return self

    @property
    def primary_metric(self) -> str:
        """The metric that selection and the primary contrast use."""
        return self.metrics[0]

    def finite_answers(self) -> tuple[str, ...] | None:
        """All valid answers where the task has a short closed list of them, else None.

        A label task lists its labels only when the experiment does; a JSON task is enumerated
        from enumerations, booleans and bounded integers, up to 256 answers.
        """
        if isinstance(self.answer, LabelAnswer):
            return self.answer.labels
        if isinstance(self.answer, JsonAnswer):
            return enumerate_schema(self.answer.schema_)
        return None


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


def _check_json(value: object) -> None:
    """Refuse what YAML can write and JSON cannot: it would not be the same in the store."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise ValueError(f"the key {name!r} is no text; put quotes around it")
            _check_json(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_json(inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number of JSON")
    elif not isinstance(value, str | bool | int | float | None):
        raise ValueError(f"{value!r:.60} is not JSON; put quotes around it")


def schema_validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    """The validator of a task's schema. It fetches nothing, whatever the schema refers to.

    By default jsonschema would look references up on the network and on the disk.
    """
    return jsonschema.Draft202012Validator(schema, registry=Registry())


def _check_references(schema: dict[str, Any]) -> None:
    """Refuse a schema that cannot be followed to its end on this machine."""
    resource = DRAFT202012.create_resource(schema)
    resolver = Registry().with_resource("", resource).crawl().resolver()
    try:
        for keyword, reference, scope in _references(schema, resolver):
            try:
                scope.lookup(reference)
            except Unresolvable:
                raise ValueError(
                    f"`{keyword}: {reference}` leads nowhere; refer to a part of this schema, "
                    "such as #/$defs/name"
                ) from None
        schema_validator(schema).is_valid({})
    except RecursionError:
        raise ValueError("the schema refers to itself without end") from None


def _references(schema: object, scope: Any) -> Iterator[tuple[str, str, Any]]:
    """Every reference in a schema: its keyword, its target, and what resolves it there."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$id"), str):
            scope = scope.in_subresource(DRAFT202012.create_resource(schema))
        for name, value in schema.items():
            if name in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield name, value, scope
            yield from _references(value, scope)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value, scope)


def canonical_json(value: object, schema: dict[str, Any]) -> str:
    """Compact JSON with keys in the schema's order, then alphabetical: one text per value.

    Nested objects follow the schema's nested ``properties`` where it has them.
    """
    return json.dumps(_in_order(value, schema), ensure_ascii=False)


def _in_order(value: object, schema: object) -> object:
    # A schema may also be a truth value.
    schema = schema if isinstance(schema, dict) else {}
    if isinstance(value, list):
        return [_in_order(item, schema.get("items")) for item in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    order = {name: rank for rank, name in enumerate(properties)}
    names = sorted(value, key=lambda name: (order.get(name, len(order)), name))
    return {name: _in_order(value[name], properties.get(name)) for name in names}


def enumerate_schema(schema: dict[str, Any]) -> tuple[str, ...] | None:
    """Every object a flat schema allows, as canonical JSON; None if not finite and short."""
    required = set(schema.get("required", ()))
    names = list(schema.get("properties", {}))
    if not names or set(names) != required:
        return None
    axes: list[list[object]] = []
    for name in names:
        values = _finite_values(schema["properties"][name])
        if values is None:
            return None
        axes.append(values)
    total = 1
    for axis in axes:
        total *= len(axis)
    if total > MAX_CHOICES:
        return None
    validator = schema_validator(schema)
    objects = (dict(zip(names, values, strict=True)) for values in itertools.product(*axes))
    found = (canonical_json(item, schema) for item in objects if validator.is_valid(item))
    return tuple(dict.fromkeys(found))


def _finite_values(field: object) -> list[object] | None:
    if not isinstance(field, dict):
        return None
    if "enum" in field:
        return list(field["enum"])
    if field.get("type") == "boolean":
        return [False, True]
    if field.get("type") == "integer" and {"minimum", "maximum"} <= set(field):
        low, high = field["minimum"], field["maximum"]
        if high - low < MAX_CHOICES:  # not so for an infinite bound
            return list(range(math.ceil(low), math.floor(high) + 1))
    return None
