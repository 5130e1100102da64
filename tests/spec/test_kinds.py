"""Every kind of arm has an entry that says what it does."""

from __future__ import annotations

import typing

import pytest

from harness.spec import (
    BroughtArm,
    ClassifierArm,
    CommandArm,
    FullArm,
    LoraArm,
    PromptArm,
    QloraArm,
)
from harness.spec.arm_base import ArmBase
from harness.spec.arms import QuantisedArm, TrainedArm
from harness.spec.kinds import KINDS, TRAINED_KINDS, kind_info

ARMS: tuple[type[ArmBase], ...] = (
    PromptArm,
    FullArm,
    LoraArm,
    QloraArm,
    BroughtArm,
    CommandArm,
    ClassifierArm,
)


def kind_of(arm: type[ArmBase]) -> str:
    (name,) = typing.get_args(arm.model_fields["kind"].annotation)
    return str(name)


def test_every_arm_has_one_entry() -> None:
    assert [kind.name for kind in KINDS] == [kind_of(arm) for arm in ARMS]


@pytest.mark.parametrize("arm", ARMS)
def test_an_entry_agrees_with_the_arm_of_its_kind(arm: type[ArmBase]) -> None:
    kind = kind_info(kind_of(arm))
    own = issubclass(arm, TrainedArm)
    assert own is (kind in TRAINED_KINDS) is (kind.trains and not kind.commanded)
    assert kind.commanded is (arm is CommandArm)
    assert kind.adapts is ("rank" in arm.model_fields)
    assert kind.quantises is issubclass(arm, QuantisedArm)
    assert (kind.operations > 0) is own
    assert kind.fine_tuned is (kind.trains or arm is BroughtArm)
    assert kind.language_model is (arm is not ClassifierArm)


def test_a_kind_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        kind_info("base")
