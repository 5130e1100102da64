"""The console that every command prints tables and reports with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from harness.cli.printing import visible

# A table shows here how wide it is.
_WIDE = 10_000


class Terminal(Console):
    """A console that sends no control character but its own, whatever it is given to print.

    A word longer than a line, such as a path, stays whole: it can be copied, and found.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as ``Console`` does; a sentence is broken between its words only.

        A table whose words do not fit side by side is printed as a list of its rows.
        """
        if not options and len(objects) == 1 and isinstance(objects[0], Table):
            return super().print(self._whole(objects[0]))
        if options or len(objects) != 1 or not isinstance(objects[0], str):
            return super().print(*objects, **options)
        for line in _between_words(self.render_str(objects[0]), self.width):
            super().print(line, soft_wrap=True)

    def _whole(self, table: Table) -> RenderableType:
        """The table, in columns that break no word; where there is no room, a list of its rows."""
        if any(column.width for column in table.columns):
            # Whoever made it has seen to that.
            return table
        wide = self.options.update(width=_WIDE)
        sizes = [
            [Measurement.get(self, wide, cell) for cell in (column.header, *column.cells)]
            for column in table.columns
        ]
        most = [max(size.maximum for size in column) for column in sizes]
        room = self.width - (self.measure(table, options=wide).maximum - sum(most))
        if sum(most) <= room:
            return table
        from harness.report.formats.terminal import listed_rows, widened

        least = [max(1, *(size.minimum for size in column)) for column in sizes]
        if sum(least) <= room:
            for column, width in zip(table.columns, widened(least, most, room), strict=True):
                column.width = width
            return table
        rows = zip(*(map(self._text, column.cells) for column in table.columns), strict=True)
        headings = [str(column.header) for column in table.columns[1:]]
        listed = listed_rows(self._text(table.title or ""), headings, rows)
        return Group(listed, self._text(table.caption)) if table.caption else listed

    def _text(self, cell: RenderableType) -> Text:
        return cell if isinstance(cell, Text) else self.render_str(str(cell))

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
