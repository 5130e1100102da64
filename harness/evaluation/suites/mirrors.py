"""Mirrors: local copies of the data of lm-eval tasks, so that the tasks run without a network.

A mirror replaces nothing of a task but where its items come from. What the task asks of a data set
(a configuration, splits, columns) is asked of the copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from harness.errors import DataError, Problem
from harness.evaluation.suites.item_files import is_item_file, read_items
from harness.records import file_sha256
from harness.records.frozen_spec import FrozenSpec
from harness.spec.names import Column

# What ``save_to_disk`` of the datasets library leaves beside its splits.
_SAVED = "dataset_dict.json"


class Mirror(FrozenSpec):
    """A local copy of one task's data; a path alone is short for ``{path: PATH}``."""

    path: str = Field(
        description="Folder as downloaded from the hub or saved by the datasets library, or the "
        "one file of the items to score; relative to the suite file."
    )
    files: dict[str, str | tuple[str, ...]] = Field(
        default_factory=dict,
        description="Split, as the task names it -> its file or files in the folder; files named "
        "after their split need no mention.",
    )
    columns: dict[Column, Column] = Field(
        default_factory=dict,
        description="Column, as the task names it -> its name in the copy, where they differ.",
    )

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, values: Any) -> Any:
        return {"path": values} if isinstance(values, str) else values

    def beside(self, folder: Path) -> Mirror:
        """The same mirror with an absolute path; a relative one is taken from ``folder``."""
        path = (folder / Path(self.path).expanduser()).resolve()
        return self.model_copy(update={"path": str(path)})

    def problems(self) -> Iterator[str]:
        """What is wrong with the copy whatever the task asks of it; nothing is read."""
        root = Path(self.path)
        if not root.exists():
            yield f"no such file or folder: {root}; correct the path or restore the copy"
            return
        if root.is_file() and self.files:
            yield f"`files` names files of a folder, but {root} is a file"
            return
        named = [root / name for names in self.files.values() for name in _several(names)]
        for path in named:
            if not path.is_file():
                yield f"no such file: {path}; correct its name in `files` or restore it"
        for path in named or [root] if root.is_file() else named:
            if path.is_file() and not is_item_file(path):
                yield f"{path} is of a kind that holds no items; convert it to JSONL or Parquet"
        if root.is_dir() and not named and next(self.data_files(), None) is None:
            yield f"no data file in {root}; restore the copy"

    def data_files(self) -> Iterator[Path]:
        """Every file of the copy that items may be read from, in a fixed order."""
        root = Path(self.path)
        if root.is_file():
            yield root
            return
        for path in sorted(root.rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
            if not hidden and path.is_file() and (is_item_file(path) or path.suffix == ".arrow"):
                yield path

    def fingerprint(self) -> list[Any]:
        """All of the copy that can change a score: content and layout, not where it lies."""
        root = Path(self.path)
        base = root.parent if root.is_file() else root
        files = [
            [path.relative_to(base).as_posix(), _digest(path, *_state(path))]
            for path in self.data_files()
        ]
        return [self.model_dump(mode="json", exclude={"path"}), files]


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    """SHA-256 of a file; a suite is loaded for every score, and its mirrors may be large."""
    return file_sha256(path)


def _several(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


# --------------------------------------------------------------------------- reading


def read_mirror(mirror: Mirror, config: Any) -> dict[str, Any]:
    """The data set that an lm-eval task config asks for, out of the copy: split -> ``Dataset``.

    A split that the task names and does not need for its items or its worked examples is empty
    where the copy lacks it.

    Raises:
        DataError: a split that is needed, or a renamed column, is not there; a file is unreadable.
    """
    scored = config.test_split or config.validation_split
    needed = {scored, *([_shots_from(config, scored)] if config.num_fewshot else [])} - {None}
    named = {
        config.training_split, config.validation_split, config.test_split,
        config.fewshot_split, config.fewshot_config.split,
    } - {None}  # fmt: skip
    items_of = {split: _read_split(mirror, config, split, scored) for split in sorted(named)}
    problems = [
        _no_split(mirror, config, split)
        for split in sorted(needed)
        if not (split in items_of and items_of[split] is not None)
    ]
    if problems:
        raise DataError(problems)
    nothing = items_of[scored].select([])
    return {split: nothing if items is None else items for split, items in items_of.items()}


def _shots_from(config: Any, scored: str) -> str | None:
    """The split that lm-eval draws worked examples from; None where they are written out."""
    if config.fewshot_config.split or config.fewshot_config.samples is None:
        first = (config.fewshot_config.split, config.training_split, config.validation_split)
        return next((split for split in first if split), scored)
    return None


def _read_split(mirror: Mirror, config: Any, split: str, scored: str) -> Any:
    """The items of a split; None where the copy has no such split."""
    from datasets import concatenate_datasets, load_from_disk

    root = Path(mirror.path)
    if root.is_file():
        files = [root] if split == scored else []
    elif split in mirror.files:
        files = [root / name for name in _several(mirror.files[split])]
    else:
        for folder in _folders(root, config.dataset_name):
            if (folder / _SAVED).is_file() and (folder / split).is_dir():
                # In memory, or what is derived from the items would be written beside them.
                saved = load_from_disk(str(folder / split), keep_in_memory=True)
                return _renamed(saved, mirror, folder / split)
        files = _named_after(split, root, config.dataset_name)
    parts = [_renamed(read_items(path), mirror, path) for path in files]
    return concatenate_datasets(parts) if parts else None


def _folders(root: Path, configuration: str | None) -> list[Path]:
    """Where a copy may keep its files: each configuration of a hub's set has a folder."""
    own = [root / configuration, root / "data" / configuration] if configuration else []
    return [folder for folder in (*own, root, root / "data") if folder.is_dir()]


def _named_after(split: str, root: Path, configuration: str | None) -> list[Path]:
    for folder in _folders(root, configuration):
        files = sorted(
            path
            for path in folder.iterdir()
            if is_item_file(path) and (path.stem == split or path.name.startswith(f"{split}-"))
        )
        if files:
            return files
    return []


def _renamed(items: Any, mirror: Mirror, path: Path) -> Any:
    there = items.column_names
    lacking = {task: copy for task, copy in mirror.columns.items() if copy not in there}
    if lacking:
        has = f"it has {', '.join(there)}"
        raise DataError(
            [
                Problem(
                    str(path),
                    f"no column {copy!r}, which `columns` of the mirror gives for {task!r}; {has}",
                )
                for task, copy in lacking.items()
            ]
        )
    # A column that stands in the way of another one's new name is not what the task asks for.
    hidden = [name for name in mirror.columns if name in there]
    items = items.remove_columns([n for n in hidden if n not in mirror.columns.values()])
    return items.rename_columns({copy: task for task, copy in mirror.columns.items()})


def _no_split(mirror: Mirror, config: Any, split: str) -> Problem:
    names = [Path(mirror.path).name]
    if Path(mirror.path).is_dir():
        names = [path.relative_to(mirror.path).as_posix() for path in mirror.data_files()]
    part = f" of {config.dataset_name!r}" if config.dataset_name else ""
    return Problem(
        mirror.path,
        f"no split {split!r}{part}, which {config.task} needs; there are {', '.join(names[:10])}"
        f"{' and more' if len(names) > 10 else ''}; name its file: `files: {{{split}: FILE}}`",
    )
