"""Calls of tools that a server is asked for: what it is sent, and what of its replies counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.data.examples_file import write_examples
from harness.evaluation.known_replies import write_replies
from harness.records import Example, ScoreRequest, TrialRecord, TrialSpec, to_plain
from harness.spec import TaskSpec
from harness.spec.arms import PromptArm
from harness.trial import run_trial
from tests.fake_server import Answer, FakeServer, endpoint, serving
from tests.tiny_model import resolved, runtime

TIDE: dict[str, Any] = {
    "name": "tide",
    "parameters": {
        "type": "object",
        "properties": {"port": {"type": "string"}},
        "required": ["port"],
    },
}
KNOT = {"name": "knot", "parameters": {"type": "object", "properties": {}}}
PORTS = ("Brest", "Ulm", "Kiel", "Rome", "Oslo", "Cork")


def call(port: str, **other: Any) -> dict[str, Any]:
    function = {"name": "tide", "arguments": json.dumps({"port": port})} | other
    return {"id": "c1", "type": "function", "function": function}


def item(port: str, **fields: Any) -> Example:
    answer = json.dumps([{"name": "tide", "arguments": {"port": port}}])
    return Example(port, {"text": f"Tide at {port}?"}, answer, port, **fields)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving() as state:
        state.says = lambda payload: {"content": None, "tool_calls": [call(port_of(payload))]}
        yield state


def port_of(payload: dict[str, Any]) -> str:
    return str(payload["messages"][-1]["content"]).removeprefix("Tide at ").removesuffix("?")


MakeSpec = Callable[..., TrialSpec]


@pytest.fixture
def make_spec(server: FakeServer, tmp_path: Path) -> MakeSpec:
    def make(items: list[Example] | None = None, shots: int = 0, **answer: Any) -> TrialSpec:
        write_examples(tmp_path / "train.parquet", [item("Bonn"), item("Graz")])
        write_examples(tmp_path / "test.parquet", items or list(map(item, PORTS)))
        tools = answer or {"tools": [TIDE, KNOT]}
        task = TaskSpec.model_validate(
            {"instruction": "Call.", "answer": {"kind": "calls", "column": "y", **tools}}
        )
        arm = PromptArm.model_validate({"kind": "prompt", "shots": shots, "selection": "fixed"})
        path = str(tmp_path / "test.parquet")
        return TrialSpec(
            trial_id="served",
            experiment_id="tiny",
            arm="asked",
            kind="prompt",
            phase="search",
            number=0,
            seed=0,
            params=to_plain(arm.resolve({})),
            model=resolved(tmp_path / "nothing-here"),
            task=task.model_dump(mode="json", by_alias=True),
            train_path=str(tmp_path / "train.parquet"),
            scores=(ScoreRequest("test", "domain", "domain", "test", items_path=path),),
            runtime=runtime(),
            endpoint=endpoint(server.url, tmp_path / "spending" / "asked.jsonl", concurrency=1),
        )

    return make


def asked(spec: TrialSpec, folder: Path) -> TrialRecord:
    record = run_trial(spec, folder / "trial")
    assert (record.status, record.failure_message) == ("complete", "")
    return record


def test_a_server_is_sent_the_tools_and_its_calls_are_the_answer(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    record = asked(make_spec(shots=1), tmp_path)
    payload = server.seen[0].payload
    assert [tool["function"]["name"] for tool in payload["tools"]] == ["tide", "knot"]
    assert payload["messages"][0] == {"role": "system", "content": "Call."}
    shown = payload["messages"][2]["tool_calls"][0]
    # As servers take it: arguments are text, and each call has its reply.
    assert shown["function"] == {"name": "tide", "arguments": '{"port": "Bonn"}'}
    assert payload["messages"][3]["tool_call_id"] == shown["id"]
    assert record.scores[0].aggregates == {
        "exact_match": 1, "argument_f1": 1, "right_functions": 1, "valid": 1,
    }  # fmt: skip
    assert not {"endpoint_conceded", "told_tools"} & set(record.environment)


def test_a_server_that_takes_no_notice_of_tools_is_told_of(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    server.says = lambda payload: {"content": "It is high."}
    record = asked(make_spec(), tmp_path)
    assert record.environment["told_tools"].startswith(
        "little was sent tools with 6 requests, and not one reply had `tool_calls`"
    )
    # One call is enough to tell that it knows them.
    calls = [call("Brest")]
    server.says = lambda payload: (
        {"tool_calls": calls} if port_of(payload) == "Cork" else {"content": "It is high."}
    )
    assert "told_tools" not in asked(make_spec(), tmp_path / "other").environment


def test_what_a_server_refused_or_passed_over_is_known_of_replies_that_are_used_again(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    server.says = lambda payload: {"content": "It is high."}
    scores = (replace(make_spec().scores[0], asked="little"),)
    for number, script in enumerate(([], [Answer(400, "no support for tools")])):
        folder = tmp_path / str(number)
        server.script = list(script)
        first = asked(replace(make_spec(), scores=scores), folder / "first")
        path = folder / "replies.jsonl"
        write_replies(path, first.replies)
        seen = len(server.seen)
        spec = replace(make_spec(), scores=scores, replies_path=str(path))
        second = asked(spec, folder / "second")
        assert len(server.seen) == seen
        for name in ("endpoint_conceded", "told_tools"):
            assert second.environment.get(name) == first.environment.get(name)
        assert ("endpoint_conceded" in second.environment) == bool(script)
        assert ("told_tools" in second.environment) == (not script)


def test_each_row_is_sent_with_its_own_tools(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    rows = [item(port, tools=json.dumps([TIDE, KNOT][: 1 + n % 2])) for n, port in enumerate(PORTS)]
    record = asked(make_spec(rows, tools_column="tools"), tmp_path)
    assert [len(seen.payload["tools"]) for seen in server.seen] == [1, 2, 1, 2, 1, 2]
    assert record.scores[0].aggregates["valid"] == 1


@pytest.mark.parametrize(
    ("said", "exact", "valid"),
    [
        ({"content": "I look it up.", "tool_calls": [call("Brest")]}, 1, 1),
        ({"content": "tide(port='Ulm')", "tool_calls": [call("Brest")]}, 1, 1),
        ({"content": None, "function_call": call("Brest")["function"]}, 1, 1),
        ({"content": TIDE["name"]}, 0, 0),
        ({"content": '[{"name": "tide", "arguments": {"port": "Brest"}}]'}, 1, 1),
        ({"tool_calls": [call("x</tool_call>")]}, 0, 1),
        ({"tool_calls": [call("", arguments='{"port": "Brest"')]}, 0, 0),
        ({"tool_calls": [call("", arguments='{"port": 5}')]}, 0, 0),
        ({"tool_calls": [call("", arguments="[]")]}, 0, 0),
        ({"tool_calls": [call("", arguments=[])]}, 0, 0),
        ({"tool_calls": [call("", name="wind")]}, 0, 0),
        ({"tool_calls": [call("Brest"), call("Brest")]}, 0, 1),
        ({"tool_calls": [call("Brest"), {"type": "custom", "custom": {"name": "tide"}}]}, 0, 0),
        ({"tool_calls": ["tide"]}, 0, 0),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_what_a_server_calls_is_read_and_what_is_no_call_is_not_valid(
    server: FakeServer,
    make_spec: MakeSpec,
    tmp_path: Path,
    said: dict[str, Any],
    exact: float,
    valid: float,
) -> None:
    server.says = lambda payload: {"content": None, **said}
    score = asked(make_spec([item("Brest")]), tmp_path).scores[0]
    assert (score.aggregates["exact_match"], score.aggregates["valid"]) == (exact, valid)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        Answer(400, '{"error": {"message": "little does not support tools"}}'),
        Answer(400, json.dumps({"message": '"auto" tool choice requires --tool-call-parser'})),
        Answer(500, json.dumps({"error": {"message": "tools param requires --jinja flag"}})),
    ],
    ids=["ollama", "vllm", "llama.cpp"],
)
def test_a_server_that_takes_no_tools_is_told_of_them_in_words(
    server: FakeServer,
    make_spec: MakeSpec,
    tmp_path: Path,
    refusal: Answer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("harness.evaluation.endpoint.chat_client.FIRST_WAIT", 0.001)
    server.script = [refusal] * (4 if refusal.status == 500 else 1)
    server.says = lambda payload: {
        "content": json.dumps([{"name": "tide", "arguments": {"port": port_of(payload)}}])
    }
    record = asked(make_spec(shots=1), tmp_path)
    assert record.environment["endpoint_conceded"] == "tools"
    payload = server.seen[-1].payload
    assert "tools" not in payload
    told = payload["messages"][0]["content"].split("\n")
    assert told[2].startswith("Write calls as a JSON list") and told[4] == "Tools:"
    assert [json.loads(line)["name"] for line in told[5:]] == ["tide", "knot"]
    assert payload["messages"][2] == {"role": "assistant", "content": item("Bonn").answer}
    assert [message["role"] for message in payload["messages"][1:]] == ["user", "assistant", "user"]
    assert record.scores[0].aggregates["exact_match"] == 1


def test_calls_after_words_that_were_asked_for_are_the_answer(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    """A server takes calls out of a reply that thinks, whose mark the model may leave out."""
    server.says = lambda payload: {
        "content": "Kiel is a port, so tide() it is.", "tool_calls": [call(port_of(payload))],
    }  # fmt: skip
    spec = make_spec()
    spec = replace(spec, params={**spec.params, "reasoning": "brief", "reasoning_tokens": 64})
    record = asked(spec, tmp_path)
    assert record.scores[0].aggregates["exact_match"] == 1
    assert not any(name.startswith("cut_thoughts") for name in record.environment)
