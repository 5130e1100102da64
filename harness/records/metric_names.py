"""What the metrics of a stored task are called."""

from __future__ import annotations

from harness.records.plain import JsonValue


def primary_name(metrics: JsonValue) -> str:
    """Name of the first of a task's metrics, as its plain data have them.

    It is a name; of one that the user brings, a mapping that keeps the names of its values.
    """
    first = metrics[0]
    return str(first if isinstance(first, str) else first["names"][0])


__all__ = ["primary_name"]
