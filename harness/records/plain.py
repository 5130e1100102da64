"""Records as plain data: JSON, and hashes of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from pydantic import TypeAdapter

JsonValue = Any
T = TypeVar("T")
_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    # Imported late: most questions to the store need no record.
    from pydantic import TypeAdapter

    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def to_json(value: object) -> str:
    """Serialise a record to JSON text; :func:`from_json` is its inverse."""
    return _adapter(type(value)).dump_json(value).decode()


def from_json(kind: type[T], text: str | bytes) -> T:
    """Read a record of ``kind`` back.

    Raises:
        pydantic.ValidationError: it is not one.
    """
    return cast("T", _adapter(kind).validate_json(text))


def to_plain(value: object) -> dict[str, JsonValue]:
    """The record as nested dictionaries and lists, as in its JSON."""
    return cast("dict[str, JsonValue]", json.loads(to_json(value)))


def flattened(value: JsonValue, prefix: str = "") -> dict[str, JsonValue]:
    """Leaves of nested dictionaries by dotted key; lists and empty dictionaries are leaves."""
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    leaves: dict[str, JsonValue] = {}
    for name, inner in value.items():
        leaves.update(flattened(inner, f"{prefix}.{name}" if prefix else str(name)))
    return leaves


def utc_now() -> str:
    """The time as ISO 8601 text, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def content_hash(value: Mapping[str, JsonValue] | list[JsonValue] | str, length: int = 64) -> str:
    """SHA-256 of the canonical JSON of plain data, as hex, cut to ``length`` characters."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:length]


__all__ = [
    "JsonValue",
    "content_hash",
    "flattened",
    "from_json",
    "to_json",
    "to_plain",
    "utc_now",
]
