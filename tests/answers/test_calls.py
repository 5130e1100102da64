"""Calls of tools: how files hold them, in what notations models make them, when they are right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.answers import CallsAnswer
from harness.answers.call_reader import read_calls
from harness.answers.call_values import BrokenCallError, Call
from harness.answers.cells import AnswerError
from harness.answers.recognise import recognise_answer
from harness.answers.schema_validator import schema_validator
from harness.answers.tools import listed_tools, read_tools, tools_of
from harness.data import prepare
from harness.errors import SpecError
from harness.records import Example
from harness.spec import load_experiment
from tests.data.tiny import experiment, table, words, write_jsonl

WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"enum": ["C", "F"]},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
}
TIME: dict[str, Any] = {"name": "time", "parameters": {"type": "object", "properties": {}}}
TOOLS = [WEATHER, {"type": "function", "function": TIME}]
KNOWN = read_tools(TOOLS)
PARIS = Call("weather", {"city": "Paris", "days": 2})
TARGET = '[{"name": "weather", "arguments": {"city": "Paris", "days": 2}}]'


def answer(**fields: Any) -> CallsAnswer:
    tools = {} if "tools_column" in fields else {"tools": TOOLS}
    return CallsAnswer.model_validate({"kind": "calls", "column": "y", **tools, **fields})


@pytest.mark.parametrize(
    "reply",
    [
        '[{"name": "weather", "arguments": {"city": "Paris", "days": 2}}]',
        '{"name": "weather", "parameters": {"days": 2, "city": "Paris"}}',
        '{"name": "weather", "arguments": "{\\"city\\": \\"Paris\\", \\"days\\": 2}"}',
        '{"tool_calls": [{"id": "1", "type": "function", "function": {"name": "weather", '
        '"arguments": "{\\"city\\": \\"Paris\\", \\"days\\": 2}"}}]}',
        '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris", "days": 2}}\n</tool_call>',
        'Let me see.\n<tool_call>{"name": "weather", "arguments": {"city": "Paris", "days": 2}}',
        '```json\n{"name": "weather", "arguments": {"city": "Paris", "days": 2}}\n```',
        'I call {"name": "weather", "arguments": {"city": "Paris", "days": 2}} now.',
        '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Paris", "days": 2}}]',
        '[TOOL_CALLS]weather{"city": "Paris", "days": 2}',
        '[TOOL_CALLS]weather[ARGS]{"city": "Paris", "days": 2}',
        '<function=weather>{"city": "Paris", "days": 2}</function>',
        "<function=weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>2</parameter>\n"
        "</function>",
        '<|python_tag|>{"type": "function", "name": "weather", "parameters": {"city": "Paris", '
        '"days": 2}}',
        "{'name': 'weather', 'arguments': {'city': 'Paris', 'days': 2}}",
        'weather(city="Paris", days=2)',
        "[weather(days=2, city='Paris')]",
        '[TOOL_CALLS]weather[CALL_ID]a1b2[ARGS]{"city": "Paris", "days": 2}',
        '<invoke name="weather"><parameter name="city">Paris</parameter>\n<parameter name="days">2'
        "</parameter></invoke>",
        "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>days"
        "</arg_key>\n<arg_value>2</arg_value>\n</tool_call>",
    ],
)
def test_a_call_is_read_in_every_notation(reply: str) -> None:
    assert read_calls(reply) == [PARIS]
    assert answer().reader()(TARGET, reply).metrics == {
        "exact_match": 1, "argument_f1": 1, "right_functions": 1, "valid": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "reply",
    [
        '<tool_call>{"name": "a", "arguments": {}}</tool_call>'
        '<tool_call>{"name": "b", "arguments": {"x": 1}}</tool_call>',
        '{"name": "a"}\n{"name": "b", "arguments": {"x": 1}}',
        '[{"name": "a", "arguments": null}, {"name": "b", "arguments": {"x": 1}}]',
        "[a(), b(x=1)]",
        '```json\n{"name": "a"}\n```\nand\n```json\n{"name": "b", "arguments": {"x": 1}}\n```',
        "<tool_call>a</tool_call><tool_call>b<arg_key>x</arg_key><arg_value>1</arg_value>"
        "</tool_call>",
        '[TOOL_CALLS]a{}[TOOL_CALLS]b{"x": 1}',
        # Partly within a fence.
        '```json\n{"name": "a"}\n```\nand then {"name": "b", "arguments": {"x": 1}}',
        '{"name": "a"}\n~~~\n{"name": "b", "arguments": {"x": 1}}\n~~~',
        "a()\n```\nb(x=1)\n```",
        'First:\n```\n{"name": "a"}\n```\nand {"name": "b", "arguments": {"x": 1}}.\n```\nok\n```',
        # In several notations.
        '<tool_call>{"name": "a"}</tool_call><function=b>{"x": 1}</function>',
        '<function=a></function><tool_call>{"name": "b", "arguments": {"x": 1}}</tool_call>',
        "<tool_call><function=a></function><function=b><parameter=x>1</parameter></function>"
        "</tool_call>",
        '<tool_call>{"name": "a"}</tool_call>[TOOL_CALLS]b{"x": 1}',
        '[TOOL_CALLS][{"name": "a"}] and [{"name": "b", "arguments": {"x": 1}}]',
        "[TOOL_CALLS]a{}\nb(x=1)",
        # As statements, and with marks between.
        "a()\nb(x=1)",
        "a()\n\n  \nb(\n    x=1,\n)\n",
        "```python\na()\nb(x=1)\n```",
        "```python\n    a()\n    b(x=1)\n```",
        "First:\n```\na()\n```\nthen:\n```\nb(x=1)\n```",
        "a(); b(x=1)",
        "a();\nb(x=1);",
        "a(), b(x=1)",
        "a(),\nb(x=1),",
        "(a(), b(x=1))",
        "[a()]\n[b(x=1)]",
        "# Both are needed.\na()\nb(x=1)  # the second",
        "<|python_tag|>a()\nb(x=1)",
    ],
)
def test_several_calls(reply: str) -> None:
    assert read_calls(reply, read_tools([{"name": "a"}, {"name": "b"}])) == [
        Call("a", {}),
        Call("b", {"x": 1}),
    ]


@pytest.mark.parametrize(
    "reply", ["It is sunny.", "", '{"city": "Paris"}', "weather(2)", "f(x) = 2", '["a"]', "[1]",
              '{"name": "Ann", "age": 3}']
)  # fmt: skip
def test_words_and_other_json_call_nothing(reply: str) -> None:
    assert read_calls(reply) is None


@pytest.mark.parametrize(
    "reply",
    [
        '<tool_call>{"name": "weather", "argum',
        '{"name": "weather", "arguments": {"city": "Pa',
        '{"name": "weather", "arguments": {"city": "Paris"}',
        '<tool_call>{"name": "weather", "arguments": [1]}</tool_call>',
        '{"name": "weather", "arguments": "Paris"}',
        '<tool_call>{"arguments": {}}</tool_call>',
        "<function=weather>Paris</function>",
        "[TOOL_CALLS] weather Paris",
        '[TOOL_CALLS]time[TOOL_CALLS][{"name": "weather", "arguments": {}}]',
    ],
)
def test_a_call_that_is_broken_is_none(reply: str) -> None:
    with pytest.raises(BrokenCallError):
        read_calls(reply)
    assert set(answer().reader()(TARGET, reply).metrics.values()) == {0.0}
    assert set(answer().reader()("[]", reply).metrics.values()) == {0.0}


@pytest.mark.parametrize(
    "reply",
    [
        '[{"name": "weather", "arguments": 5}]',
        '[{"name": "weather", "arguments": {"city": "Paris"}}, {"foo": 1}]',
        '```json\n[{"name": "weather", "arguments": "{bad"}]\n```',
        "[weather(1)]",
        'I call weather(city="Paris")',
        "Sure:\ntime()",
        '{"function": "weather", "city": "Paris"}',
        'I look it up. {"name": "weather", "arguments": {"city": "Pa',
        '[]\n{"name": "weather", "argum',
        'Action: weather\nAction Input: {"city": "Paris"}',
        '{"action": "weather", "action_input": {"city": "Paris"}}',
        '{"weather": {"city": "Paris"}}',
        '[{"weather": {"city": "Paris"}}]',
        "<|python_tag|>",
        "`time`",
        # A field twice: nobody can say which is meant.
        '{"name": "weather", "arguments": {"city": "Paris", "city": "Rome"}}',
        'So: {"name": "weather", "arguments": {"city": "Paris", "city": "Rome"}}',
        'weather(city="Paris", city="Rome")',
        'weather(city={"a": 1, "a": 2})',
        "<function=weather><parameter=city>Paris</parameter><parameter=city>Rome</parameter>"
        "</function>",
        '<function=weather><parameter=days>{"a": 1, "a": 2}</parameter></function>',
        "<tool_call>weather<arg_key>city</arg_key><arg_value>Paris</arg_value><arg_key>city"
        "</arg_key><arg_value>Rome</arg_value></tool_call>",
        # Broken off where what was said so far is a call, too.
        "<function=weather><parameter=city>Paris</parameter><parameter=days>2",
        "<tool_call>weather<arg_key>city</arg_key><arg_value>Paris</arg_value><arg_key>da",
        "<function=time>",
        "<tool_call>time",
        '[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Paris"}}, {"name": "ti',
        # A call that can be read, and beside it one that cannot.
        '```json\n{"name": "time", "arguments": {}}\n```\n{"name": "weather", "arguments": {"ci',
        '```json\n{"name": "time", "arguments": {}}\n```\nweather(city="Paris")\nas well',
        '{"name": "time", "arguments": {}}\nweather(city="Paris") as well',
        '{"name": "weather", "arguments": {"city": "Paris"}}\nweather(city="Rome")\nDone.',
        'Action: weather\n```json\n{"name": "time", "arguments": {}}\n```',
        # Python that is more than calls.
        'time()\nprint("done")',
        'time()\nweather("Rome")',
        'now = time()\nweather(city="Rome")',
        "now = time()",
        "import tools\ntime()",
        'print(weather(city="Rome"))',
        "time() + 1",
        "time()\n'done'",
        "if late:\n    time()",
        '[time() for _ in "ab"]',
        "time, weather()",
        '[weather(city="Rome"), 3]',
        'weather(**{"city": "Rome"})',
        "weather(city=home())",
        "- time()\n- time()",
        "1. time()",
        "`time()`",
        "**time()**.",
        'time()\nThen weather(city="Rome")',
        # Notations that are not read.
        '{"tool": "weather", "tool_input": {"city": "Paris"}}',
        '{"name": "weather", "params": {"city": "Paris"}}',
        '<function name="weather"><param name="city">Paris</param></function>',
        'commentary to=functions.weather json{"city": "Paris"}',
    ],
)
def test_a_call_that_is_tried_is_never_no_call(reply: str) -> None:
    with pytest.raises(BrokenCallError):
        read_calls(reply, read_tools(TOOLS))
    assert set(answer().reader()("[]", reply).metrics.values()) == {0.0}


@pytest.mark.parametrize(
    "reply", ["How many time(s)?", "There is no need of time() here.", "sin(x=2) is no tool.",
              "The weather (in Paris) is good.", '{"name": "Ann", "age": 3}',
              "<b>Take time</b> to=day", "<time> 5", '{"name": "Time", "age": 3}']
)  # fmt: skip
def test_words_near_a_tools_name_call_nothing(reply: str) -> None:
    assert set(answer().reader()("[]", reply).metrics.values()) == {1.0}


def test_several_python_calls_are_scored_as_several() -> None:
    target = json.dumps([call("time"), call(city="Bonn", days=3)])
    for between in ("\n", "\n\n", "; ", ", ", ",\n"):
        reply = f'time(){between}weather(city="Bonn", days=3)'
        assert set(answer().reader()(target, reply).metrics.values()) == {1.0}
        fenced = answer().reader()(target, f"```python\n{reply}\n```")
        assert set(fenced.metrics.values()) == {1.0}


def test_json_in_an_argument_of_python_is_a_part_of_it() -> None:
    reply = 'weather(city="Paris", place={"name": "time", "arguments": {}})'
    read = read_calls(reply, read_tools(TOOLS))
    assert read is not None and [call.name for call in read] == ["weather"]


@given(text=st.text(alphabet='{}[]"name:,f()=1 <tol_ca>/\\\n', max_size=60))
def test_no_reply_breaks_the_reader(text: str) -> None:
    assert all(0 <= value <= 1 for value in answer().reader()(TARGET, text).metrics.values())


def call(name: str = "weather", **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


@pytest.mark.parametrize(
    ("target", "made", "exact", "f1", "functions", "valid"),
    [
        ([call(city="Paris")], [call(city="PARIS ")], 1, 1, 1, 1),
        ([call(city="Paris", days=2)], [call(city="Paris", days=3)], 0, 0.5, 1, 1),
        ([call(city="Paris", days=2)], [call(city="Paris")], 0, 2 / 3, 1, 1),
        ([call(city="Paris")], [call(city="Paris", days="2")], 0, 2 / 3, 1, 0),
        ([call(city="Paris")], [call("time")], 0, 0, 0, 1),
        ([call(city="Paris")], [call("climate", city="Paris")], 0, 0, 0, 0),
        ([call(city="Paris"), call("time")], [call("time"), call(city="Paris")], 1, 1, 1, 1),
        ([call(city="Paris"), call(city="Rome")], [call(city="Rome")], 0, 2 / 3, 0, 1),
        ([call("time")], [call("time")], 1, 1, 1, 1),
        ([], [], 1, 1, 1, 1),
        ([], [call("time")], 0, 0, 0, 1),
        ([call("time")], [], 0, 0, 0, 1),
    ],
)
def test_calls_are_matched_by_function_and_arguments(
    target: Any, made: Any, exact: float, f1: float, functions: float, valid: float
) -> None:
    metrics = answer().reader()(json.dumps(target), json.dumps(made)).metrics
    assert metrics == {
        "exact_match": exact,
        "argument_f1": pytest.approx(f1),
        "right_functions": functions,
        "valid": valid,
    }


@pytest.mark.parametrize(
    ("reply", "answered"),
    [
        ("<think>x</think><tool_call>weather<arg_key>city</arg_key><arg_value>Paris</arg_value>"
         "</tool_call>", '[{"name": "weather", "arguments": {"city": "Paris"}}]'),
        ("Hello!", "[]"),
        ("<tool_call>{", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_prediction_is_written_as_data_are(reply: str, answered: str | None) -> None:
    assert answer().answer_in(reply) == answered


def test_marks_of_calls_in_a_text_of_an_argument_are_a_part_of_it() -> None:
    made = json.dumps([call(city="<tool_call> </tool_call> [TOOL_CALLS] <function=time>")])
    for reply in (made, f"```json\n{made}\n```"):
        assert set(answer().reader()(made, reply).metrics.values()) == {1.0}
    made = json.dumps(call(city="<function=time> [TOOL_CALLS] time()"))
    for reply in (f"<tool_call>{made}</tool_call>", f"[TOOL_CALLS] [{made}]"):
        assert set(answer().reader()(f"[{made}]", reply).metrics.values()) == {1.0}


@pytest.mark.parametrize(
    "marks",
    [
        "<tool_call>x</tool_call>",
        "</tool_call>",
        "a [TOOL_CALLS] b",
        "<|python_tag|>time()",
        "<function=time></function>",
    ],
)
@pytest.mark.parametrize(
    "notation",
    [
        'weather(city="{}")',
        '[weather(city="{}")]',
        '```python\nweather(city="{}")\n```',
        '<|python_tag|>weather(city="{}")',
        '<|python_tag|>{{"name": "weather", "parameters": {{"city": "{}"}}}}',
        'I look: {{"name": "weather", "arguments": {{"city": "{}"}}}}',
        '[{{"name": "weather", "arguments": {{"city": "{}"}}}}] is what I call.',
        '<tool_call>{{"name": "weather", "arguments": {{"city": "{}"}}}}</tool_call>',
        '[TOOL_CALLS] [{{"name": "weather", "arguments": {{"city": "{}"}}}}]',
    ],
)
def test_marks_in_a_text_of_an_argument_are_text_in_every_notation(
    notation: str, marks: str
) -> None:
    found = read_calls(notation.format(marks), KNOWN)
    assert found is not None
    assert [(one.name, one.arguments) for one in found] == [("weather", {"city": marks})]


def test_marks_beside_a_call_mark_another() -> None:
    made = json.dumps(call(city="<tool_call>"))
    found = read_calls(f"{made} <tool_call>{made}</tool_call>", KNOWN)
    assert found is not None and len(found) == 1


def test_a_call_outside_of_a_fence_counts_beside_one_within() -> None:
    reply = f"```json\n{TARGET}\n```\n" + json.dumps(call("time"))
    metrics = answer().reader()(TARGET, reply).metrics
    assert metrics == {"exact_match": 0, "argument_f1": 0.8, "right_functions": 0, "valid": 1}
    both = json.dumps([*json.loads(TARGET), call("time")])
    assert set(answer().reader()(both, reply).metrics.values()) == {1.0}
    assert answer().answer_in(reply) == both


@pytest.mark.parametrize(
    "reply",
    [
        'I call weather(city="Paris", days=2):\n```json\n' + TARGET + "\n```\nIt needs no time.",
        "**weather**\n```json\n" + TARGET + "\n```",
        "Action: weather\n" + TARGET,
        "```python\nprint(1)\n```\n```json\n" + TARGET + "\n```",
        # What is marked tells it from what is said.
        TARGET + "\n<tool_call>" + TARGET[1:-1] + "</tool_call>",
    ],
)
def test_words_beside_a_call_may_say_it_again(reply: str) -> None:
    assert read_calls(reply, read_tools(TOOLS)) == [PARIS]


def test_words_alone_are_right_where_no_tool_is_to_be_called() -> None:
    read = answer().reader()
    assert set(read("[]", "Hello!").metrics.values()) == {1.0}
    assert set(read(TARGET, "It is sunny.").metrics.values()) == {0.0}
    assert set(read("[]", " ").metrics.values()) == {0.0}


@pytest.mark.parametrize(
    "cell",
    [
        [{"id": "1", "type": "function",
          "function": {"name": "weather", "arguments": '{"days": 2, "city": "Paris"}'}}],
        {"name": "weather", "arguments": {"days": 2, "city": "Paris"}},
        {"role": "assistant", "tool_calls": [{"function": {"name": "weather", "arguments": {
            "days": 2, "city": "Paris"}}}]},
        '[{"name": "weather", "input": {"days": 2, "city": "Paris"}}]',
        "[{'name': 'weather', 'arguments': {'days': 2, 'city': 'Paris'}}]",
        '<tool_call>{"name": "weather", "arguments": {"days": 2, "city": "Paris"}}</tool_call>',
    ],
)  # fmt: skip
def test_cells_are_written_as_one_list(cell: Any) -> None:
    rows = answer().row_reader()
    assert rows.read({"y": cell}) == TARGET
    assert rows.read({"y": []}) == rows.read({"y": "[]"}) == "[]"


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (None, "is missing; fill it in, or write"),
        ("none", "'none' holds no calls"),
        ([call("climate")], r"calls 'climate', which is none of the tools \(weather, time\)"),
        ([call(city=3)], "does not conform to the tool's schema: city: 3 is not of type"),
        ([call()], "arguments: 'city' is a required property"),
        ([{"name": "time", "arguments": "{"}], "not valid JSON"),
        ([{"arguments": {}}], "is no call"),
        (3, "is no call"),
    ],
)
def test_cells_that_are_no_calls_are_bad_rows(cell: Any, problem: str) -> None:
    with pytest.raises(AnswerError, match=f"^y: .*{problem}"):
        answer().row_reader().read({"y": cell})


@pytest.mark.parametrize(
    "tools",
    [
        [WEATHER],
        [{"type": "function", "function": WEATHER}],
        {"tools": [WEATHER]},
        json.dumps([WEATHER]),
        [{"name": "weather", "description": WEATHER["description"],
          "input_schema": WEATHER["parameters"]}],
        [{"functionDeclarations": [WEATHER]}],
    ],
)  # fmt: skip
def test_tools_are_read_as_their_makers_write_them(tools: Any) -> None:
    (tool,) = read_tools(tools).values()
    assert (tool.name, tool.parameters) == ("weather", WEATHER["parameters"])
    assert tool.description == "Tells the weather."


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"tools": None}, "exactly one of"),
        ({"tools_column": "t", "tools": TOOLS}, "exactly one of"),
        ({"tools": []}, "list of objects with a name"),
        ({"tools": [{"parameters": {}}]}, "tool 1 has no name"),
        ({"tools": [WEATHER, WEATHER]}, "two tools are called 'weather'"),
        ({"tools": [{"name": "f", "parameters": {"type": "strnig"}}]}, "tool 'f': not a valid"),
        ({"tools": [{"name": "f", "parameters": {"properties": {"a": {"$ref": "#/x"}}}}]},
         "leads nowhere"),
        ({"tools_column": "t", "extract": {"after": ":"}}, "`extract` goes with `tools`"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(fields: Any, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        answer(**fields)


def test_the_tools_are_listed_a_line_each() -> None:
    functions = answer().functions
    assert [one["function"]["name"] for one in functions] == ["weather", "time"]
    tools, one, other = listed_tools(tools_of(json.dumps(functions)).values()).split("\n")
    assert tools == "Tools:"
    assert json.loads(one) == WEATHER
    assert json.loads(other)["name"] == "time"
    assert answer(tools_column="t").functions == ()


def test_rows_that_call_nothing_are_counted() -> None:
    (note,) = answer().notes(["[]", TARGET, "[]", TARGET])
    assert note.startswith("no tool is to be called in 2 of 4 rows")
    assert list(answer().notes([TARGET])) == []


def test_calls_are_never_chosen_and_constrained_by_the_schemas() -> None:
    assert "of which there is no end" in answer().why_not_chosen()
    assert answer().why_not_constrained() == ""
    assert "differ by row" in answer(tools_column="t").why_not_constrained()
    unlistable = {"name": "f", "parameters": {"properties": {"a": {"not": {"type": "null"}}}}}
    assert "cannot keep to the schemas" in answer(tools=[unlistable]).why_not_constrained()


def test_schemas_that_refer_to_their_own_parts_hold_within_a_list_of_tools() -> None:
    """Where two tools each have a part of the same name, as programs write schemas."""
    place = {"type": "object", "properties": {"unit": {"$ref": "#/$defs/Unit"}, "city": {}}}
    tools = [
        {
            "name": name,
            "parameters": {
                "properties": {"at": {"$ref": "#/$defs/Place"}},
                "required": ["at"],
                "additionalProperties": False,
                "$defs": {"Place": place, "Unit": {"enum": [unit, "K"]}},
            },
        }
        for name, unit in (("look", "C"), ("a/b~c", "F"))
    ]
    answer = CallsAnswer.model_validate({"kind": "calls", "column": "c", "tools": tools})
    assert answer.why_not_constrained() == ""
    validator = schema_validator(answer.reply_schema() or {})
    for name, unit in (("look", "C"), ("a/b~c", "F")):
        call: dict[str, Any] = {"name": name, "arguments": {"at": {"unit": unit}}}
        assert validator.is_valid([call])
        assert not validator.is_valid([{**call, "arguments": {"at": {"unit": "CF"}}}])
        # Texts that a schema lists are read as labels there, too, not as free text.
        read = answer.reader()
        target = answer.row_reader().read({"c": [call]})
        other = json.dumps([{**call, "arguments": {"at": {"unit": f"{unit}."}}}])
        assert read(target, other).metrics["exact_match"] == 1
    # Keys are learnt in the order in which a constrained reply writes them.
    call = {"name": "look", "arguments": {"at": {"city": "Rome", "unit": "K"}}}
    written = answer.row_reader().read({"c": [call]})
    assert written.index("unit") < written.index("city")


def test_each_row_may_have_its_own_tools(tmp_path: Path) -> None:
    rows = [
        {"text": words(n, 8), "tools": [TIME, WEATHER] if n % 2 else json.dumps([TIME]),
         "label": [call("time")]}
        for n in range(30)
    ] + [{"text": words(50, 8), "tools": [TIME], "label": [call(city="Paris")]},
         {"text": words(51, 8), "tools": None, "label": []},
         {"text": words(52, 8), "tools": "weather", "label": []}]  # fmt: skip
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    spec = {"kind": "calls", "column": "label", "tools_column": "tools"}
    read = experiment(path, answer=spec, template="{tools}\n{text}", bad_rows="drop")
    prepared = prepare(read)
    by_line = {problem.where.rpartition(":")[2]: problem.what for problem in prepared.dropped}
    assert set(by_line) == {"31", "32", "33"}
    assert "calls 'weather', which is none of the tools (time)" in by_line["31"]
    example = prepared.splits.train[0]
    assert json.loads(example.inputs["tools"])[0]["name"] == "time"
    answered = read.task.answer
    # The template need not show them: a prompt says in another place what may be called.
    apart = prepare(experiment(path, answer=spec, bad_rows="drop")).splits.train
    assert [set(e.inputs) for e in apart] == [{"text"}] * len(apart)
    assert {len(json.loads(e.tools)) for e in apart} == {1, 2}

    def valid(tools: Any) -> float:
        item = Example("1", {"text": "t"}, TARGET, "1", tools=json.dumps(tools))
        return answered.reader()(answered.target_of(item), TARGET).metrics["valid"]

    assert (valid(TOOLS), valid([TIME])) == (1.0, 0.0)


def write_experiment(folder: Path, **fields: Any) -> Path:
    path = folder / "experiment.yaml"
    content = {
        "name": "n",
        "model": "m",
        "data": {"source": "rows.jsonl"},
        "task": {
            "instruction": "Call.",
            "answer": {"kind": "calls", "column": "y", "tools": "tools.json", **fields},
        },
        "arms": {"zero": {"kind": "prompt", "answering": "constrained"}},
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_tools_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "tools.json").write_text(json.dumps(TOOLS))
    loaded = load_experiment(write_experiment(tmp_path)).task.answer
    assert isinstance(loaded, CallsAnswer)
    assert loaded.row_reader().read({"y": TARGET}) == TARGET
    assert next(one["function"]["name"] for one in loaded.functions) == "weather"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "tools.json cannot be read as a list of tools"),
        ("[{", "cannot be read as a list of tools"),
        ('[{"parameters": {}}]', "tool 1 has no name"),
        ('[{"name": "f", "parameters": {"properties": {"a": {"not": {}}}}}]', "cannot keep to the"),
    ],
)
def test_a_file_of_tools_that_cannot_be_used_is_told(
    tmp_path: Path, content: str | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / "tools.json").write_text(content)
    with pytest.raises(SpecError, match=problem):
        load_experiment(write_experiment(tmp_path))


def test_a_file_of_tools_in_json_holds_any_character(tmp_path: Path) -> None:
    written = json.dumps([{"name": "send", "description": "a letter \U0001f4ee"}])
    assert "\\ud83d" in written
    (tmp_path / "tools.json").write_text(written)
    loaded = load_experiment(write_experiment(tmp_path)).task.answer
    assert loaded.functions[0]["function"]["description"] == "a letter \U0001f4ee"


def test_init_knows_columns_of_calls() -> None:
    calls = [[call(city=words(n, 1), days=n)] if n % 3 else [call("time")] for n in range(30)]
    for values in (calls, [json.dumps(one) for one in calls], [one[0] for one in calls]):
        form = recognise_answer([table({"y": value} for value in values)["y"]]).value
        assert isinstance(form, CallsAnswer)
        tools = {tool["name"]: tool["parameters"] for tool in form.drafted()["tools"]}
        assert set(tools) == {"time", "weather"}
        assert tools["weather"]["properties"]["days"]["type"] == "integer"
        rows = form.row_reader()
        assert all(rows.read({"y": value}) for value in values)
    people = [{"name": words(n, 1), "age": n} for n in range(20)]
    things = [{"name": words(n, 1), "type": "ab"[n % 2]} for n in range(20)]
    for values in (people, things, [json.dumps(one) for one in things]):
        assert recognise_answer([table({"y": one} for one in values)["y"]]).value.kind == "json"


@pytest.mark.parametrize(
    ("schema", "written", "value"),
    [
        ({"type": "string"}, "5", "5"),
        ({"type": ["string", "null"]}, "true", "true"),
        ({"enum": ["1", "2"]}, "1", "1"),
        ({"type": "integer"}, "5", 5),
        ({"type": "boolean"}, "True", True),
        ({"type": "array"}, "[1]", [1]),
        ({"type": ["integer", "null"]}, "null", None),
        ({"anyOf": [{"type": "integer"}]}, "5", 5),
        ({}, "a b", "a b"),
    ],
)
def test_an_argument_in_a_tag_has_its_schemas_type(schema: Any, written: str, value: Any) -> None:
    tools = read_tools([{"name": "f", "parameters": {"properties": {"t": schema}}}])
    reply = f"<function=f><parameter=t>{written}</parameter></function>"
    assert read_calls(reply, tools) == [Call("f", {"t": value})]


def test_a_bare_name_calls_a_known_tool_alone() -> None:
    read = answer().reader()
    thing = '{"name": "Aspirin", "type": "drug"}'
    assert set(read("[]", thing).metrics.values()) == {1.0}
    assert set(read("[]", f"[{thing}]").metrics.values()) == {0.0}
    assert set(
        read('[{"name": "time", "arguments": {}}]', '{"name": "time"}').metrics.values()
    ) == {1.0}


@pytest.mark.parametrize("bad", [[], [{"type": "web_search"}], "weather"], ids=str)
def test_a_later_row_whose_tools_cannot_be_read_stops_no_draft(bad: Any) -> None:
    """It is a bad row where rows are read; the column stays, as not all rows have the same."""
    cells: list[Any] = [[TIME, WEATHER]] * 30
    rows = table({"y": [call("time")], "tools": cell} for cell in [*cells, bad])
    form = recognise_answer([rows["y"]]).value.beside([rows["tools"]])
    assert form.drafted()["tools_column"] == "tools"
    assert "tools" not in form.drafted() or form.drafted()["tools"] is None
    same = table({"y": [call("time")], "tools": cell} for cell in cells)
    alike = recognise_answer([same["y"]]).value.beside([same["tools"]])
    assert [tool["name"] for tool in alike.drafted()["tools"]] == ["time", "weather"]
