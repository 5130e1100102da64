"""Where the answer itself stands in a longer one, such as the number that ends a calculation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

import regex
from pydantic import Field, field_validator, model_validator

from harness.records.frozen_spec import FrozenSpec

# Seconds that a pattern may take over one text: some patterns take for ever over some texts.
_PATIENCE = 5.0


class Extract(FrozenSpec):
    """The part of an answer that is read and scored; all of it is what training learns to write."""

    pattern: str | None = Field(
        None,
        min_length=1,
        description="Regular expression; its first group is the answer or, without groups, all "
        "that it matches.",
    )
    after: str | None = Field(
        None,
        min_length=1,
        description='The answer is what follows this text, to the end. Put `"####"` in quotes.',
    )
    tag: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][\w.:-]*$",
        description="The answer stands in this tag: `answer` is for `<answer>…</answer>`.",
    )
    take: Literal["first", "last"] = Field("last", description="Which place, where it has several.")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                regex.compile(pattern)
            except regex.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return pattern

    @field_validator("after")
    @classmethod
    def _visible(cls, after: str | None) -> str | None:
        if after is not None and not after.strip():
            raise ValueError("white space stands everywhere; name a text that marks the answer")
        return after

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(way is not None for way in (self.pattern, self.after, self.tag)) != 1:
            raise ValueError(
                "give exactly one of `pattern`, `after` and `tag`; what holds a # stands in quotes"
            )
        return self

    @property
    def place(self) -> str:
        """Where the answer stands, for messages."""
        if self.after is not None:
            return f"after {self.after!r}"
        if self.tag is not None:
            return f"in <{self.tag}>…</{self.tag}>"
        return f"where task.answer.extract.pattern, {self.pattern!r}, matches"

    def span(self, text: str) -> tuple[int, int] | None:
        """Where the answer begins and ends in a text, without white space around it.

        Returns:
            None where there is none, or where the pattern takes too long.
        """
        try:
            spans = [
                span for begin, end in self._spans(text) if (span := _trimmed(text, begin, end))
            ]
        except TimeoutError:
            return None
        if not spans:
            return None
        return spans[0] if self.take == "first" else spans[-1]

    def of(self, text: str) -> str | None:
        """The answer in a text; None where there is none."""
        span = self.span(text)
        return None if span is None else text[span[0] : span[1]]

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        if self.after is not None:
            # A longer row of signs holds #### several times.
            for found in regex.finditer(regex.escape(self.after), text, overlapped=True):
                yield found.end(), len(text)
        elif self.tag is not None:
            # From the last opening before a closing: what stands before it was never closed.
            name = regex.escape(self.tag)
            inner = rf"<{name}>((?:(?!<{name}>).)*?)</{name}>"
            for found in regex.finditer(inner, text, regex.DOTALL | regex.IGNORECASE):
                yield found.span(1)
        else:
            compiled = regex.compile(str(self.pattern))
            group = min(1, compiled.groups)
            for found in compiled.finditer(text, timeout=_PATIENCE):
                if found.start(group) >= 0:
                    yield found.span(group)


def _trimmed(text: str, begin: int, end: int) -> tuple[int, int] | None:
    part = text[begin:end]
    if not (bare := part.strip()):
        return None
    begin += len(part) - len(part.lstrip())
    return begin, begin + len(bare)
