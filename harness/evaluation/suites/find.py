"""Suites: which lm-eval tasks show what a model could already do.

A suite is a YAML file that names tasks; the tasks are lm-eval's own YAML, in a folder beside
it or in lm-eval itself. Suites and their items are checked before any weight loads.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import yaml
from pydantic import Field, PositiveInt, PrivateAttr, model_validator

from harness.answers.metrics import METRICS
from harness.errors import InputError, Problem, SpecError, UnknownReferenceError
from harness.evaluation.suites.files import TaskFiles, no_filter, read_task_files
from harness.evaluation.suites.mirrors import Mirror
from harness.evaluation.suites.task_source import build_task, find_entry
from harness.records import GeneralTask, content_hash, file_sha256
from harness.records.frozen_spec import FrozenSpec
from harness.spec.names import is_suite_file
from harness.spec.yaml_file import read_as
from harness.spec.yaml_problems import line_in

# lm-eval gives these for whole texts only, whose log-likelihood it takes as a rolling one.


class SuiteTask(FrozenSpec):
    """One lm-eval task of a suite, and how its score is read."""

    task: str = Field(description="lm-eval task name.")
    metric: str = Field(description="Main metric, as lm-eval names it.")
    filter: str | None = Field(
        None, description="lm-eval filter whose answers count; the task's first by default."
    )
    chance: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="Score of guessing, 0 to 1; null where there is none."
    )
    chat: bool = Field(False, description="Render prompts with the model's chat template.")
    accuracy: bool = Field(True, description="The metric is a share of items answered right.")
    higher_is_better: bool = Field(True, description="Direction of the metric.")
    num_fewshot: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Worked examples in each prompt; as many as the task says by default."
    )
    limit: PositiveInt | None = Field(
        None, description="At most this many items, however many the experiment allows."
    )
    text: str = Field(description="What it tests, in a line.")


class Suite(FrozenSpec):
    """A suite file, checked against its task files by :func:`load_suite`."""

    name: str
    description: str = ""
    extends: str | None = Field(
        None,
        description="Suite whose tasks this one has too, by name or by path relative to this file.",
    )
    include: str | None = Field(
        None, description="Folder of lm-eval task YAMLs, relative to the suite file."
    )
    default_tasks: bool = Field(False, description="Tasks that come with lm-eval may be named.")
    tasks: tuple[SuiteTask, ...] = Field(
        (), description="Its tasks; one that the extended suite has too stands in its place."
    )
    mirrors: dict[str, Mirror] = Field(
        default_factory=dict, description="Task -> local copy of its data, in place of the hub's."
    )
    _path: Path = PrivateAttr(default=Path())
    _folders: tuple[Path, ...] = PrivateAttr(default=())
    _fingerprint: str = PrivateAttr(default="")
    _functions: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [task.task for task in self.tasks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"tasks stand twice: {', '.join(twice)}; keep one of each")
        if self.extends is None and not self.tasks:
            raise ValueError("name at least one task in `tasks`, or a suite in `extends`")
        if self.extends is None and self.include is None and not self.default_tasks:
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
    def folders(self) -> tuple[Path, ...]:
        """Folders of the suite's own task YAMLs, its own before those of the suite it extends."""
        return self._folders

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
        of_text = {name for name, metric in METRICS.items() if metric.of_text}
        return next((entry.task for entry in self.tasks if entry.metric in of_text), None)

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
    if isinstance(name_or_path, Path) or is_suite_file(text):
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
    package = Path(__file__).resolve().parents[2]
    # In a checkout the folder stands beside the package; beside an installed one, others' do.
    checkout = (package.parent / "pyproject.toml").is_file()
    yield package.parent / "suites" if checkout else package / "_bundled" / "suites"


def load_suite(name_or_path: str | Path) -> Suite:
    """Read a suite, with what it extends, and check it against its task files and mirrors.

    Raises:
        UnknownReferenceError: no such suite.
        SpecError: the file is not a valid suite, or a task or mirror of it is missing or broken;
            all problems at once, each with file and line.
    """
    return _load(name_or_path, ())


def _load(name_or_path: str | Path, via: tuple[Path, ...]) -> Suite:
    path = find_suite(name_or_path)
    if path in via:
        raise SpecError(Problem(str(path), "extends itself; name another suite"))
    declared, root = read_as(Suite, path, what="a suite", absent="check the path")
    suite = _extended(declared, path, (path, *via))
    missing = suite.include is not None and not (path.parent / suite.include).is_dir()
    if missing:
        what = f"include: no folder {path.parent / str(suite.include)}; correct the path"
        raise SpecError(Problem(f"{path}:{line_in(root, ['include'])}", what))
    files = read_task_files(suite.folders)
    problems = [*files.problems, *_located(suite, declared, root, files)]
    if problems:
        raise SpecError(problems)
    suite._fingerprint = _fingerprint(suite, files.files)
    suite._functions = tuple(sorted(files.functions))
    return suite


def _extended(declared: Suite, path: Path, via: tuple[Path, ...]) -> Suite:
    """The suite with all that it takes over from another one, and with absolute paths."""
    own = () if declared.include is None else ((path.parent / declared.include).resolve(),)
    mirrors = {name: mirror.beside(path.parent) for name, mirror in declared.mirrors.items()}
    changes: dict[str, Any] = {"mirrors": mirrors}
    if declared.extends is not None:
        base = _load(_beside(declared.extends, path.parent), via)
        entries = {entry.task: entry for entry in (*base.tasks, *declared.tasks)}
        own = (*own, *base.folders)
        changes = {
            "tasks": tuple(entries.values()),
            "default_tasks": declared.default_tasks or base.default_tasks,
            "mirrors": base.mirrors | mirrors,
        }
    suite = declared.model_copy(update=changes)
    suite._path, suite._folders = path, own
    return suite


def _beside(reference: str, folder: Path) -> str | Path:
    """A suite's path, taken from ``folder`` where it is relative; a name as it is."""
    if is_suite_file(reference):
        return folder / Path(reference).expanduser()
    return reference


def _located(suite: Suite, declared: Suite, root: yaml.Node, files: TaskFiles) -> Iterator[Problem]:
    """Tasks and mirrors of the suite file that lead nowhere, each with its line."""
    for index, entry in enumerate(declared.tasks):
        known = files.metrics.get(entry.task)
        if known is None and not suite.default_tasks:
            there = ", ".join(map(str, suite.folders))
            what = f"no task {entry.task!r} in {there}; it has {', '.join(sorted(files.metrics))}"
        elif known and entry.metric not in known:
            what = f"{entry.task} has no metric {entry.metric!r}; it has {', '.join(known)}"
        elif known is not None and (
            unknown := no_filter(entry.task, entry.filter, files.filters[entry.task])
        ):
            what = unknown
        else:
            continue
        yield Problem(f"{suite.path}:{line_in(root, ['tasks', str(index), 'task'])}", what)
    known_tasks = [entry.task for entry in suite.tasks]
    for name in declared.mirrors:
        where = f"{suite.path}:{line_in(root, ['mirrors', name])}"
        if name not in known_tasks:
            what = f"the suite has no task {name!r}; it has {', '.join(known_tasks)}"
            yield Problem(where, f"mirrors: {what}")
        for what in suite.mirrors[name].problems():
            yield Problem(where, f"mirror of {name}: {what}")


def _fingerprint(suite: Suite, files: set[Path]) -> str:
    # Keys at their defaults are left out: a key that is new here changes no suite without it.
    declared = suite.model_dump(mode="json", exclude={"mirrors", "extends"}, exclude_defaults=True)
    parts: list[Any] = [["suite", json.dumps(declared, sort_keys=True)]]
    for path in sorted(files):
        name = Path(os.path.relpath(path, suite.path.parent)).as_posix()
        parts.append([name, file_sha256(path)])
    for name, mirror in sorted(suite.mirrors.items()):
        parts.append(["mirror", name, mirror.fingerprint()])
    if suite.default_tasks:
        parts.append(["lm-eval", importlib.metadata.version("lm-eval")])
    return content_hash(parts)


# --------------------------------------------------------------------------- tasks and items


def build_general_task(
    suite: Suite, task_name: str, limit: int | None = None, *, skip: int = 0, half: bool = False
) -> Any:
    """The lm-eval task object of one entry, ready for ``lm_eval.evaluate``.

    Its attribute ``source`` says where its items come from. Of files of the suite the first
    ``limit`` items are taken, since they are stored in balanced order; of other data a fixed random
    draw, since those may be sorted. A smaller limit takes a subset of a larger one. ``skip`` leaves
    out the first ones, at most half; with ``half`` no more than that half are taken. So
    ``limit=n, half=True`` and ``skip=n`` share no item of a task that has two or more.

    Raises:
        UnknownReferenceError: the suite, or lm-eval, has no such task.
        SpecError: the name is a group of tasks, or a Python class that cannot be limited.
        DataError: the items cannot be had or read.
    """
    from lm_eval.api.task import ConfigurableTask

    entry = suite.task(task_name)
    try:
        task_entry = find_entry(task_name, suite.folders, defaults=suite.default_tasks)
        if task_entry is None:
            known = "`lm-eval ls tasks` lists its tasks"
            raise UnknownReferenceError(f"lm-eval has no task {task_name!r}; {known}")
        own = any(folder in Path(task_entry.yaml_path).parents for folder in suite.folders)
        mirror = suite.mirrors.get(task_name)
        task = build_task(task_entry, own=own, shots=entry.num_fewshot, mirror=mirror)
        if problem := no_filter(
            task_name, entry.filter, [ensemble.name for ensemble in task._filters]
        ):
            raise SpecError(problem)
    except InputError as error:
        problems = [
            replace(problem, where=problem.where or str(suite.path)) for problem in error.problems
        ]
        raise type(error)(problems) from error
    if (limit, entry.limit, skip) != (None, None, 0):
        if not isinstance(task, ConfigurableTask):
            raise SpecError(
                f"{task_name} is written in Python and cannot be limited; drop `limit`, and set "
                "`search_limit: 0`"
            )
        items = min(len(task.eval_docs), entry.limit or len(task.eval_docs))
        first, last = min(skip, items // 2), max(1, items // 2) if half else items
        _take(task, first, last if limit is None else min(first + limit, last))
    return task


def _take(task: Any, first: int, last: int) -> None:
    """Leave the task the items from place ``first`` to before ``last`` of the order of all."""
    docs = task.eval_docs
    order = np.arange(len(docs))
    if not getattr(task, "stored_in_balance", False):
        order = np.random.default_rng(0).permutation(len(docs))
    chosen = sorted(order[first:last].tolist())
    split = task.config.test_split if task.has_test_docs() else task.config.validation_split
    # The examples for few-shot prompts were drawn when the task was built.
    task.dataset = {**task.dataset, split: docs.select(chosen)}
    task.config.process_docs = None
    task.task_docs = task.eval_docs


def item_identity(doc: Mapping[str, Any]) -> tuple[str, str]:
    """Identity of an item and the cluster it is resampled with.

    An item without ``id`` is known by its content; one without ``cluster`` is its own cluster.
    """
    stated = doc.get("id")
    text = json.dumps(doc, sort_keys=True, ensure_ascii=False, default=str)
    item_id = str(stated) if stated not in (None, "") else content_hash(text, length=16)
    return item_id, str(doc.get("cluster") or item_id)
