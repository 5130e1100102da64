"""Read an experiment file: YAML in, one frozen :class:`Experiment` out, every problem located."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from harness.answers import Answer
from harness.errors import Problem, SpecError
from harness.records import option_of
from harness.spec.arms import Arm, LoraArm
from harness.spec.brought_arm import BroughtArm
from harness.spec.command_arm import CommandArm
from harness.spec.data import has_no_path
from harness.spec.experiment import Experiment
from harness.spec.instruction import OptimisedInstruction
from harness.spec.judges import JudgeSpec
from harness.spec.names import is_suite_file
from harness.spec.starts import start_of, with_start
from harness.spec.task import MetricError, TaskSpec, refusals
from harness.spec.yaml_file import read_as, values_of
from harness.spec.yaml_problems import line_in


def load_experiment(path: str | Path) -> Experiment:
    """Read and validate an experiment file.

    Relative paths of data files, suites and metrics are taken from the experiment file's folder.
    Files of metrics are imported, which runs them.

    Raises:
        SpecError: the file is missing, is not YAML, breaks the schema, or names a metric that
            cannot be used; all problems at once, each with line and field.
    """
    path = Path(path)
    experiment, root = read_as(
        Experiment, path, what="an experiment", absent="`harness init` writes one"
    )
    task = _with_metrics(experiment.task, path, root)
    if task is not experiment.task:
        experiment = _validated_again(experiment, task, path, root)
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
    _check_tools(experiment.task.answer, folder)
    answer = experiment.task.answer.with_files(folder)
    if answer is experiment.task.answer:
        return experiment
    task = experiment.task.model_copy(update={"answer": answer})
    return Experiment.model_validate(experiment.model_copy(update={"task": task}).plain())


def _check_tools(answer: Answer, folder: Path) -> None:
    """See that a file of tools, if it is YAML, says what it looks like.

    What cannot be opened is told by who reads it.

    Raises:
        SpecError: it is not; each problem with its line.
    """
    tools = getattr(answer, "tools", None)
    if isinstance(tools, str) and not tools.endswith(".json"):
        path = folder / Path(tools).expanduser()
        with suppress(OSError, UnicodeDecodeError, RuntimeError):
            values_of(path, path.read_text(encoding="utf-8"))


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
    arms = {name: _absolute_arm(arm, folder, absolute) for name, arm in experiment.arms.items()}
    changes["arms"] = {name: _started(arms, name, absolute) for name in arms}
    if experiment.judges:
        changes["judges"] = {
            name: _absolute_judge(judge, folder, absolute)
            for name, judge in experiment.judges.items()
        }
    if experiment.general and is_suite_file(experiment.general.suite):
        suite = absolute(experiment.general.suite)
        changes["general"] = experiment.general.model_copy(update={"suite": suite})
    return experiment.model_copy(update=changes)


def _absolute_arm(arm: Arm, folder: Path, absolute: Callable[[str], str]) -> Arm:
    if isinstance(arm, CommandArm):
        return arm.model_copy(
            update={
                "command": tuple(
                    _absolute_word(word, folder, first=not place)
                    for place, word in enumerate(arm.command)
                ),
                "files": tuple(map(absolute, arm.files)),
            }
        )
    if not isinstance(arm, BroughtArm):
        return _absolute_writer(arm, folder, absolute)
    # What lies in no folder here may be a name on a hub.
    paths = tuple(
        absolute(path) if (folder / Path(path).expanduser()).parent.is_dir() else path
        for path in arm.paths
    )
    trained_on = None if arm.trained_on is None else absolute(arm.trained_on)
    return arm.model_copy(update={"path": paths, "trained_on": trained_on})


def _absolute_writer(arm: Arm, folder: Path, absolute: Callable[[str], str]) -> Arm:
    if arm.optimiser is None or arm.optimiser.reflection.model is None:
        return arm
    reflection = arm.optimiser.reflection
    reference = str(Path(arm.optimiser.reflection.model.reference).expanduser())
    if not (folder / reference).exists():
        return arm
    model = arm.optimiser.reflection.model.model_copy(update={"reference": absolute(reference)})
    optimise = arm.optimiser.model_copy(
        update={"reflection": reflection.model_copy(update={"model": model})}
    )
    return arm.model_copy(update={"instruction": OptimisedInstruction(optimise=optimise)})


def _started(arms: dict[str, Arm], name: str, absolute: Callable[[str], str]) -> Arm:
    """The arm with what the adapter that it goes on from says of itself, where it does."""
    arm = arms[name]
    if isinstance(arm, LoraArm) and arm.start is not None and arm.start not in arms:
        arm = arm.model_copy(update={"start": absolute(arm.start)})
    try:
        start = start_of({**arms, name: arm}, name)
        return with_start(arm, start) if isinstance(arm, LoraArm) and start else arm
    except ValueError as error:
        raise SpecError(Problem(f"arms.{name}", str(error))) from error


def _absolute_word(word: str, folder: Path, *, first: bool) -> str:
    """A word of a command, which is a file's path where it names one beside the experiment."""
    # A program without a path is one on the PATH.
    if first and "/" not in word:
        return word
    for option, named in (("", word), option_of(word)):
        place = folder / Path(named).expanduser()
        if named and place.is_file():
            return option + str(place.resolve())
    return word


def _absolute_judge(judge: JudgeSpec, folder: Path, absolute: Callable[[str], str]) -> JudgeSpec:
    changes: dict[str, Any] = {}
    if judge.calibration is not None:
        changes["calibration"] = absolute(judge.calibration)
    if judge.model is not None:
        reference = str(Path(judge.model.reference).expanduser())
        if (folder / reference).exists():
            changes["model"] = judge.model.model_copy(update={"reference": absolute(reference)})
    return judge.model_copy(update=changes)


def _with_metrics(task: TaskSpec, path: Path, root: yaml.Node) -> TaskSpec:
    """The task with the metrics that the user brings read.

    Raises:
        SpecError: one of them cannot be used.
    """
    try:
        return task.located(path.parent.resolve())
    except MetricError as error:
        place = ("task", "metrics", str(error.place))
        where = f"{path}:{line_in(root, place)}"
        raise SpecError(Problem(where, f"{'.'.join(place)}: {error}")) from error
    except ValidationError as error:
        raise SpecError(_refused(path, root, ("task", "metrics"), error)) from error


def _validated_again(
    experiment: Experiment, task: TaskSpec, path: Path, root: yaml.Node
) -> Experiment:
    """The experiment with a task whose metrics are known: a rule may depend on what they declare.

    Raises:
        SpecError: it is not one.
    """
    try:
        return Experiment.model_validate(
            experiment.model_dump(by_alias=True, exclude_unset=True) | {"task": task}
        )
    except ValidationError as error:
        raise SpecError(_refused(path, root, (), error)) from error


def _refused(
    path: Path, root: yaml.Node, below: tuple[str, ...], error: ValidationError
) -> list[Problem]:
    where = f"{path}:{line_in(root, below)}"
    return [Problem(where, what) for what in refusals(error)]
