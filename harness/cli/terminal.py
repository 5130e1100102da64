"""The console that every command prints tables and reports with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from harness.cli.printing import visible


class Terminal(Console):
    """A console that sends no control character but its own, whatever it is given to print.

    A word longer than a line, such as a path, stays whole: it can be copied, and found.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as ``Console`` does; a sentence is broken between its words only."""
        if options or len(objects) != 1 or not isinstance(objects[0], str):
            return super().print(*objects, **options)
        for line in _between_words(self.render_str(objects[0]), self.width):
            super().print(line, soft_wrap=True)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of ``renderable``, their text made visible."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def _between_words(text: Text, width: int) -> Iterator[Text]:
    """The lines of ``text``, each of at most ``width`` columns unless it is one word."""
    for line in text.split("\n", allow_blank=True):
        indent = len(line.plain) - len(line.plain.lstrip())
        starts, used = [], indent
        for word in re.finditer(r"\S+\s*", line.plain):
            columns = cell_len(word[0])
            if word.start() > indent and used + cell_len(word[0].rstrip()) > width:
                starts.append(word.start())
                used = 0
            used += columns
        for part in line.divide(starts):
            part.rstrip()
            yield part
