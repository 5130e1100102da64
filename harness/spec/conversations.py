"""What data.conversations means for the rest of an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.spec.arm_base import ArmBase
from harness.spec.data import ConversationSpec, DataSpec
from harness.spec.task import TaskSpec


def with_template_of_conversations(values: Any) -> Any:
    """The experiment as it was written, with the template that conversations have.

    It is theirs alone, so that nobody needs to write it.
    """
    if not isinstance(values, dict):
        return values
    data, task = values.get("data"), values.get("task")
    if not isinstance(data, dict) or not isinstance(task, dict) or task.get("template"):
        return values
    spec = data.get("conversations")
    if isinstance(spec, dict):
        column = spec.get("column", "messages")
        spec = ConversationSpec(column=column) if isinstance(column, str) and column else None
    if not isinstance(spec, ConversationSpec):
        return values
    return {**values, "task": {**task, "template": spec.template}}


def check_conversations(data: DataSpec, task: TaskSpec, arms: Mapping[str, ArmBase]) -> None:
    """See whether task and arms ask what conversations can answer.

    Raises:
        ValueError: they do not; says where, and what to do.
    """
    spec = data.conversations
    if spec is None:
        if not task.instruction.strip():
            raise ValueError("task.instruction: is empty; say what the model is asked to do")
        for name, arm in arms.items():
            said = [text for text in arm.values_of("instruction") if isinstance(text, str)]
            if not all(text.strip() for text in said):
                raise ValueError(
                    f"arms.{name}.instruction: is empty; say what the model is asked to do, or "
                    "leave it out for the task's"
                )
        return
    if task.template != spec.template:
        raise ValueError(
            "task.template: a conversation is shown message by message, so no template applies: "
            "leave it out; or leave data.conversations out and show it as one text, as "
            f"{spec.template}"
        )
    if task.answer.columns_read != (spec.answer_column,):
        raise ValueError(
            f"task.answer.column: the answers of conversations stand in {spec.answer_column}; "
            "name it, or leave data.conversations out and show the conversation as one text, as "
            f"{spec.template}"
        )
    for name, arm in arms.items():
        if arm.values_of("template") != (None,):
            raise ValueError(
                f"arms.{name}.template: a conversation is shown message by message, so no template "
                "applies; leave it out"
            )
