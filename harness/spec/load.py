"""Read an experiment file: YAML in, one frozen :class:`Experiment` out, every problem located."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.errors import Problem, SpecError
from harness.spec.data import has_no_path
from harness.spec.experiment import Experiment
from harness.spec.names import is_suite_file
from harness.spec.yaml_file import read_mapping


def load_experiment(path: str | Path) -> Experiment:
    """Read and validate an experiment file.

    Relative paths of data files and suites are taken from the experiment file's folder.

    Raises:
        SpecError: the file is missing, is not YAML, or breaks the schema; all problems at once,
            each with line and field.
    """
    path = Path(path)
    root, values = read_mapping(path, what="an experiment", absent="`harness init` writes one")
    try:
        experiment = Experiment.model_validate(values)
    except ValidationError as error:
        raise SpecError(_problems(path, root, error)) from error
    try:
        return _with_absolute_paths(experiment, path.parent.resolve())
    except (OSError, RuntimeError, ValueError) as error:
        raise SpecError(Problem(str(path), f"a path in it cannot be resolved: {error}")) from error


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the file a pydantic error belongs.

    fields: keys down to it. members: (place of a union, its member) that the error is about;
    pydantic puts their names into its locations, where they match no key.
    """

    fields: tuple[str, ...]
    line: int
    members: tuple[tuple[tuple[str, ...], str], ...]


def _problems(path: Path, root: yaml.Node, error: ValidationError) -> list[Problem]:
    found: dict[tuple[int, str], list[str]] = {}
    for detail, place in _of_nearest_members(root, error):
        name = str(detail["loc"][-1]) if detail["loc"] else ""
        if detail["type"] == "extra_forbidden":
            what = f"unknown key `{name}`{_suggestion(name, place.fields[:-1])}"
        elif detail["type"] == "missing":
            what = "this key is required and missing"
        elif detail["type"] == "string_type" and not isinstance(detail["input"], dict | list):
            what = f"must be text, and YAML reads it as {detail['input']!s}: put quotes around it"
        else:
            message = detail["msg"].removeprefix("Value error, ")
            given = detail.get("input")
            shown = "" if isinstance(given, dict | list) else f" (got {given!r})"
            what = message[0].lower() + message[1:] + shown
        found.setdefault((place.line, ".".join(place.fields)), []).append(what)
    problems = []
    for (line, field), messages in sorted(found.items()):
        what = "; or ".join(dict.fromkeys(messages))
        problems.append(Problem(f"{path}:{line}", f"{field}: {what}" if field else what))
    return problems


def _of_nearest_members(
    root: yaml.Node, error: ValidationError
) -> list[tuple[ErrorDetails, _Place]]:
    """The errors, but of each union only those of the member that the input is nearest to."""
    located = [(detail, _locate(root, detail)) for detail in error.errors(include_url=False)]
    distances: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for detail, place in located:
        for union, member in place.members:
            own = str(detail["loc"][-1]) == member
            distances[union][member] += _distance(detail, own=own)
    return [
        (detail, place)
        for detail, place in located
        # An empty list is too short; one with bad elements is only said to be.
        if not (detail["type"] == "too_short" and detail["input"])
        and all(
            distances[union][member] == min(distances[union].values())
            for union, member in place.members
        )
    ]


def _distance(detail: ErrorDetails, *, own: bool) -> int:
    if detail["type"] in ("missing", "extra_forbidden"):
        return 1
    another_kind = isinstance(detail["input"], dict | list) and detail["type"] != "value_error"
    return 100 if detail["type"] == "model_type" or (own and another_kind) else 0


def _locate(root: yaml.Node, detail: ErrorDetails) -> _Place:
    """The part of a pydantic location that exists in the file, and its line."""
    location = [str(part) for part in detail["loc"]]
    node, line = root, root.start_mark.line + 1
    fields, members = list[str](), list[tuple[tuple[str, ...], str]]()
    for index, part in enumerate(location):
        child = None
        if isinstance(node, yaml.MappingNode):
            pairs = {str(key.value): (key, value) for key, value in node.value}
            if part in pairs:
                key, child = pairs[part]
                line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and part.isdigit():
            child = node.value[int(part)]
            line = child.start_mark.line + 1
        if child is not None:
            node = child
            fields.append(part)
        elif detail["type"] == "missing" and index == len(location) - 1:
            fields.append(part)
        else:
            members.append((tuple(location[:index]), part))
    return _Place(tuple(fields), line, tuple(members))


def _suggestion(key: str, parents: Sequence[str]) -> str:
    known = _known_keys(Experiment, parents)
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean `{close[0]}`?" if close and close[0] != key else ""


def _known_keys(model: type[BaseModel], parents: Sequence[str]) -> list[str]:
    names: set[str] = set()
    pending: list[type[BaseModel]] = [model]
    seen: set[type[BaseModel]] = set()
    # All keys of all models below the parent: enough for a spelling suggestion.
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        for name, field in current.model_fields.items():
            if current is not Experiment or not parents:
                names.add(field.alias or name)
            pending.extend(_models_in(field.annotation))
    return sorted(names)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for argument in getattr(annotation, "__args__", ()):
        found.extend(_models_in(argument))
    return found


def _with_absolute_paths(experiment: Experiment, folder: Path) -> Experiment:
    def absolute(source: str) -> str:
        if has_no_path(source):
            return source
        return str((folder / Path(source).expanduser()).resolve())

    data = experiment.data
    splits = data.splits
    files = {
        name: absolute(value)
        for name in ("test", "validation")
        if isinstance(value := getattr(splits, name), str)
    }
    data = data.model_copy(
        update={
            "source": absolute(data.source),
            "splits": splits.model_copy(update=files),
            "out_of_domain": {k: absolute(v) for k, v in data.out_of_domain.items()},
        }
    )
    changes: dict[str, Any] = {"data": data}
    reference = str(Path(experiment.model.reference).expanduser())
    if (folder / reference).exists():
        changes["model"] = experiment.model.model_copy(update={"reference": absolute(reference)})
    if experiment.general and is_suite_file(experiment.general.suite):
        suite = absolute(experiment.general.suite)
        changes["general"] = experiment.general.model_copy(update={"suite": suite})
    return experiment.model_copy(update=changes)
