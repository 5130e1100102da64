"""What harness check shows of conversations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from harness.cli import group
from harness.errors import SpecError
from tests.tiny_model import CHATML, write_model

# Earlier answers without what stands before the last one.
CUTTING = CHATML.replace(
    "{{ m['content'] }}",
    "{% if loop.last and m['role'] == 'assistant' %}[final] {% endif %}{{ m['content'] }}",
)


def check(folder: Path, template: str, **changes: Any) -> str:
    """What the command says of thirty conversations, one of which no answer can be made of."""
    write_model(folder / "model", template)
    rows = []
    for n in range(30):
        said = ((f"Knot {n}?", f"Knot [{n}]."), ("More?", f"No {n}."))
        talk = [
            {"role": role, "content": content}
            for pair in said
            for role, content in zip(("user", "assistant"), pair, strict=True)
        ]
        rows.append({"messages": [{"role": "system", "content": "Tie."}, *talk]})
    rows[7]["messages"] = rows[7]["messages"][:2]
    (folder / "talks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = {
        "name": "talks",
        "model": str(folder / "model"),
        "data": {
            "source": "talks.jsonl",
            "leaks": "report",
            "bad_rows": "drop",
            "conversations": {"column": "messages", "turns": "every"},
        },
        "task": {"instruction": "", "answer": {"kind": "text", "column": "messages_response"}},
        "arms": {"zero": {"kind": "prompt"}, "lora": {"kind": "lora"}},
        "general": None,
        **changes,
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    done = CliRunner().invoke(group, ["check", str(path)])
    assert done.exit_code == 0, done.output
    return done.output


def test_conversations_are_counted_and_one_is_shown_with_its_mask(tmp_path: Path) -> None:
    said = check(tmp_path, CHATML)
    rows = [line.split() for line in said.splitlines() if "│" in line]
    (train,) = [row for row in rows if row[1:2] == ["train"] and len(row) == 15]
    conversations, answers, messages, longest, system, tools = train[3::2]
    assert int(answers) == 2 * int(conversations)
    assert (int(messages), longest) == (5 * int(conversations), "5")
    assert (system, tools) == (conversations, "0")
    assert "talks.jsonl:8: messages: the conversation ends with a message of the user" in (
        " ".join(said.split())
    )
    assert " as lora trains on it" in said
    assert said.count("<|im_end|>⟧") == 2
    shown = said.partition("as lora trains on it")[2]
    assert "<|im_start|>system\nTie.<|im_end|>\n<|im_start|>user\nKnot " in shown
    assert "<|im_start|>assistant\n⟦Knot [" in shown
    assert "<|im_start|>assistant\n⟦No " in shown
    assert "sequences, since" not in said


def test_answers_that_need_sequences_of_their_own_are_shown_so(tmp_path: Path) -> None:
    said = " ".join(check(tmp_path, CUTTING).split())
    assert "its 2 answers take 2 sequences" in said
    assert said.count("<|im_start|>system Tie.<|im_end|>") == 2


def test_without_a_fine_tuned_arm_what_is_asked_is_shown(tmp_path: Path) -> None:
    said = check(tmp_path, CHATML, arms={"zero": {"kind": "prompt"}})
    assert " as zero is asked it" in said


@pytest.mark.parametrize("argument", ["mood", "messages"])
def test_arguments_that_the_template_does_not_read_stop_before_anything(
    tmp_path: Path, argument: str
) -> None:
    model = {"reference": str(tmp_path / "model"), "chat_template_args": {argument: "x"}}
    check(tmp_path, CHATML)
    path = tmp_path / "experiment.yaml"
    values = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**values, "model": model}))
    done = CliRunner().invoke(group, ["check", str(path)])
    assert isinstance(done.exception, SpecError)
    assert len(done.exception.problems) == 1
    assert argument in str(done.exception)
