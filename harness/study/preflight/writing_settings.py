"""The settings of an arm that write its prompts in different ways."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from harness.records import to_plain
from harness.spec.arms import Arm
from harness.spec.settings import Settings, settings_from
from harness.spec.spaces import Choice, IntRange

# Hyperparameters that decide how a prompt is written and what room its answer needs, other than
# the number of shots.
WRITING = ("instruction", "template", "chat", "selection", "answering", "reasoning")


def writing_settings(spec: Arm) -> Iterator[Settings]:
    """The arm's settings that write prompts in different ways, each with the most shots."""
    default = spec.resolve(spec.defaults())
    space = spec.shots
    match space:
        case IntRange():
            most = space.high
        case Choice():
            most = max(space.choices)
        case _:
            most = space
    names = [name for name in WRITING if name in type(spec).model_fields]
    for values in itertools.product(*(spec.values_of(name) for name in names)):
        writing = dict(zip(names, values, strict=True))
        yield settings_from({**to_plain(default), **writing, "shots": most})
