"""Read a YAML file safely, keeping where each value stands."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from harness.errors import Problem, SpecError

LARGEST = 100_000


def read_mapping(path: Path, *, what: str, absent: str) -> tuple[yaml.Node, dict[str, Any]]:
    """A YAML file that holds a mapping: its node tree, for line numbers, and its values.

    what: what the file is, such as ``an experiment``. absent: what to do where there is no file.

    Raises:
        SpecError: no such file, not UTF-8, not YAML, a key given twice, or aliases that write out
            to more than 100,000 values (a mistake, or an attack).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(Problem(str(path), f"no such file; {absent}")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(Problem(str(path), f"cannot be read: {error}")) from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None and _written_out(root, {}) > LARGEST:
            rule = f"its aliases write out to more than {LARGEST:,} values; write them plainly"
            raise SpecError(Problem(str(path), rule))
        repeated = _repeated_keys(path, root) if root is not None else []
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(Problem(f"{path}:{line}", f"not valid YAML: {error.problem}")) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise SpecError(Problem(str(path), f"not valid YAML: {error}")) from error
    if repeated:
        raise SpecError(repeated)
    if root is None or not isinstance(values, dict):
        raise SpecError(Problem(str(path), f"{what} is a mapping of keys, such as `name:`"))
    return root, values


def _written_out(node: yaml.Node, sizes: dict[int, float]) -> float:
    """Values below a node, those behind aliases counted each time; infinite if it holds itself."""
    if id(node) not in sizes:
        sizes[id(node)] = math.inf
        sizes[id(node)] = 1 + sum(_written_out(child, sizes) for child in _children(node))
    return sizes[id(node)]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _repeated_keys(path: Path, node: yaml.Node) -> list[Problem]:
    found: list[Problem] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                where = f"{path}:{key.start_mark.line + 1}"
                found.append(Problem(where, f"key `{name}` stands twice; keep one"))
            seen.add(name)
    for child in _children(node):
        found.extend(_repeated_keys(path, child))
    return found
