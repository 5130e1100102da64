"""Suites: which lm-eval tasks show what a model could already do.

A suite is a YAML file that names tasks; the tasks are lm-eval's own YAML, in a folder beside
it or in lm-eval itself. Suites and their items are checked before any weight loads.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import yaml
from pydantic import Field, PrivateAttr, ValidationError, model_validator

import harness
from harness.errors import Problem, SpecError, UnknownReferenceError
from harness.evaluation.suite_files import TaskFiles, read_task_files
from harness.records import GeneralTask, content_hash
from harness.spec.spaces import FrozenSpec
from harness.spec.yaml_file import read_mapping

# lm-eval gives these for whole texts only, whose log-likelihood it takes as a rolling one.
TEXT_METRICS = frozenset({"bits_per_byte", "byte_perplexity", "word_perplexity"})


class SuiteTask(FrozenSpec):
    """One lm-eval task of a suite, and how its score is read."""

    task: str = Field(description="lm-eval task name.")
    metric: str = Field(description="Main metric, as lm-eval names it.")
    chance: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="Score of guessing, 0 to 1; null where there is none."
    )
    chat: bool = Field(False, description="Render prompts with the model's chat template.")
    accuracy: bool = Field(True, description="The metric is a share of items answered right.")
    higher_is_better: bool = Field(True, description="Direction of the metric.")
    text: str = Field(description="What it tests, in a line.")


class Suite(FrozenSpec):
    """A suite file, checked against its task files by :func:`load_suite`."""

    name: str
    description: str = ""
    include: str | None = Field(
        None, description="Folder of lm-eval task YAMLs, relative to the suite file."
    )
    default_tasks: bool = Field(False, description="Tasks that come with lm-eval may be named.")
    tasks: tuple[SuiteTask, ...] = Field(min_length=1)
    _path: Path = PrivateAttr(default=Path())
    _fingerprint: str = PrivateAttr(default="")
    _functions: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [task.task for task in self.tasks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"tasks stand twice: {', '.join(twice)}; keep one of each")
        if self.include is None and not self.default_tasks:
            raise ValueError("name a folder in `include`, or set `default_tasks: true`")
        return self

    @property
    def path(self) -> Path:
        """The suite file."""
        return self._path

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything in the suite that can change a score."""
        return self._fingerprint

    @property
    def folder(self) -> Path | None:
        """Folder of the suite's own task YAMLs."""
        return None if self.include is None else (self.path.parent / self.include).resolve()

    def code_notice(self) -> str:
        """A sentence on the Python functions that the suite's task files name, which run here.

        Empty where there is none, and for the suites that come with the program.
        """
        if not self._functions or any(folder in self.path.parents for folder in _bundled()):
            return ""
        return (
            f"the task files of {self.path} run Python code of their own "
            f"({', '.join(self._functions)}): use only suites that you trust"
        )

    def task(self, name: str) -> SuiteTask:
        """The entry of one task. Raises UnknownReferenceError where there is none."""
        for entry in self.tasks:
            if entry.task == name:
                return entry
        known = ", ".join(entry.task for entry in self.tasks)
        raise UnknownReferenceError(f"suite {self.name} has no task {name!r}; it has {known}")

    def text_task(self) -> str | None:
        """The first task that is of plain texts, if any."""
        return next((entry.task for entry in self.tasks if entry.metric in TEXT_METRICS), None)

    def general_tasks(self) -> dict[str, GeneralTask]:
        """Task name -> how the analysis reads its score."""
        return {
            entry.task: GeneralTask(
                metric=entry.metric,
                accuracy=entry.accuracy,
                higher_is_better=entry.higher_is_better,
                chance=entry.chance,
            )
            for entry in self.tasks
        }


def find_suite(name_or_path: str | Path) -> Path:
    """The file of a suite: a path is taken as it is, a name is looked up among the bundled ones.

    Raises:
        UnknownReferenceError: there is no such file or name; the known names are listed.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or "/" in text or text.endswith((".yaml", ".yml")):
        path = Path(name_or_path)
        # A name that is too long for the system is none of a file either.
        with contextlib.suppress(OSError, ValueError):
            if path.is_file():
                return path.resolve()
        raise UnknownReferenceError(Problem(text, "no such suite file; check the path"))
    known = {path.stem: path for folder in _bundled() for path in sorted(folder.glob("*.yaml"))}
    if text not in known:
        raise UnknownReferenceError(
            f"no suite is called {text!r}; known are {', '.join(sorted(known)) or 'none'}, "
            "or give the path of a suite YAML"
        )
    return known[text]


def _bundled() -> Iterator[Path]:
    package = Path(harness.__file__).resolve().parent
    # In a checkout the folder stands beside the package; beside an installed one, others' do.
    checkout = (package.parent / "pyproject.toml").is_file()
    yield package.parent / "suites" if checkout else package / "_bundled" / "suites"


def load_suite(name_or_path: str | Path) -> Suite:
    """Read a suite and check it against its task files.

    Raises:
        UnknownReferenceError: no such suite.
        SpecError: the file is not a valid suite, or a task of it is missing or broken; all
            problems at once, each with file and line.
    """
    path = find_suite(name_or_path)
    root, values = read_mapping(path, what="a suite", absent="check the path")
    try:
        suite = Suite.model_validate(values)
    except ValidationError as error:
        raise SpecError([_problem(path, root, detail) for detail in error.errors()]) from error
    suite._path = path
    if suite.folder is not None and not suite.folder.is_dir():
        where = f"{path}:{_line(root, ['include'])}"
        raise SpecError(Problem(where, f"include: no folder {suite.folder}; correct the path"))
    found = read_task_files(suite.folder) if suite.folder else TaskFiles()
    problems = [*found.problems, *_unfit_entries(suite, root, found.metrics)]
    if problems:
        raise SpecError(problems)
    suite._fingerprint = _fingerprint(suite, found.files)
    suite._functions = tuple(sorted(found.functions))
    return suite


def _unfit_entries(
    suite: Suite, root: yaml.Node, metrics: Mapping[str, list[str]]
) -> Iterator[Problem]:
    """Entries that name a task, or a metric of it, that there is not."""
    for index, entry in enumerate(suite.tasks):
        known = metrics.get(entry.task)
        if known is None and not suite.default_tasks:
            what = f"no task {entry.task!r} in {suite.folder}; it has {', '.join(sorted(metrics))}"
        elif known and entry.metric not in known:
            what = f"{entry.task} has no metric {entry.metric!r}; it has {', '.join(known)}"
        else:
            continue
        line = _line(root, ["tasks", str(index), "task"])
        yield Problem(f"{suite.path}:{line}", what)


def _problem(path: Path, root: yaml.Node, detail: Mapping[str, Any]) -> Problem:
    location = [str(part) for part in detail["loc"]]
    field = ".".join(location)
    if detail["type"] == "extra_forbidden":
        what = f"unknown key `{location[-1]}`; remove it or correct its spelling"
    elif detail["type"] == "missing":
        what = f"`{field}` is required and missing"
    else:
        what = f"{field}: {detail['msg'].removeprefix('Value error, ')}".removeprefix(": ")
    return Problem(f"{path}:{_line(root, location)}", what)


def _line(root: yaml.Node, location: list[str]) -> int:
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


def _fingerprint(suite: Suite, files: set[Path]) -> str:
    parts = [["suite", json.dumps(suite.model_dump(mode="json"), sort_keys=True)]]
    for path in sorted(files):
        name = Path(os.path.relpath(path, suite.path.parent)).as_posix()
        parts.append([name, hashlib.sha256(path.read_bytes()).hexdigest()])
    if suite.default_tasks:
        parts.append(["lm-eval", importlib.metadata.version("lm-eval")])
    return content_hash(parts)


# --------------------------------------------------------------------------- tasks and items


def build_general_task(suite: Suite, task_name: str, limit: int | None = None) -> Any:
    """The lm-eval task object of one entry, ready for ``lm_eval.evaluate``.

    JSONL of the suite is read straight into memory: no cache, no network. Of such items the first
    ``limit`` are taken, since they are stored in balanced order; of other data a fixed random
    draw, since those may be sorted. A smaller limit takes a subset of a larger one.

    Raises:
        UnknownReferenceError: the suite, or lm-eval, has no such task.
        SpecError: the name is a group of tasks, or a Python class that cannot be limited.
    """
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._yaml_loader import load_yaml

    suite.task(task_name)
    include = None if suite.folder is None else str(suite.folder)
    manager = TaskManager(include_path=include, include_defaults=suite.default_tasks)
    entry = manager.task_index.get(task_name)
    if entry is None:
        raise UnknownReferenceError(f"lm-eval has no task {task_name!r}; `lm-eval ls tasks` lists")
    path = Path(entry.yaml_path or "/")
    if suite.folder in path.parents:
        task = _suite_task(load_yaml(path), path.parent)
    else:
        loaded = manager.load([task_name])
        if loaded.get("groups") or task_name not in loaded["tasks"]:
            raise SpecError(f"{task_name} is a group or tag of tasks; name its tasks one by one")
        task = loaded["tasks"][task_name]
    if limit is not None:
        if not isinstance(task, ConfigurableTask):
            raise SpecError(f"{task_name} is written in Python and cannot be limited; drop `limit`")
        _limit(task, limit)
    return task


def _suite_task(config: dict[str, Any], folder: Path) -> Any:
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask

    class SuiteOwnTask(ConfigurableTask):  # type: ignore[misc]
        """A task whose data is read here, not by the hub's loader and its cache."""

        stored_in_balance = False

        def download(self, dataset_kwargs: dict[str, Any] | None = None, **_: Any) -> None:
            options = dataset_kwargs or {}
            if callable(self.config.custom_dataset):
                self.dataset = self.config.custom_dataset(**options)
            elif self.config.dataset_path == "json" and "data_files" in options:
                files = {split: folder / name for split, name in options["data_files"].items()}
                self.dataset = {
                    split: Dataset.from_list(_read_lines(path)) for split, path in files.items()
                }
                self.stored_in_balance = True
            else:
                super().download(dataset_kwargs)

    return SuiteOwnTask(config=config)


def _read_lines(path: Path) -> list[dict[str, Any]]:
    # Not splitlines(): text may hold characters that it takes for line ends.
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line.strip()]


def _limit(task: Any, limit: int) -> None:
    docs = task.eval_docs
    chosen = list(range(min(limit, len(docs))))
    if not getattr(task, "stored_in_balance", False):
        chosen = sorted(np.random.default_rng(0).permutation(len(docs))[:limit].tolist())
    split = task.config.test_split if task.has_test_docs() else task.config.validation_split
    # The examples for few-shot prompts were drawn when the task was built.
    task.dataset = {**task.dataset, split: docs.select(chosen)}
    task.config.process_docs = None
    task.task_docs = task.eval_docs


def item_identity(doc: Mapping[str, Any]) -> tuple[str, str]:
    """Identity of an item and the cluster it is resampled with.

    An item without ``id`` is known by a hash of its content; one without ``cluster`` is a
    cluster of its own.
    """
    stated = doc.get("id")
    text = json.dumps(doc, sort_keys=True, ensure_ascii=False, default=str)
    item_id = str(stated) if stated not in (None, "") else content_hash(text, length=16)
    return item_id, str(doc.get("cluster") or item_id)
