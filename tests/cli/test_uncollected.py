"""The collector of cycles rests during a command, and works again after it."""

from __future__ import annotations

import gc

import click
import pytest
from click.testing import CliRunner

from harness.cli.report import command
from harness.cli.uncollected import Uncollected


def test_the_collector_rests_while_arguments_are_read_and_the_command_runs() -> None:
    seen = []

    def asked(_: click.Context, __: click.Parameter, value: str) -> str:
        seen.append(gc.isenabled())
        return value

    @click.command(cls=Uncollected)
    @click.option("--name", callback=asked)
    def told(name: str) -> None:
        seen.append(gc.isenabled())

    assert CliRunner().invoke(told, ["--name", "x"]).exit_code == 0
    assert seen == [False, False] and gc.isenabled()


def test_it_works_again_after_a_command_that_failed() -> None:
    @click.command(cls=Uncollected)
    def fails() -> None:
        raise RuntimeError

    assert CliRunner().invoke(fails).exit_code == 1
    assert gc.isenabled()
    with pytest.raises(click.UsageError):
        fails.make_context("fails", ["--no-such-option"])
    assert gc.isenabled()


def test_reports_are_made_so() -> None:
    assert isinstance(command, Uncollected)
