"""The request that a draft is written from: said by the user, or guessed with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.answers import Answer
from harness.data.columns import Column
from harness.data.instructions import INSTRUCTION
from harness.drafting.conversations import ConversationDraft
from harness.drafting.machine import Machine, ModelSize

BadRows = Literal["stop", "drop"]


@dataclass(frozen=True, slots=True)
class DraftRequest:
    """All choices that an experiment file is written from, sizes aside."""

    source: str
    """Absolute path, or packaged or hub name, of the training rows, or of all rows."""
    test: str | None
    """Absolute path, or packaged or hub name, of the test rows; None where ``source`` is
    divided."""
    validation: str | None
    """Absolute path, or packaged or hub name, of the validation rows; None where they are a share
    of ``source``."""
    encoding: str
    """Encoding of text files, e.g. ``utf-8``."""
    columns: Mapping[str, Column]
    """Name -> column, over the rows of all files."""
    texts: Sequence[str]
    """Names of the columns that the model sees."""
    answers: Sequence[str]
    """Names of the columns that hold the right answer; several are fields of a JSON object."""
    form: Answer
    """How the answers are read."""
    id: str | None
    """Name of the column that names each row; None where there is none."""
    group: str | None
    """Name of the column whose equal values stay in one split; None where there is none."""
    instruction: str
    """What the model is asked to do."""
    model: ModelSize
    """The base model, as far as it is known without loading it."""
    machine: Machine
    """The machine that the study is sized for."""
    minutes: float
    """Minutes in which the first run should end."""
    margin: float
    """Difference from which on the user would act, 0 to 1."""
    bad_rows: BadRows
    """What the experiment file says of unusable rows: ``drop`` leaves them out, ``stop`` makes them
    an error."""
    conversations: ConversationDraft | None = None
    """How conversations are asked; None where items are none."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Part of the experiment file -> why it is as it is."""

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return self.columns[self.texts[0]].rows

    def is_choice(self, name: str) -> bool:
        """Whether a column is one of the choices that another lists."""
        stem, _, place = name.rpartition("_")
        return place.isdecimal() and stem in self.columns and bool(self.columns[stem].lists)

    @property
    def unused(self) -> list[str]:
        """Columns of the file that are no part of the task, and divide and name no rows."""
        used = {*self.texts, *self.answers, self.group, self.id, ""}
        for name in self.texts:
            if name.startswith(f"{INSTRUCTION}_"):
                used |= {INSTRUCTION, name.removeprefix(f"{INSTRUCTION}_")}
            if self.is_choice(name):
                used.add(name.rpartition("_")[0])
        return [
            name
            for name, column in self.columns.items()
            if not (
                name in used
                or name.startswith(f"{INSTRUCTION}_")
                or self.is_choice(name)
                or column.part
            )
        ]
