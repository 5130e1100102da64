"""What stands in a YAML file and is not what it looks like: told before any of it is read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from harness.errors import Problem

# Far more than any experiment has, and less than what reads, checks and stores it can follow.
DEEPEST = 100
TOO_DEEP = f"values are nested more than {DEEPEST} levels deep; write them flatter"
_TAG = "tag:yaml.org,2002:"
# What YAML 1.1 takes a text without quotes for, by its tag.
_TAKEN_FOR = {
    f"{_TAG}int": "a whole number",
    f"{_TAG}float": "a number",
    f"{_TAG}bool": "true or false",
    f"{_TAG}timestamp": "a date",
}
# Collections and bytes that no key takes: they would come in an order of their own, or as pairs.
_UNUSED = tuple(f"{_TAG}{name}" for name in ("set", "omap", "pairs", "binary"))
# A plain `=`, and `<<` where it is no key.
_MARKS = (f"{_TAG}value", f"{_TAG}merge")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_QUOTES = "put quotes around it where text is meant"


def unlike_written(path: Path, root: yaml.Node) -> list[Problem]:
    """Values of a file that YAML would read as something else, or not at all, sorted by line.

    These are numbers with a leading 0 or with colons, which YAML 1.1 reads in base 8 and 60; texts
    with half a character or a NUL, which nothing can store; what is tagged or taken for a number, a
    date or a truth value and is none; and tags for what no experiment holds.

    Args:
        path: the file.
        root: its node tree, which does not hold itself.

    Raises:
        yaml.YAMLError: a tag is none that is known.
    """
    if _depth(root, {}) > DEEPEST:
        return [Problem(str(path), TOO_DEEP)]
    problems = [
        Problem(
            f"{path}:{node.start_mark.line + 1}", f"{'.'.join(fields)}: {what}" if fields else what
        )
        for fields, node, is_key in _nodes(root, (), set())
        if (what := _fault(node, is_key=is_key))
    ]
    return sorted(problems, key=lambda problem: int(problem.where.rpartition(":")[2]))


def children_of(node: yaml.Node) -> list[yaml.Node]:
    """The values right below a node, without keys."""
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def written_out(node: yaml.Node, sizes: dict[int, float]) -> float:
    """Values below a node, those behind aliases counted each time; infinite if it holds itself."""
    if id(node) not in sizes:
        sizes[id(node)] = math.inf
        sizes[id(node)] = 1 + sum(written_out(child, sizes) for child in children_of(node))
    return sizes[id(node)]


def _depth(node: yaml.Node, depths: dict[int, int]) -> int:
    if id(node) not in depths:
        depths[id(node)] = 1 + max((_depth(one, depths) for one in children_of(node)), default=0)
    return depths[id(node)]


def _nodes(
    node: yaml.Node, fields: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[tuple[str, ...], yaml.Node, bool]]:
    """Every node once, with the keys that lead to it, and whether it is a key itself."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield fields, node, False
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield fields, key, True
            yield from _nodes(value, (*fields, str(key.value)), seen)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _nodes(value, (*fields, str(place)), seen)


def _fault(node: yaml.Node, *, is_key: bool) -> str:
    if node.tag in _UNUSED:
        name = node.tag.removeprefix(_TAG)
        return f"nothing here is a `!!{name}`; write a plain value, list or mapping"
    if not isinstance(node, yaml.ScalarNode) or (is_key and node.tag in _MARKS):
        return ""
    who = "a key " if is_key else ""
    if node.tag in _MARKS:
        return f"{node.value} alone has a meaning of its own in YAML; put quotes around it"
    if _SURROGATE.search(node.value):
        return (
            f"{who}holds half a character (a lone surrogate), which cannot be stored; write the "
            "character itself, or \\U and its eight digits"
        )
    if "\0" in node.value:
        return f"{who}holds a NUL character, which no text can; leave it out"
    return _read_as_another(node)


def _read_as_another(node: yaml.ScalarNode) -> str:
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except yaml.YAMLError:
        raise
    except Exception as error:  # noqa: BLE001 - its constructors raise what they run into
        # Only of dates what is said is meant for who wrote them.
        why = f" ({error})" if node.tag.endswith(":timestamp") and _says(error) else ""
        taken = _TAKEN_FOR.get(node.tag, "a value")
        return f"YAML takes {node.value!r:.60} for {taken}, which it is not{why}; {_QUOTES}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if ":" in node.value:
        return (
            f"YAML reads {node.value} as {value}: with colons a number counts in sixties; write "
            f"{value}, or {_QUOTES}"
        )
    if isinstance(value, int) and _OCTAL.fullmatch(node.value):
        decimal = int(node.value.replace("_", ""))
        meant = f"{decimal} or {value}" if decimal != value else f"{value}"
        return (
            f"YAML reads {node.value} as {value}: with a leading 0 a number is octal; write "
            f"{meant}, or {_QUOTES}"
        )
    return ""


def _says(error: Exception) -> bool:
    return isinstance(error, ValueError | OverflowError)


__all__ = ["TOO_DEEP", "children_of", "unlike_written", "written_out"]
