"""The base of all that an experiment or a suite is written in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

# What the store holds of a whole number, and every random generator takes of a seed.
GREATEST = 2**63 - 1
# The error of a truth value where a number is to stand.
NO_NUMBER = "no_number"
# Parts of a schema that are none themselves, whatever they look like.
_NO_SCHEMA = ("default", "function", "metadata", "config", "serialization")
# Parts that hold schemas by a name that the user of pydantic gave.
_BY_NAME = ("fields", "choices")


def _number(value: Any, read: Callable[[Any], Any]) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError(NO_NUMBER, "must be a number, not {value}", {"value": value})
    found = read(value)
    # Of a union a real number would else take what is too much for a whole one, and round it.
    for whole in (value, found):
        if isinstance(whole, int) and abs(whole) > GREATEST:
            raise PydanticCustomError(
                "number_too_large",
                "a whole number of more than 64 bits is not taken; write one of at most {most}",
                {"most": f"{GREATEST:,}"},
            )
    return found


def _with_checked_numbers(schema: Any) -> Any:
    """A schema, or a part of one, with the check around every number in it."""
    if isinstance(schema, list | tuple):
        return type(schema)(map(_with_checked_numbers, schema))
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in ("int", "float"):
        return core_schema.no_info_wrap_validator_function(_number, cast("CoreSchema", schema))
    if schema.get("type") == "function-wrap" and schema["function"]["function"] is _number:
        return schema
    return {
        key: {name: _with_checked_numbers(one) for name, one in part.items()}
        if key in _BY_NAME and isinstance(part, dict)
        else part
        if key in _NO_SCHEMA
        else _with_checked_numbers(part)
        for key, part in schema.items()
    }


class FrozenSpec(BaseModel):
    """Base of every part of an experiment: immutable, unknown keys forbidden.

    A number is no truth value, which pydantic takes for 0 or 1 and YAML makes of ``yes``; and a
    whole number has 64 bits at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler, /
    ) -> CoreSchema:
        """What pydantic makes of the class, with each of its numbers checked."""
        return cast("CoreSchema", _with_checked_numbers(handler(source)))


__all__ = ["NO_NUMBER", "FrozenSpec"]
