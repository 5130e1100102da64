"""What a first experiment is to be about: said by the user, or guessed with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.data.columns import Column
from harness.data.infer_form import AnswerForm
from harness.drafting.machine import Machine, ModelSize

BadRows = Literal["stop", "drop"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """All that decides what is written.

    source, test, validation: absolute paths, or packaged or hub names. texts, answers: columns.
    form: how the answers are read. minutes: in which the first run should end. margin: from which
    difference on the user would act, 0 to 1. reasons: part of the file -> why it is as it is.
    """

    source: str
    test: str | None
    validation: str | None
    encoding: str
    columns: Mapping[str, Column]
    texts: Sequence[str]
    answers: Sequence[str]
    form: AnswerForm
    id: str | None
    group: str | None
    instruction: str
    model: ModelSize
    machine: Machine
    minutes: float
    margin: float
    bad_rows: BadRows
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return self.columns[self.texts[0]].rows
