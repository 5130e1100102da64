"""Where examples come from and how they are divided."""

from __future__ import annotations

import codecs
import io
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from harness.records.frozen_spec import FrozenSpec
from harness.spec.names import TAKEN, Column, checked_name, distinct_files
from harness.spec.spaces import Count, PositiveInt

# Notations of Python and of host names, which no text file is written in.
_NO_ENCODINGS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"})


def known_encoding(name: str) -> str:
    """The name of an encoding of text files, as it is.

    Raises:
        ValueError: there is none of this name.
    """
    try:
        # It refuses what turns bytes into bytes, such as base64, or text into text, such as rot13.
        io.TextIOWrapper(io.BytesIO(), encoding=name)
        known = codecs.lookup(name).name not in _NO_ENCODINGS
    except (LookupError, ValueError):
        known = False
    if not known:
        raise ValueError(
            "no encoding that text files are written in; write utf-8, windows-1252, utf-16 or the "
            "like"
        )
    return name


def has_no_path(source: str) -> bool:
    """Whether a data source is a packaged or hub name, the same from every folder."""
    return source.startswith(("packaged:", "hub:"))


class SplitShares(FrozenSpec):
    """Shares of one file, dealt by group; they must sum to 1."""

    train: Annotated[float, Field(gt=0, lt=1)] = Field(0.6, description="Share to train on.")
    validation: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.15, description="Share that selects settings."
    )
    test: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.25, description="Share that decides, looked at once."
    )

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares must sum to 1, not {total:g}")
        return self


class SplitFiles(FrozenSpec):
    """Files that are already split; ``source`` is then the training file."""

    test: str = Field(description="File of test examples.")
    validation: str | None = Field(None, description="File of validation examples.")
    validation_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.15, description="Share of the training file that validates when no file is given."
    )


class Limits(FrozenSpec):
    """At most this many examples of each split, drawn over all its groups; null takes all."""

    train: PositiveInt | None = Field(None, description="Training examples.")
    validation: PositiveInt | None = Field(None, description="Validation examples.")
    test: PositiveInt | None = Field(None, description="Test examples.")
    out_of_domain: PositiveInt | None = Field(
        None, description="Examples of each out-of-domain set."
    )


class ConversationSpec(FrozenSpec):
    """Rows that are conversations: items are answers, each after the conversation up to it."""

    column: str = Field(
        "messages",
        min_length=1,
        description="Column with the messages of each row, in any of the notations that are read.",
    )
    turns: Literal["every", "last"] = Field(
        "every",
        description="Answers that are trained on and scored: every one of the assistant, or the "
        "one that ends each conversation.",
    )
    scored: Literal["every", "last"] | None = Field(
        None,
        description="Of turns: every, the answers that are scored: `last` trains on every one of a "
        "conversation, and scores its last; as `turns` if not given.",
    )

    @model_validator(mode="after")
    def _scores_what_there_is(self) -> Self:
        if self.turns == "last" and self.scored == "every":
            raise ValueError(
                "scored: every needs turns: every; turns: last leaves the other answers out"
            )
        return self

    @property
    def scores_last_of_every(self) -> bool:
        """Whether every answer is trained on, and the last of each conversation scored."""
        return (self.turns, self.scored) == ("every", "last")

    @property
    def template(self) -> str:
        """The template by which items are shown as text."""
        return f"{{{self.column}_prompt}}"

    @property
    def answer_column(self) -> str:
        """The column in which a task's answer finds what the assistant says."""
        return f"{self.column}_response"


class DataSpec(FrozenSpec):
    """Where examples come from and how they are divided."""

    source: str = Field(
        min_length=1,
        description="File (.jsonl, .ndjson, .json, .csv, .tsv, .parquet), `packaged:NAME`, or "
        "`hub:DATASET[:SPLIT]`.",
    )
    encoding: str = Field(
        "utf-8", description="Encoding of text files: utf-8, windows-1252, utf-16 ..."
    )
    conversations: ConversationSpec | None = Field(
        None, description="Ask and train in whole conversations; null shows each as one text."
    )
    id: Column | None = Field(
        None, description="Column with a unique id; line numbers if not given."
    )
    group: Column | None = Field(
        None, description="Column whose equal values stay in one split (customer, document)."
    )
    splits: SplitShares | SplitFiles = Field(
        default_factory=SplitShares, description="Shares, or files already split."
    )
    limits: Limits = Field(default_factory=Limits, description="Caps on the size of each split.")
    bad_rows: Literal["stop", "drop"] = Field(
        "stop", description="Stop at rows that cannot be used, or drop and count them."
    )
    leaks: Literal["report", "drop", "stop"] = Field(
        "drop",
        description="Training examples that also stand in validation or test (exactly or "
        "nearly): report them, drop them from training, or stop.",
    )
    out_of_domain: dict[str, str] = Field(
        default_factory=dict,
        description="Name -> source of test sets from elsewhere, with the same columns.",
    )
    slices: tuple[Column, ...] = Field(
        (),
        description="Columns whose values divide the test in the report, to see for whom the "
        "winner is better; nothing runs for it.",
    )
    seed: Count = Field(0, description="Seed of the division.")

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        return known_encoding(encoding)

    @field_validator("slices")
    @classmethod
    def _distinct(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(columns)) < len(columns):
            raise ValueError(f"a column stands twice: {', '.join(columns)}; name each once")
        return columns

    @field_validator("out_of_domain")
    @classmethod
    def _free_names(cls, sources: dict[str, str]) -> dict[str, str]:
        for name in sources:
            if TAKEN.fullmatch(checked_name(name)):
                raise ValueError(f"an out-of-domain set cannot be called {name!r}")
        distinct_files(sources)
        return sources
