"""What a right answer is: a file for each kind, and what kinds share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, get_args

from pydantic import Field

from harness.answers.answer import Answer
from harness.answers.calls import CallsAnswer
from harness.answers.json_object import JsonAnswer
from harness.answers.label import LabelAnswer
from harness.answers.labels import LabelsAnswer
from harness.answers.number import NumberAnswer
from harness.answers.text import TextAnswer

# In the order in which `init` asks them whether they know a column.
AnyAnswer = Annotated[
    LabelsAnswer | LabelAnswer | NumberAnswer | CallsAnswer | JsonAnswer | TextAnswer,
    Field(discriminator="kind"),
]

KINDS: Mapping[str, type[Answer]] = {kind.name(): kind for kind in get_args(get_args(AnyAnswer)[0])}

__all__ = [
    "KINDS",
    "Answer",
    "AnyAnswer",
    "CallsAnswer",
    "JsonAnswer",
    "LabelAnswer",
    "LabelsAnswer",
    "NumberAnswer",
    "TextAnswer",
]
