"""The tools that a model may call: their names, what they do, and the schema of their arguments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jsonschema.protocols import Validator

from harness.answers.json_cells import read_json_text
from harness.answers.json_schema import checked_schema
from harness.answers.json_text import JsonObject
from harness.answers.schema_validator import schema_validator

# How makers of models call the schema of a tool's arguments.
_SCHEMAS = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema")

_AS_JSON = (
    'Write calls as a JSON list: [{"name": …, "arguments": {…}}], or [] where none is to be made.'
)


@dataclass(frozen=True, slots=True)
class Tool:
    """One function that may be called."""

    name: str
    """Its name."""
    parameters: JsonObject
    """JSON Schema of its arguments, an object."""
    description: str = ""
    """What it does; empty where nobody says."""

    @property
    def validator(self) -> Validator:
        """What judges arguments. It fetches nothing."""
        return schema_validator(self.parameters)

    @property
    def plain(self) -> JsonObject:
        """All that is known of it."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}

    @property
    def function(self) -> JsonObject:
        """As OpenAI writes it, and as chat templates take it."""
        return {"type": "function", "function": self.plain}

    def shown(self) -> str:
        """A line of JSON, as an instruction lists it."""
        told = {key: value for key, value in self.plain.items() if value != ""}
        return json.dumps(told, ensure_ascii=False)


def defines_tools(value: object) -> bool:
    """Whether a JSON value defines tools: each has the schema of its arguments, not arguments."""
    tools = readable_tools(value)
    if not tools:
        return False
    written = read_json_text(value).value if isinstance(value, str) else value
    parts = written if isinstance(written, list) else [written]
    return any(tool.parameters.get("properties") for tool in tools.values()) and not any(
        "arguments" in part for part in _unwrapped(parts) if isinstance(part, Mapping)
    )


def listed_tools(tools: Iterable[Tool]) -> str:
    """The tools as text for a model whose chat template has no form for them, a line each."""
    return "\n".join(["Tools:", *(tool.shown() for tool in tools)])


def telling_how(instruction: str) -> str:
    """What an instruction leaves unsaid of how calls are written; empty where it speaks of JSON."""
    return "" if "json" in instruction.lower() else _AS_JSON


def read_tools(value: object) -> dict[str, Tool]:
    """Name -> tool, of a list of tools as OpenAI, Anthropic, Gemini or MCP write them, or its JSON.

    Raises:
        ValueError: it cannot be read; the message names the tool.
    """
    if isinstance(value, str):
        value = read_json_text(value).value
    if isinstance(value, Mapping):
        value = value.get("tools", value.get("functions", [value]))
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise ValueError("tools are a list of objects with a name and parameters each")
    tools: dict[str, Tool] = {}
    for place, part in enumerate(_unwrapped(value), 1):
        tool = _tool(part, place)
        if tool.name in tools:
            raise ValueError(f"two tools are called {tool.name!r}; keep one")
        tools[tool.name] = tool
    return tools


def readable_tools(value: object) -> dict[str, Tool]:
    """The same of a cell; none where it cannot be read, which is a bad row once rows are read."""
    try:
        return read_tools(value)
    except ValueError:
        return {}


def _unwrapped(parts: Sequence[Any]) -> list[Any]:
    """The tools themselves, without what their makers put around them."""
    unwrapped = []
    for written in parts:
        part = read_json_text(written).value if isinstance(written, str) else written
        within = part if isinstance(part, Mapping) else {}
        declared = within.get("functionDeclarations")
        function = within.get("function")
        if isinstance(declared, list):
            unwrapped += declared
        else:
            unwrapped.append(function if isinstance(function, Mapping) else part)
    return unwrapped


def _tool(part: Any, place: int) -> Tool:
    name = part.get("name") if isinstance(part, Mapping) else None
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"tool {place} has no name: an object with `name` and `parameters`")
    schema: Any = next((part[key] for key in _SCHEMAS if part.get(key) is not None), {})
    if not isinstance(schema, Mapping):
        raise ValueError(f"tool {name!r}: its parameters are no JSON Schema")
    try:
        parameters = checked_schema({"type": "object", "properties": {}} | _lowered(dict(schema)))
    except ValueError as error:
        raise ValueError(f"tool {name!r}: {error}") from error
    return Tool(name.strip(), parameters, str(part.get("description") or ""))


def _lowered(schema: Any) -> Any:
    """A schema whose types are written small: Gemini writes STRING."""
    if isinstance(schema, list):
        return [_lowered(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value.lower()
        if key == "type" and isinstance(value, str)
        else value
        if key in ("enum", "const", "default", "examples")
        else _lowered(value)
        for key, value in schema.items()
    }


@lru_cache(maxsize=1024)
def tools_of(written: str) -> dict[str, Tool]:
    """The tools that a text in JSON lists; read once.

    Raises:
        ValueError: they cannot be read.
    """
    return read_tools(written)
