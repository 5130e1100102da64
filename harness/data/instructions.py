"""Rows with an instruction of their own, and an input where it needs one."""

from __future__ import annotations

from dataclasses import replace

from harness.data.rows import Row, Rows
from harness.records import JsonValue

INSTRUCTION, _INPUTS = "instruction", ("input", "context")


def with_inputs(table: Rows) -> Rows:
    """The rows with ``instruction_input``, where there are both columns.

    It holds the instruction and below it, after an empty line, the input, if there is one; with
    ``context`` in place of ``input`` it is ``instruction_context``. A template that shows both
    columns would need both in every row, and would show the name of an input that is not there.
    """
    input_name = next((name for name in _INPUTS if name in table.columns), None)
    added = f"{INSTRUCTION}_{input_name}"
    if input_name is None or INSTRUCTION not in table.columns or added in table.columns:
        return table
    rows = tuple(_with_input(row, input_name, added) for row in table.rows)
    return replace(table, columns=(*table.columns, added), rows=rows)


def _with_input(row: Row, input_name: str, added: str) -> Row:
    instruction, input_ = row.values.get(INSTRUCTION), row.values.get(input_name)
    unread = row.lacking.get(INSTRUCTION) or row.lacking.get(input_name)
    if unread is None and (_is_blank(instruction) or not isinstance(instruction, str)):
        unread = f"{INSTRUCTION}: the text is missing; fill it in"
    if unread is None and not (_is_blank(input_) or isinstance(input_, str)):
        unread = f"{input_name}: holds no text"
    if unread is not None:
        return Row(row.line, row.values, row.lacking | {added: unread})
    shown = str(instruction) if _is_blank(input_) else f"{instruction}\n\n{input_}"
    return Row(row.line, row.values | {added: shown}, row.lacking)


def _is_blank(value: JsonValue) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
