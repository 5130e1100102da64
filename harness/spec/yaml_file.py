"""Read a YAML file safely into a model, every problem with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from harness.errors import Problem, SpecError
from harness.spec.yaml_problems import located_problems
from harness.spec.yaml_values import TOO_DEEP, children_of, unlike_written, written_out

LARGEST = 100_000
# What the library raises at a file that it cannot read: its constructors run into all of these.
FAULTS = (
    yaml.YAMLError, RecursionError, ValueError, OverflowError, TypeError, LookupError,
    AttributeError,
)  # fmt: skip
Model = TypeVar("Model", bound=BaseModel)


def read_as(model: type[Model], path: Path, *, what: str, absent: str) -> tuple[Model, yaml.Node]:
    """What a YAML file holds, validated, and the file's node tree, for line numbers.

    Args:
        model: what the file's mapping is to be.
        path: the file.
        what: the kind of file, such as ``an experiment``.
        absent: what to do where there is no file.

    Raises:
        SpecError: no such file, not UTF-8, not YAML, a key given twice, aliases that write out to
            more than 100,000 values (a mistake, or an attack), values that YAML reads as something
            else than they look like, or that the model refuses; all problems of the file's form at
            once, else all that the model has, each with line and field.
    """
    root, values = _read_mapping(path, what, absent)
    try:
        return model.model_validate(values), root
    except ValidationError as error:
        raise SpecError(located_problems(path, root, model, error)) from error


def not_valid(path: Path, error: Exception) -> Problem:
    """That the file is not YAML, with the line where that shows."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return Problem(f"{path}:{error.problem_mark.line + 1}", f"not valid YAML: {error.problem}")
    return Problem(str(path), f"not valid YAML: {error}")


def _read_mapping(path: Path, what: str, absent: str) -> tuple[yaml.Node, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(Problem(str(path), f"no such file; {absent}")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(Problem(str(path), f"cannot be read: {error}")) from error
    root, values = values_of(path, text)
    if root is None or not isinstance(values, dict):
        raise SpecError(Problem(str(path), f"{what} is a mapping of keys, such as `name:`"))
    return root, values


def values_of(path: Path, text: str) -> tuple[yaml.Node | None, Any]:
    """The node tree of a YAML file's text, and what it holds; None twice where that is nothing.

    Raises:
        SpecError: it is not YAML, or what :func:`unlike_written` names; each with its line.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            return None, None
        if written_out(root, {}) > LARGEST:
            rule = f"its aliases write out to more than {LARGEST:,} values; write them plainly"
            raise SpecError(Problem(str(path), rule))
        problems = unlike_written(path, root) + _repeated_keys(path, root)
        values = None if problems else yaml.SafeLoader("").construct_document(root)
    except RecursionError as error:
        raise SpecError(Problem(str(path), TOO_DEEP)) from error
    except FAULTS as error:
        raise SpecError(not_valid(path, error)) from error
    if problems:
        raise SpecError(problems)
    return root, values


def _repeated_keys(path: Path, node: yaml.Node) -> list[Problem]:
    problems: list[Problem] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                where = f"{path}:{key.start_mark.line + 1}"
                problems.append(Problem(where, f"key `{name}` stands twice; keep one"))
            seen.add(name)
    for child in children_of(node):
        problems.extend(_repeated_keys(path, child))
    return problems
