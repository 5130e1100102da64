"""Columns that templates show: which they are, and that none of them holds the right answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.answers import Answer
from harness.spec.arm_base import ArmBase
from harness.spec.names import named_column
from harness.spec.task import TaskSpec, template_fields


def shown_columns(task: TaskSpec, arms: Mapping[str, ArmBase]) -> tuple[str, ...]:
    """Columns that the templates show: the task's own first, then those of arms."""
    fields = (name for _, text in _templates(task, arms) for name in template_fields(text))
    return tuple(dict.fromkeys(fields))


def right_answers(answer: Answer) -> tuple[str, ...]:
    """Columns that hold the right answer; those with the tools of each row are shown to a model."""
    return tuple(name for name in answer.columns_read if name != answer.row_tools)


def check_columns(task: TaskSpec, arms: Mapping[str, ArmBase]) -> None:
    """See that the answer's columns have names, and that no prompt shows what they hold.

    Raises:
        ValueError: one has none, or a template shows one; says which and where, and what to do.
    """
    for key, name in _named_by(task.answer):
        try:
            named_column(name)
        except ValueError as error:
            raise ValueError(f"task.answer.{key}: {error}") from None
    hidden = right_answers(task.answer)
    for where, text in _templates(task, arms):
        for name in template_fields(text):
            if name in hidden:
                raise ValueError(
                    f"{where}: {{{name}}} is the column of the right answer (task.answer), which "
                    "every prompt would show; take it out of the template, or name another column "
                    "in task.answer"
                )


def _templates(task: TaskSpec, arms: Mapping[str, ArmBase]) -> Iterator[tuple[str, str]]:
    """Every template, with the key that it stands under."""
    yield "task.template", task.template
    for name, arm in arms.items():
        for text in arm.values_of("template"):
            if text:
                yield f"arms.{name}.template", text


def _named_by(answer: Answer) -> Iterator[tuple[str, str]]:
    """Keys of an answer that name columns, with the names."""
    for key in ("column", "tools_column"):
        if (name := getattr(answer, key, None)) is not None:
            yield key, name
    for field, name in (getattr(answer, "columns", None) or {}).items():
        yield f"columns.{field}", name


__all__ = ["check_columns", "right_answers", "shown_columns"]
