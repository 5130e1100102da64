"""A column of answers, as those who guess what it holds see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from harness.answers.json_text import JsonObject
from harness.records import JsonValue


class AnswerColumn(Protocol):
    """A column of answers, as ``init`` sees it; see :class:`harness.data.columns.Column`."""

    @property
    def name(self) -> str: ...
    @property
    def missing(self) -> int: ...
    @property
    def values(self) -> Sequence[JsonValue]: ...
    @property
    def texts(self) -> Sequence[str]: ...
    @property
    def objects(self) -> Sequence[JsonObject]: ...
    @property
    def lists(self) -> Sequence[list[Any]]: ...
    @property
    def distinct(self) -> int: ...
    @property
    def is_closed(self) -> bool: ...
    @property
    def is_number(self) -> bool: ...
    @property
    def is_whole(self) -> bool: ...
    def mapped(self, change: Callable[[str], str | None]) -> AnswerColumn:
        """The column with each text changed; a text of which nothing is left is missing."""
        ...
