"""What an experiment on conversations may and may not say besides."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from harness.spec import Experiment


def experiment(**task: Any) -> Experiment:
    arms = task.pop("arms", {"zero": {"kind": "prompt"}})
    data = task.pop("data", {"conversations": {}})
    answer = {"kind": "text", "column": "messages_response"}
    return Experiment.model_validate(
        {
            "name": "talks",
            "model": "any",
            "data": {"source": "talks.jsonl", **data},
            "task": {"instruction": "", "answer": answer, **task},
            "arms": arms,
            "general": None,
        }
    )


def test_the_template_is_the_conversation() -> None:
    spec = experiment()
    assert spec.task.template == "{messages_prompt}"
    assert spec.data.conversations is not None
    assert spec.data.conversations.turns == "every"
    assert Experiment.model_validate(spec.plain()) == spec
    column = {"conversations": {"column": "talk", "turns": "last"}}
    answer = {"kind": "text", "column": "talk_response"}
    assert experiment(data=column, answer=answer).task.template == "{talk_prompt}"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"template": "Q: {messages_prompt}"}, "task.template: a conversation is shown message by"),
        ({"answer": {"kind": "text", "column": "reply"}}, "stand in messages_response; name it"),
        ({"arms": {"zero": {"kind": "prompt", "template": "{text}"}}}, "arms.zero.template"),
        ({"data": {"conversations": {"turns": "first"}}}, "turns"),
        ({"data": {"conversations": {"turns": "last", "scored": "every"}}}, "needs turns: every"),
        ({"data": {}, "template": "{text}"}, "task.instruction: is empty"),
    ],
)
def test_what_conversations_cannot_answer_is_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        experiment(**changes)
