"""Rows of an Arrow table, as Parquet files and hub data sets hold them."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from harness.data.rows import Row, Rows, rows_of
from harness.errors import DataError, Problem
from harness.records import JsonValue


class _UnreadableError(ValueError):
    """A value that is no text, number, list or object; the message says what it is."""


def table_rows(source: str, table: Any) -> Rows:
    """The rows of a ``pyarrow.Table``, with the names of its classes where it has such.

    Bytes are read as UTF-8. What cannot be read is no value, and its row says why.

    Raises:
        DataError: a column holds a value that Python has not.
    """
    features, notes = _features(table.schema)
    rows = [Row(number, {}) for number in range(1, table.num_rows + 1)]
    for name in table.column_names:
        column = table[name]
        for row, value in zip(rows, _python_values(source, name, column), strict=True):
            try:
                row.values[name] = _value(value, features.get(name))
            except _UnreadableError as error:
                row.values[name] = None
                row.lacking[name] = f"{name}: {error} (column of type {column.type})"
    return rows_of(source, rows, [], tuple(table.column_names), notes)


def _features(schema: Any) -> tuple[Mapping[str, Any], list[str]]:
    """The features that the datasets library wrote beside a table, if it did."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}, []
    import datasets

    try:
        features: Mapping[str, Any] = datasets.Features.from_arrow_schema(schema)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return {}, [
            "its `huggingface` metadata cannot be read, so classes stay numbers "
            f"({type(error).__name__}: {error})"
        ]
    named = [name for name, feature in features.items() if _has_classes(feature)]
    listed = ", ".join(f"`{name}`" for name in named)
    return features, [f"classes of {listed} are read by their names"] if named else []


def _has_classes(feature: Any) -> bool:
    if isinstance(feature, Mapping):
        return any(map(_has_classes, feature.values()))
    if isinstance(feature, list):
        return any(map(_has_classes, feature))
    inner = getattr(feature, "feature", None)
    return _has_classes(inner) if inner is not None else _is_class(feature)


def _is_class(feature: Any) -> bool:
    return type(feature).__name__ == "ClassLabel" and bool(feature.names)


def _python_values(source: str, name: str, column: Any) -> list[Any]:
    import pyarrow as pa

    try:
        if pa.types.is_floating(column.type) and column.type.bit_width < 64:
            # Its shortest notation: 0.1, not the 0.10000000149 that 32 bits make of it.
            column = column.cast(pa.string()).cast(pa.float64())
        values: list[Any] = column.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError) as error:
        what = f"column {name!r} ({column.type}) holds a value that cannot be read: {error}"
        raise DataError(Problem(source, what)) from error
    return values


def _value(value: Any, feature: Any = None) -> JsonValue:
    """A value as JSON has it; dates and the like in their own notation.

    Args:
        feature: what the datasets library says of the value; None where it says nothing.
    """
    plain: JsonValue = value
    match value:
        case int() if _is_class(feature):
            plain = _class_name(value, feature.names)
        case None | str() | bool() | int() | float():
            pass
        case bytes():
            plain = _text(value)
        case Decimal():
            plain = _number(value)
        case dict():
            parts = feature if isinstance(feature, Mapping) else {}
            plain = {name: _value(part, parts.get(name)) for name, part in value.items()}
        case list() if value and all(isinstance(element, tuple) for element in value):
            plain = _mapping(value)
        case list():
            each = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
            plain = [_value(element, each) for element in value]
        case datetime.date() | datetime.time() | datetime.timedelta() | uuid.UUID():
            plain = str(value)
        case _:
            raise _UnreadableError(f"a value of type {type(value).__name__} cannot be read as text")
    return plain


def _class_name(number: int, names: list[str]) -> str | None:
    if number < 0:
        return None  # -1 marks an item without a label
    if number >= len(names):
        raise _UnreadableError(f"class {number} has no name, as there are {len(names)}")
    return names[number]


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _UnreadableError(
            f"holds bytes that are no text in UTF-8 (byte 0x{value[error.start]:02x} at "
            f"{error.start + 1}); save the column as text"
        ) from error


def _number(value: Decimal) -> JsonValue:
    """A whole number or a float where that is the same; else its digits."""
    if value.as_tuple().exponent == 0:
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else format(value, "f")


def _mapping(pairs: list[tuple[Any, Any]]) -> JsonValue:
    """An Arrow map, which Python gets as pairs."""
    names = [_value(name) for name, _ in pairs]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise _UnreadableError("a map whose keys are no texts, or stand twice, is no JSON object")
    return {name: _value(value) for name, (_, value) in zip(names, pairs, strict=True)}
