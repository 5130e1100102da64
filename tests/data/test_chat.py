"""Conversations in the notations of those who make chat models, and what is said of the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.data import Rows, read_examples, read_rows

from .tiny import experiment, write_jsonl


def say(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def read(folder: Path, *rows: Any) -> Rows:
    return read_rows(str(write_jsonl(folder / "rows.jsonl", rows)))


def parts(table: Rows, name: str = "messages", row: int = 0) -> tuple[Any, ...]:
    values = table.rows[row].values
    return tuple(values.get(f"{name}_{part}") for part in ("system", "prompt", "response"))


SAID = ("Name the knot.", "Two loops?", "bowline")
ROLES = ("system", "user", "assistant")
PLAIN = [say(role, words) for role, words in zip(ROLES, SAID, strict=True)]
HUMAN = [
    {"from": who, "value": words}
    for who, words in zip(("system", "human", "gpt"), SAID, strict=True)
]
GEMINI = [{"role": "user", "parts": [{"text": SAID[1]}]},
          {"role": "model", "parts": [{"text": SAID[2]}]}]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"messages": PLAIN}, "messages"),
        (PLAIN, "messages"),
        ({"messages": json.dumps(PLAIN)}, "messages"),
        ({"messages": repr(PLAIN)}, "messages"),
        ({"talk": json.dumps({"messages": PLAIN})}, "talk"),
        ({"talk": {"role": ["system", "user", "assistant"], "content": list(SAID)}}, "talk"),
        ({"messages": [say("developer", SAID[0]), *PLAIN[1:]]}, "messages"),
        ({"messages": [say(one["role"], [text(one["content"])]) for one in PLAIN]}, "messages"),
        ({"messages": [say("System", SAID[0]), say("USER", SAID[1]), say("Chatbot", SAID[2])]},
         "messages"),
        ({"talk": [{"system": SAID[0]}, {"human": SAID[1], "assistant": SAID[2]}]}, "talk"),
        ({"conversations": HUMAN}, "conversations"),
        ({"conversations": HUMAN[1:], "system": SAID[0]}, "conversations"),
        ({"system": SAID[0], "messages": PLAIN[1:]}, "messages"),
        ({"contents": GEMINI, "systemInstruction": {"parts": [{"text": SAID[0]}]}}, "contents"),
        ({"prompt": PLAIN[:2], "completion": PLAIN[2:]}, "completion"),
        ({"prompt": PLAIN[:2], "chosen": PLAIN, "rejected": [say("assistant", "?")]}, "chosen"),
        ({"messages": [say("user", SAID[1], name=None, tool_calls=None, audio=None),
                       say("assistant", SAID[2], tool_calls=[])], "system": SAID[0]}, "messages"),
    ],
)  # fmt: skip
def test_one_conversation_in_many_notations(tmp_path: Path, row: Any, name: str) -> None:
    assert parts(read(tmp_path, row), name) == SAID


def test_messages_that_only_ask_go_with_an_answer_of_another_column(tmp_path: Path) -> None:
    table = read(tmp_path, {"prompt": PLAIN[:2], "completion": "bowline"})
    assert parts(table, "prompt") == (*SAID[:2], None)
    table = read(tmp_path, {"prompt": "Two loops?", "completion": PLAIN[2:]})
    assert parts(table, "completion") == ("", None, "bowline")
    assert "nothing is asked" in table.rows[0].lacking["completion_prompt"]


CALL = {"id": "c", "type": "function", "function": {"name": "tide", "arguments": '{"h": 3}'}}


@pytest.mark.parametrize(
    ("between", "shown"),
    [
        ([say("assistant", None, tool_calls=[CALL]), say("tool", "low", name="tide")],
         'Assistant calls tide: {"h": 3}\n\nTool tide: low'),
        ([say("assistant", "Wait.", function_call={"name": "tide", "arguments": {"h": 3}}),
          say("function", "low")],
         'Assistant: Wait.\n\nAssistant calls tide: {"h": 3}\n\nTool: low'),
        ([say("assistant", [text("Wait."), {"type": "tool_use", "name": "tide", "input": {}}]),
          say("user", [{"type": "tool_result", "content": [text("low")]}])],
         "Assistant: Wait.\n\nAssistant calls tide: {}\n\nTool: low"),
        ([{"role": "model", "parts": [{"functionCall": {"name": "tide", "args": {"h": 3}}}]},
          {"role": "user", "parts": [{"functionResponse": {"name": "tide", "response": [1]}}]}],
         'Assistant calls tide: {"h": 3}\n\nTool tide: [1]'),
        ([{"from": "function_call", "value": "tide()"}, {"from": "observation", "value": "low"}],
         "Assistant calls: tide()\n\nTool: low"),
        ([say("assistant", "tide()"), say("ipython", "low")], "Assistant: tide()\n\nTool: low"),
    ],
)  # fmt: skip
def test_calls_of_tools_stand_in_the_prompt(tmp_path: Path, between: Any, shown: str) -> None:
    table = read(tmp_path, {"messages": [say("user", "Now?"), *between, say("assistant", "ebb")]})
    assert parts(table)[1:] == (f"User: Now?\n\n{shown}", "ebb")
    assert table.conversation_notes == (
        "1 row(s) hold calls of tools: these stand in the prompt as text",
    )


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([*PLAIN, say("user", "Thanks")], "ends with a message of the user"),
        ([say("user", "x"), say("assistant", None, tool_calls=[CALL])], "ends with a tool call"),
        ([say("user", "x"), say("assistant", "See:", tool_calls=[CALL])], "ends with a tool call"),
        ([say("user", "x"), say("tool", "3")], "ends with a message of a tool"),
        ([say("user", "x"), say("critic", "3")], "ends with a message of 'critic'"),
        ([say("user", "x"), say("assistant", " ")], "the answer that ends the conversation is"),
        ([say("user", "x"), say("assistant", None)], "the answer that ends the conversation is"),
        ([say("assistant", "x")], "nothing is asked before the answer"),
        ([say("user", [text("x"), {"type": "image_url", "image_url": {"url": "y"}}]), PLAIN[2]],
         "message 1 (user) holds a part of type 'image_url', which is not text"),
        ([say("user", "x"), say("assistant", [{"type": "input_audio", "input_audio": "y"}])],
         "message 2 (assistant) holds a part of type 'input_audio'"),
        ([{"role": "user", "parts": [{"inlineData": {"data": "x"}}]}, PLAIN[2]],
         "message 1 (user) holds a part of type 'inlineData'"),
        ("no talk", "holds no list of messages"),
        ('[{"role": "user"', "not valid JSON"),
        (None, "holds no list of messages"),
    ],
)  # fmt: skip
def test_a_conversation_that_cannot_be_used_is_one_problem(
    tmp_path: Path, messages: Any, why: str
) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [{"messages": PLAIN}, {"messages": messages}])
    answer: Mapping[str, str] = {"kind": "text", "column": "messages_response"}
    setting = experiment(path, template="{messages_prompt}", answer=answer)
    found = read_examples(str(path), setting)
    assert [example.answer for example in found.examples] == ["bowline"]
    (problem,) = found.problems
    assert problem.where == f"{path}:2"
    assert problem.what.startswith("messages: ")
    assert why in problem.what


def test_lists_of_other_objects_are_no_conversations(tmp_path: Path) -> None:
    rows = [{"a": [{"role": "agent", "text": "x"}], "b": [{"from": "x@y", "to": "z"}], "c": []}]
    assert read(tmp_path, *rows).columns == ("a", "b", "c")


def test_columns_of_such_names_are_left_alone(tmp_path: Path) -> None:
    row = {"messages": PLAIN, "messages_prompt": "mine"}
    assert read(tmp_path, row).columns == ("messages", "messages_prompt")


def test_what_the_system_says_later_stands_where_it_was_said(tmp_path: Path) -> None:
    later = [*PLAIN, say("system", "Be brief."), *PLAIN[1:]]
    system, prompt, response = parts(read(tmp_path, {"messages": later}))
    assert (system, response) == (SAID[0], SAID[2])
    assert prompt == (
        f"User: {SAID[1]}\n\nAssistant: {SAID[2]}\n\nSystem: Be brief.\n\nUser: {SAID[1]}"
    )


@pytest.mark.parametrize(
    "answer",
    [
        say("assistant", [{"type": "thinking", "thinking": "Loops?"}, text(SAID[2])]),
        say("assistant", [{"type": "redacted_thinking", "data": "x"}, text(SAID[2])]),
        say("assistant", SAID[2], reasoning_content="Loops?"),
    ],
)
def test_thoughts_are_no_part_of_an_answer(tmp_path: Path, answer: dict[str, Any]) -> None:
    found = read(tmp_path, {"messages": [*PLAIN[:2], answer]}, {"messages": PLAIN})
    assert parts(found) == parts(found, row=1) == SAID
    assert found.conversation_notes == (
        "1 row(s) say what was thought before an answer: that is left out",
    )
