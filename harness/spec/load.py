"""Read an experiment file: YAML in, one frozen :class:`Experiment` out, every problem located."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from harness.errors import Problem, SpecError
from harness.spec.experiment import Experiment


def load_experiment(path: str | Path) -> Experiment:
    """Read and validate an experiment file.

    Relative paths of data files and suites are taken from the experiment file's folder.

    Raises:
        SpecError: the file is missing, is not YAML, or breaks the schema; all problems at once,
            each with line and field.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(Problem(str(path), "no such file; `harness init` writes one")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(Problem(str(path), f"cannot be read: {error}")) from error
    root, values = _parse(path, text)
    try:
        experiment = Experiment.model_validate(values)
    except ValidationError as error:
        raise SpecError(_problems(path, root, error)) from error
    return _with_absolute_paths(experiment, path.parent.resolve())


def _parse(path: Path, text: str) -> tuple[yaml.Node, dict[str, Any]]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        repeated = list(_repeated_keys(path, root)) if root is not None else []
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(Problem(f"{path}:{line}", f"not valid YAML: {error.problem}")) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise SpecError(Problem(str(path), f"not valid YAML: {error}")) from error
    if repeated:
        raise SpecError(repeated)
    if root is None or not isinstance(values, dict):
        raise SpecError(Problem(str(path), "an experiment is a mapping of keys, such as `name:`"))
    return root, values


def _repeated_keys(path: Path, node: yaml.Node) -> list[Problem]:
    found: list[Problem] = []
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                where = f"{path}:{key.start_mark.line + 1}"
                found.append(Problem(where, f"key `{name}` stands twice; keep one"))
            seen.add(name)
            children.append(value)
    elif isinstance(node, yaml.SequenceNode):
        children.extend(node.value)
    for child in children:
        found.extend(_repeated_keys(path, child))
    return found


def _problems(path: Path, root: yaml.Node, error: ValidationError) -> list[Problem]:
    # A union reports one error per member; keep those of the member that got furthest.
    found: dict[tuple[int, str], list[str]] = {}
    for detail in error.errors(include_url=False):
        location = [str(part) for part in detail["loc"]]
        fields, line = _locate(root, location)
        if detail["type"] == "extra_forbidden":
            what = f"unknown key `{location[-1]}`{_suggestion(location[-1], fields[:-1])}"
        elif detail["type"] == "missing":
            what = "this key is required and missing"
        else:
            message = detail["msg"].removeprefix("Value error, ")
            given = detail.get("input")
            shown = "" if isinstance(given, dict | list) else f" (got {given!r})"
            what = message[0].lower() + message[1:] + shown
        found.setdefault((line, ".".join(fields)), []).append(what)
    problems = []
    for (line, field), messages in sorted(found.items()):
        unique = list(dict.fromkeys(messages))
        what = unique[0] if len(unique) == 1 else "; or ".join(unique)
        problems.append(Problem(f"{path}:{line}", f"{field}: {what}" if field else what))
    return problems


def _locate(root: yaml.Node, location: Sequence[str]) -> tuple[list[str], int]:
    """The part of a pydantic location that exists in the file, and its line.

    Pydantic puts union member names into locations; they match no key and are left out.
    """
    node, line, fields = root, root.start_mark.line + 1, list[str]()
    for index, part in enumerate(location):
        last = index == len(location) - 1
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if str(key.value) == part:
                    node, line = value, key.start_mark.line + 1
                    fields.append(part)
                    break
            else:
                if last and "[" not in part:
                    fields.append(part)
        elif isinstance(node, yaml.SequenceNode) and part.isdigit():
            node = node.value[int(part)]
            line = node.start_mark.line + 1
            fields.append(part)
    return fields, line


def _suggestion(key: str, parents: Sequence[str]) -> str:
    known = _known_keys(Experiment, parents)
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


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
        if source.startswith(("packaged:", "hub:")):
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
    if experiment.general and experiment.general.suite.endswith((".yaml", ".yml")):
        suite = absolute(experiment.general.suite)
        changes["general"] = experiment.general.model_copy(update={"suite": suite})
    return experiment.model_copy(update=changes)
