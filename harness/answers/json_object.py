"""Answers that are a JSON object conforming to a schema."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from harness.answers.answer import (
    INVALID,
    Answer,
    Reading,
    ReplyReader,
    only_column,
)
from harness.answers.answer_column import AnswerColumn
from harness.answers.cells import AnswerError, is_missing
from harness.answers.characters import composed
from harness.answers.grammar import grammar_problems
from harness.answers.infer_schema import infer_schema, schema_of_columns
from harness.answers.json_cells import coerced, read_json_text
from harness.answers.json_schema import (
    canonical_json,
    checked_schema,
    closed_fields,
    enumerate_schema,
)
from harness.answers.json_text import JsonObject, composed_value, first_object, whole_object
from harness.answers.json_values import Value, ValueReader, field_f1
from harness.answers.metrics import EXACT_MATCH, FIELD_F1, MACRO_F1, VALID, VALID_JSON, Classes
from harness.answers.row_reader import RowReader
from harness.answers.schema_validator import schema_validator
from harness.answers.schema_words import described, field_names
from harness.records import JsonValue
from harness.records.guess import Guess

# A longer description of the answer is left to the examples.
_LONGEST_DESCRIPTION = 700


class JsonAnswer(Answer):
    """The answer is a JSON object that conforms to a schema."""

    kind: Literal["json"]
    column: str | None = Field(None, description="Column that holds the whole answer as JSON.")
    columns: dict[str, str] | None = Field(
        None, description="Answer field -> data column. Give this or `column`."
    )
    schema_: dict[str, Any] = Field(alias="schema", description="JSON Schema of the answer.")

    metrics = (FIELD_F1, EXACT_MATCH, VALID_JSON, VALID, MACRO_F1)
    metrics_reason: ClassVar[str] = (
        "field_f1, how many fields are right, decides; the others are reported."
    )
    form_metric = VALID_JSON
    holds_json: ClassVar[bool] = True
    draft_notes: ClassVar[Mapping[str, str]] = {
        "columns": "Field of the answer: column of the file.",
        "schema": "Enumerations and bounds are those of the file: widen them where more may come.",
    }

    @field_validator("schema_")
    @classmethod
    def _usable(cls, schema: JsonObject) -> JsonObject:
        return checked_schema(schema)

    @field_validator("columns")
    @classmethod
    def _composed_fields(cls, columns: dict[str, str] | None) -> dict[str, str] | None:
        return columns and {composed(field): column for field, column in columns.items()}

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.columns is None) == (self.column is None):
            raise ValueError("give exactly one of `columns` (field -> column) and `column`")
        if self.columns is not None and self.extract is not None:
            raise ValueError("`extract` takes the answer out of one `column`, not of `columns`")
        return self

    @property
    def columns_read(self) -> tuple[str, ...]:
        """Those of the fields, or the one of the whole answer."""
        return (str(self.column),) if self.columns is None else tuple(self.columns.values())

    def _row_reader(self) -> RowReader:
        """Reads objects as compact JSON whose keys are in the schema's order.

        Texts are in normal form C, column values take the type that the schema asks for (``"3"``
        becomes 3 in an integer field), and an empty value of an optional field is left out.
        """
        return _JsonRows(self)

    def _count_classes(self, answers: Iterable[str]) -> dict[str, Counter[str]]:
        """Of fields with an enumeration, truth value or bounded whole number."""
        counts: dict[str, Counter[str]] = {}
        closed = closed_fields(self.schema_)
        for answer in map(json.loads, answers):
            for name in closed:
                if name in answer:
                    value = answer[name]
                    text = value if isinstance(value, str) else json.dumps(value)
                    counts.setdefault(name, Counter())[text] += 1
        return counts

    def finite_answers(self) -> tuple[str, ...] | None:
        """Up to 256, from enumerations, booleans and bounded integers."""
        return enumerate_schema(self.schema_)

    def reply_schema(self) -> JsonObject:
        """The schema."""
        return self.schema_

    def _why_not_constrained(self) -> str:
        """What no grammar can express, unless all answers can be listed."""
        if self.finite_answers() or not (problems := grammar_problems(self.schema_)):
            return ""
        return (
            f"cannot keep to task.answer.schema ({'; '.join(problems)}); simplify the schema, or "
            "use answering: generate"
        )

    def _why_not_classified(self) -> str:
        """Which field has values without end."""
        closed = closed_fields(self.schema_)
        fields = self.schema_.get("properties", {})
        if fields and not (open_to := [name for name in fields if name not in closed]):
            return ""
        what = f"field {open_to[0]!r} has values without end" if fields else "it names no field"
        return f"needs fields that are enumerations, truth values or bounded numbers: {what}"

    def as_classes(self, answer: str) -> dict[str, str]:
        """The value of each field, as JSON."""
        return {name: json.dumps(value) for name, value in json.loads(answer).items()}

    def of_classes(self, classes: Mapping[str, str]) -> str:
        """The object of these values."""
        values = {name: json.loads(value) for name, value in classes.items()}
        return canonical_json(values, self.schema_)

    def _reader(self, labels: Sequence[str]) -> ReplyReader:
        return _JsonReplies(self.schema_).read

    @classmethod
    def recognise(cls, columns: Sequence[AnswerColumn]) -> Guess[Self] | None:
        """Several columns, objects or lists."""
        column = columns[0]
        if len(columns) > 1:
            why = "several fields, which make one JSON object"
        elif column.objects:
            why = "JSON objects, which are scored field by field"
        elif column.lists:
            why = "lists, each as the one field of a JSON object"
        else:
            return None
        return Guess(cls.of_columns(columns), why)

    @classmethod
    def of_columns(cls, columns: Sequence[AnswerColumn]) -> Self:
        """One column of whole objects; else each column is a field."""
        if len(columns) == 1 and columns[0].objects:
            column = only_column(cls, columns)
            source: JsonObject = {"column": column.name, "schema": infer_schema(column.objects)}
        else:
            source = {
                "columns": {column.name: column.name for column in columns},
                "schema": schema_of_columns(columns),
            }
        return cls.model_validate({"kind": cls.name(), **source})

    def instruction(self, subject: str, *, is_reply: bool, is_told: bool) -> str:
        """Describes the object, or names its fields, where that is short enough."""
        task = "Extract the information from the text. Reply with JSON only"
        description = described(self.schema_)
        if len(description) <= _LONGEST_DESCRIPTION:
            return f"{task}: {description}"
        fields = ", ".join(field_names(self.schema_))
        # Fields beyond that are left to the examples.
        return (
            f"{task}, with the fields {fields}."
            if len(fields) <= _LONGEST_DESCRIPTION
            else f"{task}."
        )


class _JsonRows(RowReader):
    """Checks against the schema are remembered by answer, as most tasks have few distinct ones."""

    def __init__(self, answer: JsonAnswer) -> None:
        super().__init__()
        self._answer = answer
        self._validator = schema_validator(answer.schema_)
        self._faults: dict[str, str] = {}

    def read(self, values: Mapping[str, JsonValue]) -> str:
        columns = self._answer.columns
        value = self._whole(values) if columns is None else self._of_fields(columns, values)
        try:
            json.dumps(value, allow_nan=False)
        except (ValueError, TypeError) as error:
            raise AnswerError(
                "the answer holds NaN, an infinity or another value that JSON has not; write null, "
                "or leave the field out"
            ) from error
        text = canonical_json(value, self._answer.schema_)
        if text not in self._faults:
            self._faults[text] = "; ".join(
                f"{'.'.join(map(str, error.absolute_path)) or 'answer'}: {error.message}"
                for error in self._validator.iter_errors(value)
            )
        if self._faults[text]:
            raise AnswerError(
                f"the answer does not conform to task.answer.schema: {self._faults[text]}"
            )
        return text

    def _of_fields(
        self, columns: Mapping[str, str], values: Mapping[str, JsonValue]
    ) -> dict[str, JsonValue]:
        schema = self._answer.schema_
        properties, required = schema.get("properties", {}), set(schema.get("required", ()))
        parts = {}
        for field, column in columns.items():
            value = coerced(_composed(values.get(column), column), properties.get(field, {}))
            if field in required or not (value is None or value == ""):
                parts[field] = value
        return parts

    def _whole(self, values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        column = str(self._answer.column)
        value = values.get(column)
        if is_missing(value) or value == "":
            raise AnswerError(f"{column}: the value is missing; fill it in")
        if isinstance(value, str):
            try:
                value = read_json_text(value).value
            except ValueError as error:
                raise AnswerError(f"{column}: {error}") from error
        value = _composed(value, column)
        if not isinstance(value, dict):
            raise AnswerError(f"{column}: the answer must be a JSON object, not {value!r:.60}")
        return value


def _composed(value: JsonValue, column: str) -> JsonValue:
    try:
        in_normal_form: JsonValue = composed_value(value)
    except ValueError as error:
        raise AnswerError(f"{column}: {error}") from error
    return in_normal_form


class _JsonReplies:
    """Reads replies to a JSON task; exact match, field F1 and classes see the same values."""

    def __init__(self, schema: JsonObject) -> None:
        self._values = ValueReader(schema)
        self._validator = schema_validator(schema)
        self._finite = [
            name
            for name, field in schema.get("properties", {}).items()
            if isinstance(field, dict)
            and ("enum" in field or field.get("type") in ("integer", "boolean"))
        ]

    def read(self, target: str, reply: str) -> Reading:
        """The reading of a reply; all of it is 0 where no JSON object is found."""
        target_value = self._values.read(json.loads(target))
        replied = first_object(reply)
        reply_value = None if replied is None else self._values.read(replied)
        scores = {
            FIELD_F1.name: field_f1(target_value, reply_value) if reply_value else 0.0,
            EXACT_MATCH.name: float(target_value == reply_value),
            VALID_JSON.name: float(reply_value is not None and whole_object(reply)),
            VALID.name: float(replied is not None and self._validator.is_valid(replied)),
        }
        return Reading(scores, self._classes(target_value, reply_value))

    def _classes(self, target_value: Value, reply_value: Value | None) -> Classes:
        targets, replies = dict(target_value.parts), dict(reply_value.parts if reply_value else ())
        return {
            name: (_class_of(targets[name]), _class_of(replies.get(name)))
            for name in self._finite
            if name in targets and targets[name].kind not in ("object", "list")
        }


def _class_of(value: Value | None) -> str:
    """A name for a scalar; what is missing, nested or none of the listed texts has the same."""
    if value is None or value.kind in ("object", "list", "unlisted"):
        return INVALID
    return json.dumps(value.scalar)
