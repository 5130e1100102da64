"""The files that a suite's own tasks are made of, checked without running anything of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import Problem
from harness.evaluation.suites.task_source import LOCAL_BUILDERS, files_by_split
from harness.spec.yaml_file import FAULTS, not_valid

# lm-eval's name for what a task without filters has.
UNFILTERED = "none"
_FUNCTION = re.compile(r"!function\s+(([\w.]+)\.\w+)")


@dataclass(slots=True)
class TaskFiles:
    """What the files of a suite's tasks name."""

    files: set[Path] = field(default_factory=set)
    """All files that can change a score."""
    functions: set[str] = field(default_factory=set)
    """Functions of Python that they name, as ``module.function``."""
    metrics: dict[str, list[str]] = field(default_factory=dict)
    """Task -> names of its metrics, as far as its file lists them."""
    filters: dict[str, list[str]] = field(default_factory=dict)
    """Task -> names of its filters, in its order."""
    problems: list[Problem] = field(default_factory=list)
    """What is wrong with the files."""


def read_task_files(folders: Sequence[Path]) -> TaskFiles:
    """Read every task YAML in the folders, and what it includes, names and calls."""
    task_files = TaskFiles()
    for path in (path for folder in folders for path in sorted(folder.glob("**/*.yaml"))):
        config = _read(path, task_files, ())
        if config is None:
            continue
        data = {path.parent / name for name in _data_files(config)}
        for missing in sorted(file for file in data if not file.is_file()):
            task_files.problems.append(
                Problem(str(path), f"no data file {missing}; build or restore it")
            )
        task_files.files |= {file for file in data if file.is_file()}
        if isinstance(config.get("task"), str):
            task_files.metrics[config["task"]] = list(_metrics(config))
            task_files.filters[config["task"]] = list(_filters(config)) or [UNFILTERED]
    return task_files


class _TaskLoader(yaml.SafeLoader):
    """Reads a task YAML without importing the functions it names."""


_TaskLoader.add_constructor("!function", lambda loader, node: f"!function {node.value}")


def _read(path: Path, task_files: TaskFiles, via: tuple[Path, ...]) -> dict[str, Any] | None:
    """A task file's keys over those of the files it includes; None where it cannot be used."""
    try:
        text = path.read_text(encoding="utf-8")
        config = yaml.load(text, Loader=_TaskLoader)  # noqa: S506 - a SafeLoader
    except (OSError, *FAULTS) as error:
        task_files.problems.append(not_valid(path, error))
        return None
    if not isinstance(config, dict):
        return None
    named = _FUNCTION.findall(text)
    task_files.functions.update(function for function, _ in named)
    modules = {path.parent / f"{name.replace('.', '/')}.py" for _, name in named}
    # A function may also come from an installed module, which is not part of the suite.
    task_files.files |= {path} | {module for module in modules if module.is_file()}
    included = config.pop("include", None)
    merged: dict[str, Any] = {}
    for name in included if isinstance(included, list) else [included] if included else []:
        other = path.parent / str(name)
        if other in (path, *via):
            task_files.problems.append(Problem(str(path), f"includes itself by {name}"))
        elif not other.is_file():
            task_files.problems.append(
                Problem(str(path), f"no file {other} to include; restore it")
            )
        else:
            merged |= _read(other, task_files, (path, *via)) or {}
    return merged | config


def _metrics(config: dict[str, Any]) -> Iterator[str]:
    listed = config.get("metric_list")
    for metric in listed if isinstance(listed, list) else []:
        if isinstance(metric, dict):
            yield str(metric.get("metric"))


def _filters(config: dict[str, Any]) -> Iterator[str]:
    listed = config.get("filter_list")
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict):
            yield str(entry.get("name"))


def _data_files(config: dict[str, Any]) -> Iterator[str]:
    """Local data files that a task config names."""
    options = config.get("dataset_kwargs")
    if str(config.get("dataset_path")) in LOCAL_BUILDERS and isinstance(options, dict):
        for names in files_by_split(options.get("data_files")).values():
            yield from names


def no_filter(task: str, filter_name: str | None, names: Sequence[str]) -> str | None:
    """What is wrong where a task lacks the filter that its suite names; None where it has it."""
    if filter_name is None or filter_name in names:
        return None
    return f"{task} has no filter {filter_name!r}; it has {', '.join(names)}"
