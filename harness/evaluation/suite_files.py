"""The task files in a suite's folder, read without running the Python that they may name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import Problem

_FUNCTION = re.compile(r"!function\s+(([\w.]+)\.\w+)")


class _TaskLoader(yaml.SafeLoader):
    """Reads a task YAML without importing the functions it names."""


_TaskLoader.add_constructor("!function", lambda loader, node: f"!function {node.value}")


@dataclass(slots=True)
class TaskFiles:
    """What lies in a suite's folder of tasks.

    files: all that the tasks are made of. functions: those of Python that they name, as
    ``module.function``. metrics: task -> its metrics. problems: what is wrong.
    """

    files: set[Path] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    metrics: dict[str, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_task_files(folder: Path) -> TaskFiles:
    """All that lies below ``folder``, at any depth. Nothing of it is run."""
    found = TaskFiles()
    for path in sorted(folder.glob("**/*.yaml")):
        try:
            text = path.read_text(encoding="utf-8")
            config = yaml.load(text, Loader=_TaskLoader)  # noqa: S506 - a SafeLoader
        except (OSError, yaml.YAMLError, RecursionError, ValueError) as error:
            found.problems.append(Problem(str(path), f"not valid YAML: {error}"))
            continue
        data = {path.parent / name for name in _data_files(config)}
        for missing in sorted(file for file in data if not file.is_file()):
            what = f"no data file {missing}; build or restore it"
            found.problems.append(Problem(str(path), what))
        named = _FUNCTION.findall(text)
        found.functions.update(function for function, _ in named)
        modules = {path.parent / f"{name.replace('.', '/')}.py" for _, name in named}
        # A function may also come from an installed module, which is not part of the suite.
        found.files |= {path} | data | {module for module in modules if module.is_file()}
        if isinstance(config, dict) and isinstance(config.get("task"), str):
            found.metrics[config["task"]] = list(_metrics(config))
    return found


def _metrics(config: dict[str, Any]) -> Iterator[str]:
    listed = config.get("metric_list")
    for metric in listed if isinstance(listed, list) else []:
        if isinstance(metric, dict):
            yield str(metric.get("metric"))


def _data_files(config: Any) -> Iterator[str]:
    """Local data files that a task config names."""
    if not isinstance(config, dict) or config.get("dataset_path") not in ("json", "csv", "parquet"):
        return
    options = config.get("dataset_kwargs")
    files = options.get("data_files") if isinstance(options, dict) else None
    for value in files.values() if isinstance(files, dict) else [files]:
        for name in value if isinstance(value, list) else [value]:
            if isinstance(name, str):
                yield name
