"""Commands in this process: what they print, and how they refuse."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from harness.cli import group
from harness.errors import InputError


def call(*arguments: str | Path, answer: str = "") -> Result:
    """What a command does; ``answer`` is what is typed into it."""
    return CliRunner().invoke(group, [str(one) for one in arguments], input=answer)


def good(*arguments: str | Path) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def refused(*arguments: str | Path) -> str:
    result = call(*arguments)
    assert isinstance(result.exception, InputError), result.output
    return str(result.exception)
