"""Calls of tools as rows hold them, checked against the tools."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from harness.answers.call_reader import read_calls
from harness.answers.call_values import BrokenCallError, Call, calls_of
from harness.answers.cells import AnswerError, is_missing
from harness.answers.json_schema import canonical_json
from harness.answers.row_reader import RowReader
from harness.answers.tools import Tool, tools_of
from harness.records import JsonValue


class CallRows(RowReader):
    """Reads calls as a JSON list of objects with ``name`` and ``arguments``.

    Args:
        tools: name -> tool; None where each row has its own in ``tools_column``.
    """

    def __init__(
        self, column: str, tools: Mapping[str, Tool] | None, tools_column: str | None
    ) -> None:
        super().__init__()
        self._column, self._tools, self._tools_column = column, tools, tools_column

    def read(self, values: Mapping[str, JsonValue]) -> str:
        value = values.get(self._column)
        if is_missing(value) or value == "":
            raise AnswerError(
                f"{self._column}: the value is missing; fill it in, or write [] where no tool is "
                "to be called"
            )
        tools = self._tools_of_row(values)
        try:
            calls = read_calls(value, tools) if isinstance(value, str) else calls_of(value)
        except BrokenCallError as error:
            raise AnswerError(f"{self._column}: {error}") from error
        if calls is None:
            raise AnswerError(
                f"{self._column}: {value!r:.60} holds no calls; write a list of objects with "
                "`name` and `arguments`"
            )
        for call in calls:
            self._check(call, tools)
        return calls_text(calls, tools)

    def _tools_of_row(self, values: Mapping[str, JsonValue]) -> Mapping[str, Tool]:
        if self._tools_column is None:
            return self._tools or {}
        value = values.get(self._tools_column)
        if is_missing(value) or value == "":
            raise AnswerError(f"{self._tools_column}: the value is missing; fill it in")
        try:
            written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            return tools_of(written)
        except ValueError as error:
            raise AnswerError(f"{self._tools_column}: {error}") from error

    def _check(self, call: Call, tools: Mapping[str, Tool]) -> None:
        if call.name not in tools:
            names = ", ".join(list(tools)[:20])
            raise AnswerError(
                f"{self._column}: calls {call.name!r}, which is none of the tools ({names}); "
                "correct the row or add the tool"
            )
        fault = next(tools[call.name].validator.iter_errors(call.arguments), None)
        if fault is not None:
            place = ".".join(map(str, fault.absolute_path)) or "arguments"
            raise AnswerError(
                f"{self._column}: the call of {call.name!r} does not conform to the tool's "
                f"schema: {place}: {fault.message:.200}"
            )


def calls_text(calls: Iterable[Call], tools: Mapping[str, Tool]) -> str:
    """The canonical text of calls: arguments in the order of the tool's schema."""
    parts = [
        f'{{"name": {json.dumps(call.name, ensure_ascii=False)}, "arguments": '
        f"{canonical_json(call.arguments, tools[call.name].parameters)}}}"
        for call in calls
    ]
    return f"[{', '.join(parts)}]"
