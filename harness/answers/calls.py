"""Answers that are calls of tools: one, several, or none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from harness.answers.answer import Answer, Reading, ReplyReader, only_column
from harness.answers.answer_column import AnswerColumn
from harness.answers.call_reader import calls_as_json, read_calls
from harness.answers.call_rows import CallRows
from harness.answers.call_values import BrokenCallError, Call, calls_of
from harness.answers.infer_schema import infer_schema
from harness.answers.json_schema import moved, pointer
from harness.answers.json_text import JsonObject
from harness.answers.json_values import UNORDERED, ValueReader, field_f1
from harness.answers.metrics import ARGUMENT_F1, EXACT_MATCH, RIGHT_FUNCTIONS, VALID
from harness.answers.row_reader import RowReader
from harness.answers.tools import Tool, defines_tools, read_tools, readable_tools, tools_of
from harness.errors import DataError
from harness.records import Example
from harness.records.guess import Guess

_FIELD = "function"
# A few cells that cannot be read do not change what a column is; they are reported as bad rows.
_MOST = 0.9
# Cells by which a column of tools is known.
_LOOKED_AT = 20


class CallsAnswer(Answer):
    """The answer is calls of tools, in the model's own notation or as JSON: several, one, none."""

    kind: Literal["calls"]
    column: str = Field(
        description="Column that holds the calls: OpenAI's `tool_calls`, or objects with `name` "
        "and `arguments`; `[]` where none is to be made."
    )
    tools: tuple[dict[str, Any], ...] | str | None = Field(
        None,
        description="The tools: a list of objects with `name`, `description` and `parameters` "
        "(JSON Schema), also as OpenAI, Anthropic or MCP write them; or a JSON or YAML file of "
        "such a list.",
    )
    tools_column: str | None = Field(
        None,
        description="Column with the tools of each row. The template may show it; else they stand "
        "where the chat template writes tools, or after the instruction. Give this or `tools`.",
    )

    metrics = (EXACT_MATCH, ARGUMENT_F1, RIGHT_FUNCTIONS, VALID)
    metrics_reason: ClassVar[str] = (
        "exact_match, the share of replies whose calls are all right, decides: a call with one "
        "wrong argument does another thing."
    )
    form_metric = VALID
    holds_json: ClassVar[bool] = True
    draft_notes: ClassVar[Mapping[str, str]] = {
        "tools": "As the file shows them: what is told of tools, and what calls are checked by.",
    }

    @field_validator("tools")
    @classmethod
    def _usable(cls, tools: tuple[dict[str, Any], ...] | str | None) -> Any:
        if tools is not None and not isinstance(tools, str):
            read_tools(list(tools))
        return tools

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.tools is None) == (self.tools_column is None):
            raise ValueError("give exactly one of `tools` and `tools_column`")
        if self.extract is not None and self.tools_column is not None:
            raise ValueError("`extract` goes with `tools`, the same for all rows")
        return self

    @property
    def columns_read(self) -> tuple[str, ...]:
        """The column of the calls, and that of the tools where each row has its own."""
        return (self.column, *([self.tools_column] if self.tools_column else []))

    @property
    def functions(self) -> tuple[JsonObject, ...]:
        """The tools of all rows."""
        return tuple(tool.function for tool in self._known.values())

    @property
    def _known(self) -> dict[str, Tool]:
        """The same by name; none where each row has its own, or a file is not read yet."""
        if self.tools is None or isinstance(self.tools, str):
            return {}
        return tools_of(json.dumps(self.tools))

    @property
    def row_tools(self) -> str | None:
        """The column of the tools that each row has."""
        return self.tools_column

    def with_files(self, folder: Path) -> Self:
        """The answer with the tools that the file holds in place of its name."""
        if not isinstance(self.tools, str):
            return self
        path = folder / Path(self.tools).expanduser()
        try:
            # YAML would take a character that JSON writes as two halves for two that are none.
            read = json.loads if path.suffix == ".json" else yaml.safe_load
            content = read(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            what = f"task.answer.tools: {path} cannot be read as a list of tools: {error}"
            raise ValueError(what) from error
        try:
            tools = [tool.plain for tool in read_tools(content).values()]
        except ValueError as error:
            raise ValueError(f"task.answer.tools: {path}: {error}") from error
        return type(self).model_validate(self.model_dump() | {"tools": tools})

    def _row_reader(self) -> RowReader:
        """Reads calls as a JSON list of objects with ``name`` and ``arguments``."""
        return CallRows(self.column, self._known or None, self.tools_column)

    def _count_classes(self, answers: Iterable[str]) -> dict[str, Counter[str]]:
        """The one field is called ``function``; an answer counts once for each that it calls."""
        called = ({call["name"] for call in json.loads(answer)} for answer in answers)
        return {_FIELD: Counter(name for names in called for name in sorted(names))}

    def notes(self, answers: Iterable[str]) -> Iterator[str]:
        """How often words alone are right, which a model that never calls gets for nothing."""
        finals = [self.final(answer) for answer in answers]
        none = finals.count("[]")
        if none:
            yield (
                f"no tool is to be called in {none} of {len(finals)} rows, where a reply in words "
                "alone is right: a model that never calls one is right as often"
            )

    def judged_by(self) -> dict[str, Any]:
        """The tools decide what is valid; where they stand in the data says nothing."""
        return self.model_dump(mode="json", exclude={"column", "tools_column"})

    def target_of(self, example: Example) -> str:
        """The calls, with the row's tools where each row has its own."""
        if self.tools_column is None:
            return example.answer
        held = {"calls": example.answer, "tools": example.tools}
        return json.dumps(held, ensure_ascii=False)

    def reply_schema(self) -> JsonObject | None:
        """A list of calls with the arguments that the tools take, where all rows have the same."""
        known = self._known
        if not known:
            return None
        return {
            "type": "array",
            "items": {"anyOf": list(map(_call_schema, known.values()))},
            # What a tool's schema refers to is found where that stands.
            "$defs": {
                tool.name: moved(tool.parameters, pointer("$defs", tool.name))
                for tool in known.values()
            },
        }

    def _why_not_chosen(self) -> str:
        """There is no list of all calls."""
        return "cannot be meant for calls of tools, of which there is no end; use generate"

    def _why_not_constrained(self) -> str:
        """Tools differ by row, or no grammar can express their schemas."""
        if self.tools_column is not None:
            return "cannot keep to tools that differ by row; use answering: generate"
        if not self._known:
            return ""  # The file is read when the experiment is loaded, and this asked again.
        from harness.answers.grammar import grammar_problems

        problems = grammar_problems(self.reply_schema() or {})
        if not problems:
            return ""
        return (
            f"cannot keep to the schemas of task.answer.tools ({'; '.join(problems)}); simplify "
            "them, or use answering: generate"
        )

    def reader(self, labels: Sequence[str] = ()) -> ReplyReader:
        """Reads replies against calls, and the tools of the row where each has its own."""
        if self.tools_column is None:
            return super().reader(labels)
        readers: dict[str, ReplyReader] = {}

        def read(target: str, reply: str) -> Reading:
            held = json.loads(target)
            answer, tools = str(held["calls"]), str(held["tools"])
            if tools not in readers:
                replies = _CallReplies(tools_of(tools))
                readers[tools] = replies.read
            return readers[tools](self.final(answer), self.found_in(reply) or "")

        return read

    def answer_in(self, reply: str, labels: Sequence[str] = ()) -> str | None:
        """Its calls as a JSON list, in whatever notation they are made."""
        found = self.found_in(reply)
        return calls_as_json(found, self._known) if found else None

    def _reader(self, labels: Sequence[str]) -> ReplyReader:
        return _CallReplies(self._known).read

    @classmethod
    def recognise(cls, columns: Sequence[AnswerColumn]) -> Guess[Self] | None:
        """One column of objects or lists that all have a name and arguments."""
        if len(columns) > 1 or not columns[0].values:
            return None
        if not _calls_in(columns[0]):
            return None
        why = "calls of tools; which there are, and what they take, is told from the calls"
        return Guess(cls.of_columns(columns), why)

    @classmethod
    def of_columns(cls, columns: Sequence[AnswerColumn]) -> Self:
        """The one column, with the tools that its calls show."""
        column = only_column(cls, columns)
        calls = _calls_in(column)
        if not calls:
            raise DataError(
                f"column {column.name!r} holds no calls, which have a name and arguments; use "
                "another --kind, or another --answer"
            )
        arguments: dict[str, list[JsonObject]] = {}
        for call in calls:
            arguments.setdefault(call.name, []).append(call.arguments)
        tools = [
            {"name": name, "parameters": infer_schema(shown)} for name, shown in arguments.items()
        ]
        return cls.model_validate({"kind": "calls", "column": column.name, "tools": tools})

    def beside(self, columns: Sequence[AnswerColumn]) -> Self:
        """With the tools of a column that defines some, in place of what the calls show."""
        of_tools = next((column for column in columns if is_of_tools(column)), None)
        if of_tools is None or of_tools.missing:
            return self
        source: JsonObject = {"tools": None, "tools_column": of_tools.name}
        read = [tuple(readable_tools(value).values()) for value in of_tools.values]
        if len({tuple(sorted(tool.shown() for tool in tools)) for tools in read}) == 1:
            source = {"tools": [tool.plain for tool in read[0]]}
        elif self.extract is not None:
            return self
        return type(self).model_validate(self.model_dump() | source)

    def instruction(self, subject: str, *, is_reply: bool, is_told: bool) -> str:
        """Asks for calls; the tools, and how calls are written, follow by themselves."""
        return (
            "Call the tools that the text asks for and say nothing else. Reply [] where none is to "
            "be called."
        )


class _CallReplies:
    """Reads replies as calls of tools, in no order."""

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        self._tools = tools
        # Each call is an object of one field, the tool's name, so that arguments of different
        # tools share nothing.
        self._values = ValueReader(
            {
                "type": "array",
                UNORDERED: True,
                "items": {
                    "type": "object",
                    "properties": {
                        tool.name: moved(tool.parameters, pointer("items", "properties", tool.name))
                        for tool in tools.values()
                    },
                },
            }
        )

    def read(self, target: str, reply: str) -> Reading:
        """The reading of a reply; words alone call nothing, which is right where nothing is."""
        right = [Call(call["name"], call["arguments"]) for call in json.loads(target)]
        try:
            made = read_calls(reply, self._tools)
        except BrokenCallError:
            made = None
        else:
            if made is None and not right and reply.strip():
                made = []
        if made is None:
            return Reading(_scores(), {})
        one, other = (self._values.read([{c.name: c.arguments} for c in x]) for x in (right, made))
        return Reading(
            _scores(
                exact=one == other,
                f1=field_f1(one, other),
                functions=Counter(c.name for c in right) == Counter(c.name for c in made),
                valid=all(map(self._is_valid, made)),
            ),
            {},
        )

    def _is_valid(self, call: Call) -> bool:
        tool = self._tools.get(call.name)
        return tool is not None and bool(tool.validator.is_valid(call.arguments))


def _scores(
    *, exact: bool = False, f1: float = 0.0, functions: bool = False, valid: bool = False
) -> dict[str, float]:
    return {
        EXACT_MATCH.name: float(exact),
        ARGUMENT_F1.name: f1,
        RIGHT_FUNCTIONS.name: float(functions),
        VALID.name: float(valid),
    }


def _call_schema(tool: Tool) -> JsonObject:
    return {
        "type": "object",
        "properties": {
            "name": {"const": tool.name},
            "arguments": {"$ref": pointer("$defs", tool.name)},
        },
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def is_of_tools(column: AnswerColumn) -> bool:
    """Whether a column says which tools there are, and calls none."""
    return bool(column.values) and all(map(defines_tools, column.values[:_LOOKED_AT]))


def _calls_in(column: AnswerColumn) -> list[Call]:
    """The calls of a column; empty where most cells hold none."""
    if is_of_tools(column):
        return []
    values: Sequence[Any] = column.objects or column.lists
    read: Callable[[Any], list[Call] | None] = calls_of
    if not values:
        values, read = column.texts, read_calls
    calls, readable = list[Call](), 0
    for value in values:
        try:
            found = read(value)
        except BrokenCallError:
            continue
        if found is not None:
            readable += 1
            calls += found
    # People and things have names, too, and no arguments.
    is_named = 2 * sum(call.bare for call in calls) > len(calls)
    return calls if readable >= _MOST * len(column.values) and not is_named else []
