"""A training command of the user's, as a trial runs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.records.files import file_sha256
from harness.records.plain import JsonValue


@dataclass(frozen=True, slots=True)
class CommandFile:
    """A file that a command reads, as it was when the study was planned."""

    path: str
    """Where it lies."""
    name: str
    """What it is called: its place within the folder that was named, or its own name."""
    sha256: str
    """SHA-256 of its content, hex."""

    def is_as_planned(self) -> bool:
        """Whether it is there, with the content that it had."""
        return Path(self.path).is_file() and file_sha256(Path(self.path)) == self.sha256


@dataclass(frozen=True, slots=True)
class CommandCall:
    """What is run, and what it may read beside what the trial hands it."""

    words: tuple[str, ...]
    """Its words, files as absolute paths; places such as ``{parameters}`` are still to be filled.
    """
    files: tuple[CommandFile, ...]
    """Files that it reads."""
    environment: tuple[str, ...] = ()
    """Variables of the environment that it is given beside the usual ones; their values are no part
    of what a trial is known by."""
    same_base: bool = False
    """The base that an adapter names is the experiment's model under another name."""

    def identity(self) -> dict[str, JsonValue]:
        """What of it can change what it computes: its words, and what its files hold.

        Where files lie is none of it; which word names which is, should they be called alike.
        """
        known = {file.path: f"{file.name} ({file.sha256})" for file in self.files}
        return {
            "words": [
                option + known.get(named, named) for option, named in map(option_of, self.words)
            ],
            "files": [[file.name, file.sha256] for file in self.files],
        }


def option_of(word: str) -> tuple[str, str]:
    """A word of a command in two: an option with its sign of equality, and what it names.

    ``--config=recipe.yaml`` is ``--config=`` and ``recipe.yaml``; any other word has no option.
    """
    option, sign, named = word.partition("=")
    return (option + sign, named) if sign and option and "/" not in option else ("", word)


__all__ = ["CommandCall", "CommandFile", "option_of"]
