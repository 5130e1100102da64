"""Calls of tools as Python writes them: one, or several in lines, in a list, after semicolons."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Collection, Iterator, Sequence

import regex

from harness.answers.call_values import BrokenCallError, Call, composed_arguments
from harness.answers.json_cells import RepeatedFieldError, literal_value, object_of

_BEGINS = regex.compile(r"\s*(?:#[^\n]*\n\s*)*[\[(]*\s*[A-Za-z_][\w.]*\s*\(")
_NAME = regex.compile(r"[A-Za-z_][\w.]*")
# Python's parser is not made for hostile input.
_LONGEST = 100_000


def python_calls(text: str) -> list[Call] | None:
    """The calls that a text is, with arguments by name; None where it is anything else.

    Assignments, other statements and values that are no calls make it something else.

    Raises:
        BrokenCallError: an argument holds what JSON has not.
        RepeatedFieldError: an argument stands twice.
    """
    if not _BEGINS.match(text):
        return None
    statements = _statements(text)
    if not statements or not all(isinstance(one, ast.Expr) for one in statements):
        return None
    calls = []
    try:
        for node in _elements(statements):
            if (call := _call(node)) is None:
                return None
            calls.append(call)
    except (RepeatedFieldError, BrokenCallError):
        raise
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return calls or None


def calls_in_python(text: str, tools: Collection[str]) -> bool:
    """Whether a text is Python throughout, and calls one of the tools somewhere in it."""
    if not any(f"{tool}(" in text for tool in tools):
        return False
    return any(
        isinstance(node, ast.Call) and ast.unparse(node.func) in tools
        for statement in _statements(text)
        for node in ast.walk(statement)
    )


def _statements(text: str) -> Sequence[ast.stmt]:
    if len(text) > _LONGEST:
        return ()
    try:
        return ast.parse(textwrap.dedent(text).strip()).body
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()


def _elements(statements: Sequence[ast.stmt]) -> Iterator[ast.expr]:
    for statement in statements:
        if isinstance(statement, ast.Expr):
            value = statement.value
            yield from value.elts if isinstance(value, ast.List | ast.Tuple) else (value,)


def _call(node: ast.expr) -> Call | None:
    if not isinstance(node, ast.Call) or node.args or any(a.arg is None for a in node.keywords):
        return None
    name = ast.unparse(node.func)
    if not _NAME.fullmatch(name):
        return None
    arguments = object_of([(str(a.arg), literal_value(a.value)) for a in node.keywords])
    return Call(name, composed_arguments(arguments))
