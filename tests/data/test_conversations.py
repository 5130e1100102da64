"""Conversations as items: which answers are asked for, after which messages, in which group."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.data import (
    merge_duplicates,
    prepare,
    read_examples,
    read_examples_file,
    read_questions,
    rows_in_memory,
    write_examples,
)
from harness.data.conversation_counts import conversation_counts
from harness.data.examples import ExamplesRead
from harness.data.examples_file import fingerprint, row_hashes
from harness.errors import DataError
from harness.records import Example, system_of, whole_conversations
from harness.spec import Experiment
from harness.study.item_sets import write_item_sets

from .tiny import write_jsonl


def say(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


SAID = ("Name a knot.", "Bowline.", "One to stop?", "Figure eight.", "Thanks.", "Any time.")
TALK = [say(("user", "assistant")[n % 2], words) for n, words in enumerate(SAID)]
SYSTEM = say("system", "You teach knots.")
CALL = {"id": "c1", "type": "function", "function": {"name": "tide", "arguments": '{"h": 3}'}}
TOOLS = [
    say("user", "Ebb or flood?"),
    say("assistant", None, tool_calls=[CALL]),
    say("tool", "low", tool_call_id="c1", name="tide"),
    say("assistant", "Ebb."),
]


def experiment(
    path: Path, turns: str = "every", column: str = "messages", **more: Any
) -> Experiment:
    data = more.pop("data", {})
    values: dict[str, Any] = {
        "name": "talks",
        "model": "any",
        "data": {
            "source": str(path),
            "conversations": {"column": column, "turns": turns},
            **data,
        },
        "task": {"instruction": "", "answer": {"kind": "text", "column": f"{column}_response"}},
        "arms": {"zero": {"kind": "prompt"}},
        "general": None,
    }
    return Experiment.model_validate({**values, **more})


def read(folder: Path, *rows: Any, turns: str = "every", column: str = "messages") -> ExamplesRead:
    path = write_jsonl(folder / "talks.jsonl", rows)
    return read_examples(str(path), experiment(path, turns, column))


def test_every_answer_is_an_item_after_the_true_conversation_so_far(tmp_path: Path) -> None:
    found = read(tmp_path, {"messages": [SYSTEM, *TALK]})
    assert [e.answer for e in found.examples] == ["Bowline.", "Figure eight.", "Any time."]
    assert [e.id for e in found.examples] == ["1#1", "1#2", "1#3"]
    assert {(e.group, e.conversation, e.line) for e in found.examples} == {("1", "1", 1)}
    for place, example in zip((2, 4, 6), found.examples, strict=True):
        assert list(example.messages) == [SYSTEM, *TALK][:place]
        assert system_of(example) == "You teach knots."
    shown = [e.inputs["messages_prompt"] for e in found.examples]
    assert shown[0] == "Name a knot."
    assert shown[1] == "User: Name a knot.\n\nAssistant: Bowline.\n\nUser: One to stop?"
    assert (found.problems, found.notes) == ((), ())


def test_the_last_answer_alone_may_be_asked_for(tmp_path: Path) -> None:
    found = read(tmp_path, {"messages": TALK}, {"messages": TALK[:5]}, turns="last")
    (example,) = found.examples
    assert (example.id, example.answer, list(example.messages)) == ("1", "Any time.", TALK[:5])
    (problem,) = found.problems
    assert problem.where.endswith(":2")
    assert "ends with a message of the user" in problem.what


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ({"messages": TALK}, "messages"),
        ({"messages": json.dumps(TALK)}, "messages"),
        ({"conversations": [
            {"from": ("human", "gpt")[n % 2], "value": words} for n, words in enumerate(SAID)
        ]}, "conversations"),
        ({"talk": [{"human": SAID[n], "assistant": SAID[n + 1]} for n in (0, 2, 4)]}, "talk"),
        ({"prompt": TALK[:3], "completion": TALK[3:]}, "completion"),
        ({"contents": [
            {"role": ("user", "model")[n % 2], "parts": [{"text": w}]} for n, w in enumerate(SAID)
        ]}, "contents"),
    ],
)  # fmt: skip
def test_one_conversation_in_many_notations(tmp_path: Path, row: Any, column: str) -> None:
    # An object that holds one list of objects, alone in its file, is taken for a table.
    found = read(tmp_path, row, row, column=column)
    assert list(found.examples[-1].messages) == TALK[:5]
    assert found.examples[-1].answer == "Any time."


def test_a_system_message_of_another_column_is_the_conversation_s(tmp_path: Path) -> None:
    found = read(tmp_path, {"system": "You teach knots.", "messages": TALK})
    assert found.examples[0].messages[0] == SYSTEM
    own = read(tmp_path, {"system": "Never shown.", "messages": [SYSTEM, *TALK]})
    assert own.examples == found.examples


def test_calls_of_tools_are_messages_that_are_shown_and_not_asked_for(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"messages": [*TOOLS, *TALK], "tools": [{"name": "tide"}]},
        {"messages": TALK, "tools": "tide"},
    )
    first = found.examples[0]
    assert first.answer == "Ebb."
    call = {"id": "c1", "type": "function", "function": {"name": "tide", "arguments": {"h": 3}}}
    assert first.messages[1:] == (
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "low", "name": "tide", "tool_call_id": "c1"},
    )
    assert len(found.examples) == 4 + 3
    assert found.notes == (
        "1 conversation(s) hold calls of tools: these are shown, and not asked for",
        "1 conversation(s) have a `tools` that cannot be read as a list of tools: no prompt shows "
        "it",
    )
    assert {json.loads(e.tools)[0]["function"]["name"] for e in found.examples[:4]} == {"tide"}
    assert found.examples[-1].tools == ""


def test_calls_without_ids_get_some_that_their_replies_name(tmp_path: Path) -> None:
    rows = [
        {"from": "human", "value": "Now?"},
        {"from": "function_call", "value": '{"name": "tide", "arguments": {"h": 3}}'},
        {"from": "observation", "value": "low"},
        {"from": "gpt", "value": "Ebb."},
    ]
    (example,) = read(tmp_path, {"conversations": rows}, column="conversations").examples
    _, asked, replied = example.messages
    assert asked["tool_calls"][0]["id"] == replied["tool_call_id"] == "call00001"
    assert asked["tool_calls"][0]["function"] == {"name": "tide", "arguments": {"h": 3}}


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([say("user", "x")], "ends with a message of the user"),
        ([say("assistant", "x"), say("user", "y")], "nothing is asked before the answer"),
        ([say("user", "x"), say("assistant", "")], "the answer that ends the conversation is"),
        ([*TALK[:1], say("assistant", " "), *TALK], "message 2 (assistant) is empty"),
        ([say("user", "x"), say("critic", "y"), *TALK], "message 2 has the role 'critic'"),
        ([say("user", "x"), say("function_call", "tide()"), *TALK], "message 2 calls a tool, but"),
        ([say("user", [{"type": "image_url", "image_url": "y"}]), *TALK], "which is not text"),
        ([say("user", "x"), say("assistant", "y", weight=0)], "no answer is to be learnt"),
        ([say("user", "x"), say("assistant", "y", weight="0")], "no answer is to be learnt"),
        ([say("user", "x"), say("assistant", "y", train=False)], "no answer is to be learnt"),
        ([say("user", "x"), say("assistant", "y", weight=0.5)], "has the weight 0.5"),
        ([*TALK[:2], say("user", ""), *TALK[3:]], "message 3 (user) is empty"),
        ([TALK[0], say("assistant", "<think>x</think> ")], "ends the conversation is empty"),
        ([SYSTEM], "ends with a message of the system"),
        ([say("user", "\ud800"), *TALK[1:]], "half of a surrogate pair"),
        ("no talk", "holds no list of messages"),
    ],
)  # fmt: skip
def test_a_conversation_that_cannot_be_used_is_one_problem(
    tmp_path: Path, messages: Any, why: str
) -> None:
    path = tmp_path / "talks.jsonl"
    path.write_text(f"{json.dumps({'messages': TALK})}\n{json.dumps({'messages': messages})}\n")
    found = read_examples(str(path), experiment(path))
    assert {e.conversation for e in found.examples} == {"1"}
    (problem,) = found.problems
    assert problem.where == f"{path}:2"
    assert why in problem.what


def test_answers_of_weight_0_and_what_follows_the_last_are_not_asked_for(tmp_path: Path) -> None:
    talk = [TALK[0], {**TALK[1], "weight": 0}, *TALK[2:5]]
    found = read(tmp_path, {"messages": talk})
    (example,) = found.examples
    assert (example.id, example.answer, len(example.messages)) == ("1#2", "Figure eight.", 3)
    assert example.messages[1] == TALK[1]
    assert found.notes == (
        "1 conversation(s) have answers of weight 0: these are shown, and not asked for",
        "1 conversation(s) go on after their last answer: what follows it is left out",
    )


def test_a_thought_is_no_part_of_what_goes_on(tmp_path: Path) -> None:
    thinking = say("assistant", "<think>Loops?</think>Bowline.")
    found = read(tmp_path, {"messages": [TALK[0], thinking, *TALK[2:4]]})
    assert found.examples[0].answer == "<think>Loops?</think>Bowline."
    assert found.examples[1].messages[1] == TALK[1]
    assert "Loops" not in found.examples[1].inputs["messages_prompt"]
    assert "hold thoughts before an answer" in found.notes[0]
    apart = {**TALK[1], "reasoning_content": "Loops?"}
    found = read(tmp_path, {"messages": [TALK[0], apart, *TALK[2:4]]})
    assert found.examples[1].messages[1] == TALK[1]
    assert "say apart what was thought" in found.notes[0]


def test_a_column_without_conversations_is_named(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [{"talk": TALK, "text": "x"}])
    with pytest.raises(
        DataError, match=r"'messages' holds no lists.*conversations stand in `talk`"
    ):
        read_examples(str(path), experiment(path))
    path = write_jsonl(tmp_path / "rows.jsonl", [{"text": "x"}])
    with pytest.raises(DataError, match="no column holds conversations"):
        read_examples(str(path), experiment(path))


def test_examples_come_back_from_their_file_and_count_by_what_they_say(tmp_path: Path) -> None:
    examples = read(tmp_path, {"messages": [SYSTEM, *TOOLS, *TALK]}).examples
    write_examples(tmp_path / "examples.parquet", examples)
    assert read_examples_file(tmp_path / "examples.parquet") == examples
    other = read(tmp_path, {"messages": [say("system", "You tie."), *TOOLS, *TALK]}).examples
    assert [e.inputs for e in other] == [e.inputs for e in examples]
    assert fingerprint({"test": other}) != fingerprint({"test": examples})
    assert not set(row_hashes(other)) & set(row_hashes(examples))


def talks(count: int) -> list[dict[str, Any]]:
    return [
        {"messages": [say("user", "Hello"), say("assistant", "Hello!"),
                      say("user", f"Knot {n}, please {n * n}"), say("assistant", f"It is {n}.")]}
        for n in range(count)
    ]  # fmt: skip


def test_no_split_divides_a_conversation_and_a_shared_greeting_joins_none(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "talks.jsonl", talks(40))
    splits = prepare(experiment(path, data={"leaks": "report"})).splits
    of = {
        name: {e.conversation for e in part}
        for name, part in (("train", splits.train), ("validation", splits.validation),
                           ("test", splits.test))
    }  # fmt: skip
    assert sum(map(len, of.values())) == len(set().union(*of.values())) == 40
    assert min(map(len, of.values())) >= 5
    assert len(splits.train) == 2 * len(of["train"])


def test_every_answer_may_be_learnt_and_the_last_ones_scored(tmp_path: Path) -> None:
    talks = [
        {"messages": [say(m["role"], f"{m['content']} {n} {n * 7}") for m in TALK]}
        for n in range(20)
    ]
    path = write_jsonl(tmp_path / "talks.jsonl", talks)
    more = {"conversations": {"column": "messages", "turns": "every", "scored": "last"}}
    spec = experiment(path, data={**more, "leaks": "report"})
    splits = prepare(spec).splits
    each = len(SAID) // 2
    assert len(splits.train) == each * len({e.conversation for e in splits.train})
    for held_out in (splits.validation, splits.test):
        assert len(held_out) == len({e.conversation for e in held_out})
        assert {len(e.messages) for e in held_out} == {len(TALK) - 1}
    # What training is compared with on its own rows is asked alike.
    sets = write_item_sets(spec, splits, tmp_path)
    sampled = read_examples_file(sets["train_sample"].path)
    assert {len(e.messages) for e in sampled} == {len(TALK) - 1}


def test_conversations_that_are_equal_as_a_whole_stay_together() -> None:
    def turn(talk: str, number: int, text: str) -> Example:
        messages = tuple(TALK[: 2 * number - 1])
        return Example(
            f"{talk}#{number}", {"t": text}, "a", talk, 1, messages=messages, conversation=talk
        )

    examples = [turn("a", 1, "Hi"), turn("a", 2, "Hi x"), turn("b", 1, "Hi"), turn("b", 2, "Hi y"),
                turn("c", 1, "Hi"), turn("c", 2, "hi  x")]  # fmt: skip
    assert [e.group for e in merge_duplicates(examples)] == ["a", "a", "b", "b", "a", "a"]
    assert [e.id for e in whole_conversations(examples)] == ["a#2", "b#2", "c#2"]


def test_conversations_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path, {"messages": [SYSTEM, *TALK]}, {"messages": TOOLS}, {"messages": TALK})
    (counts,) = conversation_counts({"train": found.examples}).values()
    assert (counts.conversations, counts.answers) == (3, 7)
    assert (counts.messages, counts.longest) == (7 + 4 + 6, 7)
    assert (counts.with_system, counts.with_tools) == (1, 1)
    plain = Example("a", {"text": "x"}, "y", "a")
    assert conversation_counts({"train": [plain]}) == {}


def test_worked_examples_are_refused_where_system_messages_differ(tmp_path: Path) -> None:
    arms = {"few": {"kind": "prompt", "shots": {"low": 0, "high": 2}}, "zero": {"kind": "prompt"}}
    rows = [{"messages": [say("system", f"Role {n % 2}"), *row["messages"]]}
            for n, row in enumerate(talks(40))]  # fmt: skip
    path = write_jsonl(tmp_path / "talks.jsonl", rows)
    with pytest.raises(DataError, match=r"arms\.few\.shots: the conversations have 2 different"):
        prepare(experiment(path, arms=arms, data={"leaks": "report"}))
    prepare(experiment(path, data={"leaks": "report"}))
    write_jsonl(path, talks(40))
    prepare(experiment(path, arms=arms, data={"leaks": "report"}))


@pytest.mark.parametrize("turns", ["every", "last"])
def test_a_question_is_the_conversation_as_it_is_asked_with_its_answer(
    tmp_path: Path, turns: str
) -> None:
    thought = [*TALK[:1], say("assistant", "<think>Which?</think>Bowline."), *TALK[2:]]
    spec = experiment(write_jsonl(tmp_path / "a.jsonl", [{"messages": [SYSTEM, *thought]}]), turns)
    (*_, scored) = read_examples(str(tmp_path / "a.jsonl"), spec).examples
    rows = rows_in_memory([{"messages": [SYSTEM, *thought[:-1]]}, {"messages": TOOLS[:-1]}])
    asked, of_tools = read_questions(rows, spec, spec.task.template)
    assert asked.messages == scored.messages
    assert asked.inputs == scored.inputs
    assert (asked.answer, asked.id) == ("", "asked-1")
    assert [message["role"] for message in of_tools.messages] == ["user", "assistant", "tool"]
    with pytest.raises(DataError, match="row:1: messages: the conversation ends with no message"):
        read_questions(rows_in_memory([{"messages": TALK}]), spec, spec.task.template)
