"""Tools at the terminal: where prompts tell of them, and what stops before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import fake_trial
from tests.command_line import Done, harness

TOOL = {"name": "ring", "description": "Rings.",
        "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}}  # fmt: skip
CHATML = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<|end|>\n{% endfor %}"
OWN = "{% if tools %}Tools: {{ tools | tojson }}\n{% endif %}" + CHATML


def checked(folder: Path, chat_template: str | None, **task: Any) -> Done:
    rows = [
        {
            "text": f"Ring {n} times, {word}.",
            "calls": [{"name": "ring", "arguments": {"n": n}}],
            "tools": [TOOL, {"name": f"other{n % 2}"}],
        }
        for n, word in enumerate(("please now friend today " * 20).split())
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    shots = task.pop("shots", 0)
    values = fake_trial.experiment_values(
        folder,
        data={"source": "rows.jsonl", "leaks": "report"},
        task={"instruction": "Call.", "answer": {"kind": "calls", "column": "calls"}, **task},
        arms={"few": {"kind": "prompt", "shots": shots}},
    )
    if chat_template is not None:
        file = Path(values["model"]) / "tokenizer_config.json"
        told = json.loads(file.read_text()) | {"chat_template": chat_template}
        file.write_text(json.dumps(told), encoding="utf-8")
    path = folder / "e.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return harness("check", path.name, cwd=folder)


def of_all(**more: Any) -> dict[str, Any]:
    return {"answer": {"kind": "calls", "column": "calls", "tools": [TOOL]}, **more}


BY_ROW = {"answer": {"kind": "calls", "column": "calls", "tools_column": "tools"}}


@pytest.mark.parametrize(
    ("chat_template", "told"),
    [
        (OWN, "the chat template writes which tools there are, in its own form"),
        (CHATML, "which tools there are stands after the instruction, a line of JSON each"),
        (None, "which tools there are stands after the instruction, a line of JSON each"),
    ],
)
@pytest.mark.parametrize("task", [of_all(), BY_ROW], ids=["of all", "by row"])
def test_check_says_where_the_tools_stand(
    tmp_path: Path, chat_template: str | None, told: str, task: dict[str, Any]
) -> None:
    done = checked(tmp_path, chat_template, **task)
    assert done.returncode == 0, done.stderr
    assert told in " ".join(done.stdout.split())


CALLS = (
    "{% if tools %}Tools: {{ tools | tojson }}\n{% endif %}{% for m in messages %}<|im_start|>"
    "{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls or [] %}{% if not loop.first %}"
    "{{ raise_exception('one at a time') }}{% endif %}<call>{{ c.function.name }}|"
    "{{ c.function.arguments | tojson }}</call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def test_check_says_how_calls_are_written(tmp_path: Path) -> None:
    done = checked(tmp_path, CALLS, **of_all(instruction="Reply in JSON."))
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert """own notation, '<call>NAME|{"ARGUMENT": "VALUE"}</call>'; a JSON list""" in said
    assert "the instruction speaks of JSON, where the chat template has a notation of calls" in said


def test_nothing_is_said_where_the_template_of_the_task_shows_them(tmp_path: Path) -> None:
    done = checked(tmp_path, OWN, template="{tools} {text}", **BY_ROW, shots=1)
    assert done.returncode == 0, done.stderr
    assert "which tools there are" not in done.stdout


def test_worked_examples_under_the_tools_of_another_row_are_refused(tmp_path: Path) -> None:
    done = checked(tmp_path, OWN, **BY_ROW, shots=1)
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert "arms.few.shots: the rows have 2 different lists of tools" in said
    assert "write {tools} into the template, where each shows its own, or set shots: 0" in said
