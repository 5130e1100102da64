"""Small studies of each kind of answer that is no label, with data of their own making.

``python -m lab.example_studies FOLDER`` writes them: word problems whose solutions end in a number,
talks of an order desk, requests to a device that call tools, and questions whose answers a model
judges. Each is a folder with data and experiments for the packaged model; they take minutes on two
CPU cores, and are large enough to show that everything is there, not to prove a difference.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import yaml

MODEL = "smollm2-135m-instruct"
ROWS = 240

_NAMES = ("Mia", "Omar", "Lena", "Tom", "Ada", "Jon", "Ines", "Paul", "Rosa", "Kim")
_THINGS = ("pencils", "apples", "stamps", "marbles", "cards", "shells", "beads", "coins")
_GOODS = ("garden hose", "desk lamp", "kettle", "rain coat", "tent", "radio", "clock", "blanket")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_CITIES = ("Paris", "Oslo", "Lima", "Cairo", "Delhi", "Quito", "Rome", "Perth", "Bonn", "Kyoto")
_SONGS = ("Blue Moon", "Yesterday", "Clocks", "Summertime", "Hallelujah", "Fast Car")

Row = dict[str, Any]


def problems(draw: Random) -> Iterator[Row]:
    """Word problems of two steps; a solution calculates, and ends in ``#### NUMBER``."""
    while True:
        name, thing = draw.choice(_NAMES), draw.choice(_THINGS)
        boxes, each = draw.randint(2, 9), draw.randint(2, 12)
        total = boxes * each
        change = draw.randint(1, total - 1)
        if draw.random() < 0.5:
            then, sign, rest = f"gives {change} away", "-", total - change
        else:
            then, sign, rest = f"finds {change} more", "+", total + change
        yield {
            "question": f"{name} has {boxes} boxes with {each} {thing} in each and {then}. "
            f"How many {thing} does {name} have now?",
            "solution": f"{boxes} * {each} = {total}. {total} {sign} {change} = {rest}. "
            f"#### {rest}",
        }


def talks(draw: Random) -> Iterator[Row]:
    """Talks of two or three questions with an order desk that answers in one manner."""
    while True:
        good, sent, due = draw.choice(_GOODS), *draw.sample(_DAYS, 2)
        number, price = draw.randint(1000, 9999), draw.randint(8, 90)
        asked = [
            (f"Hello, where is my {good}? The order is {number}.",
             f"Order {number}: your {good} left us on {sent}."),
            ("When will it be here?", f"Order {number}: it arrives on {due}."),
            ("And what did I pay?", f"Order {number}: you paid {price} euros."),
        ]  # fmt: skip
        facts = f"{number}: {good}, sent {sent}, due {due}, paid {price} euros"
        messages = [{"role": "system", "content": f"You are the order desk. Order {facts}."}]
        for question, answer in asked[: draw.choice((2, 3))]:
            messages.append({"role": "user", "content": question})
            messages.append({"role": "assistant", "content": answer})
        yield {"messages": messages}


def _tool(name: str, description: str, required: tuple[str, ...], **properties: Any) -> Row:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"name": name, "description": description, "parameters": schema}


TOOLS = (
    _tool("get_weather", "Tells the weather of a city.", ("city",),
          city={"type": "string"}, days={"type": "integer"}),
    _tool("set_timer", "Rings after some minutes.", ("minutes",), minutes={"type": "integer"}),
    _tool("play_song", "Plays a song.", ("title",), title={"type": "string"}),
)  # fmt: skip


def requests(draw: Random) -> Iterator[Row]:
    """Requests that call a tool, two, or none."""
    while True:
        city, days = draw.choice(_CITIES), draw.randint(2, 7)
        minutes, song = draw.randint(2, 55), draw.choice(_SONGS)
        wants = [
            (f"what is the weather in {city} for the next {days} days",
             {"name": "get_weather", "arguments": {"city": city, "days": days}}),
            (f"wake me in {minutes} minutes",
             {"name": "set_timer", "arguments": {"minutes": minutes}}),
            (f"put on {song}", {"name": "play_song", "arguments": {"title": song}}),
        ]  # fmt: skip
        count = draw.choice((0, 1, 1, 1, 2, 2))
        chosen = draw.sample(wants, count)
        text = " and ".join(said for said, _ in chosen) or f"tell me something about {city}, {days}"
        tools = draw.sample(TOOLS, len(TOOLS))
        yield {
            "request": f"Please {text}.",
            "calls": [call for _, call in chosen],
            "tools": [{"type": "function", "function": tool} for tool in tools],
        }


def questions(draw: Random) -> Iterator[Row]:
    """Questions about an order, with what is known of it, and a good answer."""
    while True:
        good, sent, due = draw.choice(_GOODS), *draw.sample(_DAYS, 2)
        price = draw.randint(8, 90)
        question, answer = draw.choice(
            (
                ("When does it arrive?", f"Your {good} arrives on {due}."),
                ("When did you send it?", f"We sent your {good} on {sent}."),
                ("How much was it?", f"Your {good} cost {price} euros."),
            )
        )
        facts = f"{good}, sent on {sent}, arrives on {due}, {price} euros"
        yield {"facts": facts, "question": question, "answer": answer}


ARMS: dict[str, Any] = {
    "few-shot": {"kind": "prompt", "shots": 4},
    "lora": {"kind": "lora", "epochs": 1, "batch_size": 4, "learning_rate": 2e-3},
}


def _experiment(name: str, data: Row, task: Row, **more: Any) -> Row:
    return {
        "name": name,
        "model": MODEL,
        "data": {
            **data,
            "splits": {"train": 0.5, "validation": 0.15, "test": 0.35},
            "limits": {"train": 48, "validation": 12, "test": 32},
        },
        "task": task,
        "arms": ARMS,
        "budget": {"trials": 1, "test_default": False},
        "seeds": [1],
        "general": None,
        "train_gap_items": 8,
        "memorisation_items": 8,
        **more,
    }


def _reasoning() -> dict[str, Row]:
    task = {
        "instruction": "Solve the problem step by step. End with #### and the number alone.",
        "template": "{question}",
        "answer": {"kind": "number", "column": "solution", "extract": {"after": "####"}},
    }
    return {"reasoning": _experiment("reasoning", {"source": "problems.jsonl"}, task)}


def _conversations() -> dict[str, Row]:
    # Worked examples would stand under another talk's facts.
    arms = {"zero-shot": {"kind": "prompt"}, "lora": ARMS["lora"]}
    written = {}
    for scored in ("every", "last"):
        asked = {"column": "messages", "turns": "every", "scored": scored}
        data = {"source": "talks.jsonl", "conversations": asked}
        task = {
            "instruction": "Answer the customer.",
            "answer": {"kind": "text", "column": "messages_response"},
        }
        name = f"conversations-{scored}"
        written[name] = _experiment(name, data, task, arms=arms, contrast={"margin": 0.05})
    return written


def _calls() -> dict[str, Row]:
    task: Row = {
        "instruction": "Call the tools that the user asks for and say nothing else.",
        "template": "{request}",
        "answer": {"kind": "calls", "column": "calls", "tools": list(TOOLS)},
    }
    by_row = {
        **task,
        "template": "Tools: {tools}\n\n{request}",
        "answer": {"kind": "calls", "column": "calls", "tools_column": "tools"},
    }
    data = {"source": "requests.jsonl"}
    return {
        "calls": _experiment("calls", data, task),
        "calls-by-row": _experiment("calls-by-row", data, by_row),
    }


def _judged() -> dict[str, Row]:
    task = {
        "instruction": "Answer the customer's question in one sentence.",
        "template": "Order: {facts}\n\n{question}",
        "answer": {"kind": "text", "column": "answer"},
        "metrics": ["judge:quality", "chrf", "exact_match"],
    }
    judge = {
        "model": MODEL,
        "rubric": "Does the reply answer the customer's question with the right fact of the order, "
        "in one sentence?",
    }
    data = {"source": "questions.jsonl"}
    return {
        "judged": _experiment(
            "judged", data, task, judges={"quality": judge}, contrast={"margin": 0.2}
        )
    }


STUDIES: dict[str, tuple[Callable[[Random], Iterator[Row]], Callable[[], dict[str, Row]]]] = {
    "problems": (problems, _reasoning),
    "talks": (talks, _conversations),
    "requests": (requests, _calls),
    "questions": (questions, _judged),
}
"""Name of a file of data -> what draws its rows, and the experiments on it."""


def distinct(rows: Iterator[Row], number: int) -> list[Row]:
    """The first rows of which no two are the same."""
    kept: dict[str, Row] = {}
    while len(kept) < number:
        row = next(rows)
        kept.setdefault(json.dumps(row, sort_keys=True), row)
    return list(kept.values())


def write_studies(folder: Path, rows: int = ROWS) -> list[Path]:
    """Write data and experiments; the same at every call.

    Returns:
        The experiment files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (drawn, experiments) in STUDIES.items():
        lines = (json.dumps(row) + "\n" for row in distinct(drawn(Random(name)), rows))
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        for title, experiment in experiments().items():
            path = folder / f"{title}.yaml"
            path.write_text(yaml.safe_dump(experiment, sort_keys=False), encoding="utf-8")
            written.append(path)
    return written


def main() -> None:
    """Write the studies into a folder, and say how to run them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    for path in write_studies(parser.parse_args().folder):
        print(f"harness run {path}")


if __name__ == "__main__":
    main()
