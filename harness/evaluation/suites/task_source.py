"""lm-eval tasks from their YAML, with items of the hub, of files beside it, or of a mirror."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from harness.errors import DataError, InputError, Problem, SpecError
from harness.evaluation.suites.item_files import read_items
from harness.evaluation.suites.mirrors import Mirror, read_mirror

# Keys of a task file that say where it is listed, not what it is.
_LISTING = ("tag", "group", "task_list")
# Readers of local files that a task file may name as its `dataset_path`.
LOCAL_BUILDERS = frozenset({"json", "csv", "parquet", "text"})


def find_entry(name: str, folders: Sequence[Path], *, defaults: bool) -> Any:
    """lm-eval's index entry of a task; None where there is none.

    Args:
        folders: folders of the suite's own tasks, which go before lm-eval's.

    Raises:
        SpecError: the name is a group or tag of tasks.
    """
    from lm_eval.tasks._index import Kind

    entry = None
    for folder in folders:
        entry = entry or _index(folder).get(name)
    if entry is None and defaults:
        entry = _default_entry(name)
    if entry is not None and entry.kind not in (Kind.TASK, Kind.PY_TASK):
        raise SpecError(f"{name} is a group or tag of tasks; name its tasks one by one")
    return entry


def _index(folder: Path | None) -> dict[str, Any]:
    from lm_eval.tasks import TaskManager

    include = None if folder is None else str(folder)
    index: dict[str, Any] = TaskManager(
        include_path=include, include_defaults=folder is None
    ).task_index
    return index


@cache
def _default_entry(name: str) -> Any:
    import lm_eval.tasks

    # The whole index is thousands of files, parsed one by one: ten seconds and more. Where a line
    # names the task, its folder's is enough.
    line = re.compile(rb"^task:[ \t]*[\"']?%s[\"']?[ \t]*\r?$" % re.escape(name.encode()), re.M)
    root = Path(lm_eval.tasks.__file__).parent
    for path in sorted(root.glob("**/*.yaml")):
        if line.search(path.read_bytes()):
            entry = _index(path.parent).get(name)
            if entry is not None:
                return entry
    return _index(None).get(name)


def build_task(entry: Any, *, own: bool, shots: int | None, mirror: Mirror | None) -> Any:
    """The lm-eval task of an index entry, with its items read.

    The task has attributes ``source``: where its items come from, in words; and ``from_files``:
    whether that is the user's files.

    Args:
        own: whether the task is the suite's, whose files are read straight into memory.
        shots: number of worked examples in a prompt; None leaves what the task says.

    Raises:
        InputError: the items cannot be had, or are not what the task reads; says what to do.
    """
    from lm_eval.defaults import DEFAULT_OTHER_SEED
    from lm_eval.tasks._yaml_loader import load_yaml

    try:
        config = load_yaml(entry.yaml_path)
        for key in _LISTING:
            config.pop(key, None)
        _set_shots(config, shots)
        if "class" in config:
            task = _python_task(entry, mirror, shots)
        else:
            task = _read_task(config, entry.yaml_path.parent if own else None, mirror)
            if mirror is not None:
                judge(task, task.eval_docs[0])
    except InputError:
        raise
    except Exception as error:
        raise DataError(_unbuilt(entry, own, mirror, error)) from error
    # As lm-eval's command line does; without it, shots are drawn anew each time.
    task.set_fewshot_seed(DEFAULT_OTHER_SEED)
    return task


def _set_shots(config: dict[str, Any], shots: int | None) -> None:
    if shots is None:
        return
    if config.get("num_fewshot") == 0 and shots:
        raise SpecError(
            f"{config['task']} is fixed to no worked examples by its task file, which lm-eval "
            "keeps; drop `num_fewshot`"
        )
    config["num_fewshot"] = shots


def _python_task(entry: Any, mirror: Mirror | None, shots: int | None) -> Any:
    from lm_eval.tasks import TaskManager

    if mirror is not None or shots is not None:
        what = "have a mirror" if mirror else "be given `num_fewshot`"
        raise SpecError(f"{entry.name} is written in Python and cannot {what}; drop it")
    manager = TaskManager(include_path=str(entry.yaml_path.parent), include_defaults=False)
    task = manager.load([entry.name])["tasks"][entry.name]
    task.source, task.from_files = "its own Python code", False
    return task


def _read_task(config: dict[str, Any], folder: Path | None, mirror: Mirror | None) -> Any:
    from lm_eval.api.task import ConfigurableTask

    class ReadTask(ConfigurableTask):  # type: ignore[misc]
        """A task whose items are read here wherever they lie in files."""

        stored_in_balance = from_files = False
        source = ""

        def download(self, dataset_kwargs: dict[str, Any] | None = None, **_: Any) -> None:
            options = dataset_kwargs or {}
            if mirror is not None:
                self.dataset = read_mirror(mirror, self.config)
                _check_columns(self.config, mirror, self.dataset)
                self.source, self.from_files = f"mirror {mirror.path}", True
            elif folder is not None and callable(self.config.custom_dataset):
                self.dataset = self.config.custom_dataset(**options)
                self.source = "the suite's own code"
            elif folder is not None and are_local(self.config.dataset_path, options):
                self.dataset = {
                    split: _all_items([folder / name for name in names])
                    for split, names in files_by_split(options["data_files"]).items()
                }
                self.stored_in_balance = self.from_files = True
                self.source = "files of the suite"
            else:
                super().download(dataset_kwargs)
                parts = [self.config.dataset_path, self.config.dataset_name]
                self.source = f"hub {' '.join(part for part in parts if part)}"

    return ReadTask(config=config)


def are_local(builder: str | None, options: Mapping[str, Any]) -> bool:
    """Whether a task file names its items as files beside it, and nothing else about them."""
    return builder in LOCAL_BUILDERS and set(options) == {"data_files"}


def files_by_split(named: Any) -> dict[str, list[str]]:
    """``data_files`` of a task file: split -> names, whichever way they are written."""
    by_split = named if isinstance(named, dict) else {"train": named or []}
    return {
        str(split): [str(name) for name in (names if isinstance(names, list) else [names])]
        for split, names in by_split.items()
    }


def _all_items(paths: Sequence[Path]) -> Any:
    stats = [path.stat() for path in paths if path.exists()]
    return _read_once(tuple(paths), tuple((one.st_size, one.st_mtime_ns) for one in stats))


@lru_cache(maxsize=64)
def _read_once(paths: tuple[Path, ...], _stamps: tuple[tuple[int, int], ...]) -> Any:
    """Items of files that are of that size and time; every trial of a process reads the same."""
    from datasets import concatenate_datasets

    return concatenate_datasets([read_items(path) for path in paths])


# --------------------------------------------------------------------------- what may be missing


def _check_columns(config: Any, mirror: Mirror, dataset: Mapping[str, Any]) -> None:
    """Look up the columns that a task's templates name.

    lm-eval takes the bare name of a missing column for the text itself.

    Raises:
        DataError: some are missing.
    """
    from jinja2 import meta
    from lm_eval.utils import env

    items = dataset[config.test_split or config.validation_split].select(range(1))
    if config.process_docs is not None:
        items = config.process_docs(items)
    there = list(items.features)
    problems = []
    for key in ("doc_to_text", "doc_to_target", "doc_to_choice", "description"):
        template = getattr(config, key)
        if not isinstance(template, str):
            continue
        bare = template.isidentifier() and key != "description"
        read = {template} if bare else meta.find_undeclared_variables(env.parse(template))
        problems += [
            _no_column(mirror, config.task, column, f"`{key}`", there)
            for column in sorted(read - {*there})
        ]
    if problems:
        raise DataError(problems)


def judge(task: Any, doc: Mapping[str, Any]) -> None:
    """Let a task's own function score some reply to an item.

    It may read other columns of the item than the prompt does, and need more than is installed;
    what it raises then is raised here, before a model is asked.
    """
    if callable(task.config.process_results):
        task.process_results(doc, _some_reply(task, doc))


def _some_reply(task: Any, doc: Mapping[str, Any]) -> list[Any]:
    match task.OUTPUT_TYPE:
        case "generate_until":
            return ["."]
        case "loglikelihood_rolling":
            return [-1.0]
        case "loglikelihood":
            return [(-1.0, False)]
    return [(-1.0, False)] * len(task.doc_to_choice(doc))


def _no_column(
    mirror: Mirror, task: str, column: str, reader: str, there: Sequence[str] = ()
) -> Problem:
    has = f"it has {', '.join(there)}; " if there else ""
    return Problem(
        mirror.path,
        f"no column {column!r}, which {reader} of {task} reads; {has}if the copy has it under "
        f"another name: `columns: {{{column}: NAME}}`",
    )


def _unbuilt(entry: Any, own: bool, mirror: Mirror | None, error: Exception) -> Problem:
    """Which task cannot be built, what could not be had, and what to do."""
    name, what = entry.name, words(error)
    if isinstance(error, ModuleNotFoundError):
        return Problem("", f"task {name} needs the Python package {error.name!r}; install it")
    if mirror is not None:
        column = _asked_column(error)
        if column is not None:
            return _no_column(mirror, name, column, "the code")
        return Problem(mirror.path, f"the copy is not what {name} reads: {what}")
    config = entry.cfg or {}
    if own and config.get("dataset_path") in (None, *LOCAL_BUILDERS):
        return Problem(str(entry.yaml_path), f"task {name} cannot be built: {what}")
    data = " ".join(part for k in ("path", "name") if (part := config.get(f"dataset_{k}")))
    return Problem(
        "",
        f"task {name}: its data set {data} could not be had from the hub ({what}); connect to the "
        f"network, or name a local copy, `mirrors: {{{name}: FOLDER}}`, in the suite file or one "
        "of your own that extends it",
    )


def words(error: Exception) -> str:
    """An error of a library or of a task's function, in a line."""
    text = str(error).strip()
    if isinstance(error, LookupError) and "NLTK" in text:
        return (
            "data of the Python package nltk are not there; run `nltk.download('punkt_tab')` where "
            "there is a network, and name the folder in the variable NLTK_DATA"
        )
    return f"{type(error).__name__}: {text.splitlines()[0] if text else 'it says no more'}"


def _asked_column(error: Exception) -> str | None:
    """The column whose absence an error tells of, if it does."""
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        return error.args[0]
    text = str(error)
    return text.split("'")[1] if text.endswith("' is undefined") else None
