"""Rows to be asked need the columns of the arm that is asked, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from harness.data import asked_columns, read_questions, rows_in_memory
from harness.errors import DataError
from harness.spec import Experiment

OWN = "{title}: {text}"


def experiment(answer: dict[str, Any] | None = None) -> Experiment:
    """One with an arm of the task's template, and one of its own."""
    return Experiment.model_validate(
        {
            "name": "two",
            "model": "any",
            "data": {"source": "rows.csv"},
            "task": {
                "instruction": "Answer.",
                "template": "{text}",
                "answer": answer or {"kind": "label", "column": "label"},
            },
            "arms": {"plain": {"kind": "prompt"}, "titled": {"kind": "prompt", "template": OWN}},
            "general": None,
        }
    )


def test_each_arm_reads_its_own_columns() -> None:
    spec = experiment()
    (plain,) = read_questions(rows_in_memory([{"text": "a", "more": 1}]), spec, "{text}")
    assert plain.inputs == {"text": "a"}
    (titled,) = read_questions(rows_in_memory([{"text": "a", "title": "b"}]), spec, OWN)
    assert titled.inputs == {"title": "b", "text": "a"}
    with pytest.raises(DataError, match="no column 'title'"):
        read_questions(rows_in_memory([{"text": "a"}]), spec, OWN)


def test_one_of_its_columns_must_hold_something() -> None:
    spec = experiment()
    (asked,) = read_questions(rows_in_memory([{"text": " ", "title": "b"}]), spec, OWN)
    assert asked.inputs["title"] == "b"
    with pytest.raises(DataError, match="title, text: the text is empty"):
        read_questions(rows_in_memory([{"text": " ", "title": ""}]), spec, OWN)


def test_tools_of_rows_are_needed_where_the_template_does_not_show_them() -> None:
    spec = experiment({"kind": "calls", "column": "calls", "tools_column": "tools"})
    assert asked_columns(spec, "{text}") == ("text", "tools")
    assert asked_columns(spec, "{tools} {text}") == ("tools", "text")
    with pytest.raises(DataError, match="no column 'tools'"):
        read_questions(rows_in_memory([{"text": "a"}]), spec, "{text}")
    (asked,) = read_questions(rows_in_memory([{"text": "a", "tools": "[]"}]), spec, "{text}")
    assert (asked.inputs, asked.tools) == ({"text": "a"}, "[]")
