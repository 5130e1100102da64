"""Rows as a training command reads them: what stands beside the messages of a call of tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.prompting import PromptRenderer
from harness.trial.command_files import written_row
from tests.prompting.test_call_notation import KNOWN, ONE, item, model
from tests.prompting.test_tools import KNOT, TIDE, task


@pytest.mark.parametrize("form", ["messages", "prompt_completion"])
def test_tools_and_calls_stand_as_the_chat_template_takes_them(form: Any) -> None:
    name = "hermes, qwen 2.5"
    tokenizer, spec = model(name), task()
    render = PromptRenderer(tokenizer, spec)
    row: dict[str, Any] = json.loads(json.dumps(written_row(item(1), render, form)))
    told = [tool["function"]["name"] for tool in row["tools"]]
    assert told == [TIDE["name"], KNOT["name"]]
    messages = row["messages"] if form == "messages" else [*row["prompt"], *row["completion"]]
    assert messages[-1] == {"role": "assistant", "content": KNOWN[name][2]}
    # A library that applies the template has the very text that is trained on here.
    text = tokenizer.apply_chat_template(messages, tools=row["tools"], tokenize=False)
    assert text.strip() == render.prompt(item(1)) + render.reply(ONE)
