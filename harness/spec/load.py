"""Read an experiment file: YAML in, one frozen :class:`Experiment` out, every problem located."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import Problem, SpecError
from harness.spec.data import has_no_path
from harness.spec.experiment import Experiment
from harness.spec.names import is_suite_file
from harness.spec.yaml_file import read_as


def load_experiment(path: str | Path) -> Experiment:
    """Read and validate an experiment file.

    Relative paths of data files and suites are taken from the experiment file's folder.

    Raises:
        SpecError: the file is missing, is not YAML, or breaks the schema; all problems at once,
            each with line and field.
    """
    path = Path(path)
    experiment, _ = read_as(
        Experiment, path, what="an experiment", absent="`harness init` writes one"
    )
    folder = path.parent.resolve()
    try:
        experiment = _with_files(experiment, folder)
    except ValidationError as error:
        what = "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
        raise SpecError(Problem(str(path), what)) from error
    except ValueError as error:
        raise SpecError(Problem(str(path), str(error))) from error
    try:
        return _with_absolute_paths(experiment, folder)
    except (OSError, RuntimeError, ValueError) as error:
        raise SpecError(Problem(str(path), f"a path in it cannot be resolved: {error}")) from error


def _with_files(experiment: Experiment, folder: Path) -> Experiment:
    """The experiment with what the files that its answer names hold, validated with it."""
    answer = experiment.task.answer.with_files(folder)
    if answer is experiment.task.answer:
        return experiment
    task = experiment.task.model_copy(update={"answer": answer})
    return Experiment.model_validate(experiment.model_copy(update={"task": task}).plain())


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
