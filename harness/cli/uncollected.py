"""A command that reads a study, makes pages of it and ends.

What it makes lives to its end, hundreds of thousands of objects. Python's collector of cycles looks
at them over and over and finds next to nothing: a tenth of the time of a long study's report.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click


@contextmanager
def collector_off() -> Iterator[None]:
    """While the collector of cycles rests, unless it did before."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


class Uncollected(click.Command):
    """A command during which no cycles are collected, nor while its arguments are read.

    To read them loads what knows them, which is most of the program.
    """

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Read the arguments."""
        with collector_off():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with collector_off():
            return super().invoke(ctx)


__all__ = ["Uncollected", "collector_off"]
