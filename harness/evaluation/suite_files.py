"""The files that a suite's own tasks are made of, checked without running anything of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import Problem
from harness.evaluation.task_source import LOCAL_BUILDERS, files_by_split

# lm-eval's name for what a task without filters has.
UNFILTERED = "none"
_FUNCTION = re.compile(r"!function\s+(([\w.]+)\.\w+)")


@dataclass(slots=True)
class TaskFiles:
    """files: all that can change a score. functions: those of Python that they name, as
    ``module.function``. metrics: task -> names of its metrics, as far as its file lists them.
    filters: task -> names of its filters, in its order. problems: what is wrong with the files.
    """

    files: set[Path] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    metrics: dict[str, list[str]] = field(default_factory=dict)
    filters: dict[str, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_task_files(folders: Sequence[Path]) -> TaskFiles:
    """Read every task YAML in the folders, and what it includes, names and calls."""
    found = TaskFiles()
    for path in (path for folder in folders for path in sorted(folder.glob("**/*.yaml"))):
        config = _read(path, found, ())
        if config is None:
            continue
        data = {path.parent / name for name in _data_files(config)}
        for missing in sorted(file for file in data if not file.is_file()):
            found.problems.append(
                Problem(str(path), f"no data file {missing}; build or restore it")
            )
        found.files |= {file for file in data if file.is_file()}
        if isinstance(config.get("task"), str):
            found.metrics[config["task"]] = list(_metrics(config))
            found.filters[config["task"]] = list(_filters(config)) or [UNFILTERED]
    return found


class _TaskLoader(yaml.SafeLoader):
    """Reads a task YAML without importing the functions it names."""


_TaskLoader.add_constructor("!function", lambda loader, node: f"!function {node.value}")


def _read(path: Path, found: TaskFiles, via: tuple[Path, ...]) -> dict[str, Any] | None:
    """A task file's keys over those of the files it includes; None where it cannot be used."""
    try:
        text = path.read_text(encoding="utf-8")
        config = yaml.load(text, Loader=_TaskLoader)  # noqa: S506 - a SafeLoader
    except (OSError, yaml.YAMLError, RecursionError, ValueError) as error:
        found.problems.append(Problem(str(path), f"not valid YAML: {error}"))
        return None
    if not isinstance(config, dict):
        return None
    named = _FUNCTION.findall(text)
    found.functions.update(function for function, _ in named)
    modules = {path.parent / f"{name.replace('.', '/')}.py" for _, name in named}
    # A function may also come from an installed module, which is not part of the suite.
    found.files |= {path} | {module for module in modules if module.is_file()}
    included = config.pop("include", None)
    merged: dict[str, Any] = {}
    for name in included if isinstance(included, list) else [included] if included else []:
        other = path.parent / str(name)
        if other in (path, *via):
            found.problems.append(Problem(str(path), f"includes itself by {name}"))
        elif not other.is_file():
            found.problems.append(Problem(str(path), f"no file {other} to include; restore it"))
        else:
            merged |= _read(other, found, (path, *via)) or {}
    return merged | config


def _metrics(config: dict[str, Any]) -> Iterator[str]:
    listed = config.get("metric_list")
    for metric in listed if isinstance(listed, list) else []:
        if isinstance(metric, dict):
            yield str(metric.get("metric"))


def _filters(config: dict[str, Any]) -> Iterator[str]:
    listed = config.get("filter_list")
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict):
            yield str(one.get("name"))


def _data_files(config: dict[str, Any]) -> Iterator[str]:
    """Local data files that a task config names."""
    options = config.get("dataset_kwargs")
    if str(config.get("dataset_path")) in LOCAL_BUILDERS and isinstance(options, dict):
        for names in files_by_split(options.get("data_files")).values():
            yield from names


def no_filter(task: str, wanted: str | None, names: Sequence[str]) -> str | None:
    """That a task has no filter of the name that its suite gives; None if it has."""
    if wanted is None or wanted in names:
        return None
    return f"{task} has no filter {wanted!r}; it has {', '.join(names)}"


def line_in(root: yaml.Node, location: list[str]) -> int:
    """Line, from 1, of the innermost part of a location that exists in the file."""
    node, line = root, root.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pairs = {str(key.value): (key, value) for key, value in node.value}
            if part not in pairs:
                break
            key, node = pairs[part]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
            node = node.value[int(part)]
            line = node.start_mark.line + 1
    return line
