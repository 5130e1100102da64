"""Training commands of a study: what each runs, and what its files hold now."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.errors import Problem, SpecError
from harness.records import CommandCall, CommandFile, file_sha256, option_of
from harness.spec import CommandArm, Experiment

Commands = Mapping[str, CommandCall]
"""Arm -> its command."""
# More files than a program is likely to be made of: a folder was named that holds something else.
MOST_FILES = 1000
# What a word with such an ending names is a program's text, not something that it is to write.
SCRIPTS = (".py", ".sh", ".bash", ".R", ".jl")


def find_commands(experiment: Experiment) -> Commands:
    """The commands of all arms that have one.

    Raises:
        SpecError: a program or a file is not there; names arms and words.
    """
    found: dict[str, CommandCall] = {}
    problems: list[Problem] = []
    for name, arm in experiment.arms.items():
        if not isinstance(arm, CommandArm):
            continue
        missing = list(_missing(arm))
        problems += [Problem(f"arms.{name}.{key}", what) for key, what in missing]
        if missing:
            continue
        named = {path: called for place in _named(arm) for path, called in _files_at(Path(place))}
        if len(named) > MOST_FILES:
            where = f"arms.{name}.files"
            what = f"these are {len(named):,} files, where {MOST_FILES:,} at most are looked at"
            problems.append(Problem(where, f"{what}; name those that the command reads"))
            continue
        files = tuple(
            CommandFile(str(path), called, file_sha256(path)) for path, called in named.items()
        )
        found[name] = CommandCall(arm.command, files, arm.environment, arm.same_base)
    if problems:
        raise SpecError(problems)
    return found


def notes_on_commands(commands: Commands) -> Iterator[str]:
    """What a user should know of them, a sentence each."""
    for arm, call in commands.items():
        names = ", ".join(dict.fromkeys(file.name for file in call.files)) or "none"
        yield (
            f"{arm} is trained by your own command; a change of what it runs is noticed in these "
            f"files alone: {names} (arms.{arm}.files names more)"
        )


def _missing(arm: CommandArm) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) of words and files that name nothing."""
    program = arm.command[0]
    if program != "{python}" and shutil.which(program) is None:
        yield (
            "command",
            f"there is no program {program} on the PATH; install it, or give its whole path "
            "({python} is the Python that runs this program)",
        )
    for word in arm.command[1:]:
        _, named = option_of(word)
        # What stands in a place's stead is not known yet.
        if named.endswith(SCRIPTS) and "{" not in named and not _is_file(named):
            yield "command", f"there is no file {named}; it is looked for beside the experiment"
    for file in arm.files:
        if not Path(file).exists():
            yield "files", f"there is no {file}; paths are taken from the experiment's folder"


def _named(arm: CommandArm) -> Iterator[str]:
    """Files and folders that the command reads; a program on the PATH is none of them."""
    first, *rest = arm.command
    places = [*([first] if "/" in first else []), *rest]
    yield from (named for _, named in map(option_of, places) if _is_file(named))
    yield from arm.files


def _is_file(named: str) -> bool:
    """Whether it is a file wherever the command is run, which is another folder than this one."""
    return Path(named).is_absolute() and Path(named).is_file()


def _files_at(place: Path) -> Iterator[tuple[Path, str]]:
    """The file, or all files of a folder but hidden ones and what Python compiled; as called."""
    if place.is_file():
        yield place, place.name
        return
    for path in sorted(place.rglob("*")):
        within = path.relative_to(place)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in within.parts)
        if path.is_file() and not hidden:
            yield path, f"{place.name}/{within.as_posix()}"


__all__ = ["Commands", "find_commands", "notes_on_commands"]
