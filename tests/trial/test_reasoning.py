"""Arms that are asked to think before they answer: what is asked, read, cut and counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from harness.data.examples_file import read_examples_file, write_examples
from harness.spec.arms import Arm, PromptArm
from harness.trial import run_trial
from tests.fake_server import FakeServer
from tests.trial.test_served_trial import MakeSpec, done, make_spec, server

__all__ = ["make_spec", "server"]
ASKED = "Before you answer, think in one or two sentences. Then write `Final answer:`"


def thinking(message: str) -> str:
    """What a model replies that reasons, and now and then comes to no end."""
    word = "positive" if "great" in message else "negative"
    return f"It says so, {word} or not" if " 80 " in message else f"Hm.\n**Final answer:** {word}"


def test_a_server_is_asked_to_reason_and_its_answer_is_found(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    server.reply = thinking
    spec = make_spec(("test",), reasoning="brief", reasoning_tokens=70)
    record = done(run_trial(spec, tmp_path / "trial"))
    (score,) = record.scores
    # One of twelve came to no answer, which counts as wrong, and is told.
    assert score.aggregates["exact_match"] == pytest.approx(11 / 12)
    assert score.aggregates["valid"] == pytest.approx(11 / 12)
    note = record.environment["cut_thoughts_domain_test"]
    assert note.startswith("1 of 12 replies of asked to domain (test) reason without coming to")
    assert "raise arms.asked.reasoning_tokens" in note
    for seen in server.seen:
        assert ASKED in seen.payload["messages"][0]["content"]
    plain = make_spec(("test",))
    server.reply = lambda message: "positive"
    begun = len(server.seen)
    run_trial(plain, tmp_path / "plain")
    rooms = [server.seen[place].payload["max_tokens"] for place in (0, begun)]
    assert rooms[0] == rooms[1] + 70
    assert all(ASKED not in str(seen.payload) for seen in server.seen[begun:])


def test_a_task_that_says_where_answers_stand_is_read_there(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(("test",), reasoning="free")
    answer = {"kind": "number", "column": "label", "extract": {"after": "####"}}
    task = {**spec.task, "answer": answer, "metrics": ["exact_match"]}
    for name in ("train", "test"):
        path = tmp_path / f"{name}.parquet"
        items = read_examples_file(path)
        write_examples(path, [replace(one, answer="two and two #### 4") for one in items])
    server.reply = lambda message: "Final answer: 5, or rather #### 4"
    record = done(run_trial(replace(spec, task=task), tmp_path / "trial"))
    assert record.scores[0].aggregates["exact_match"] == 1.0
    told = server.seen[0].payload["messages"][0]["content"]
    assert told.endswith("think step by step. End with #### and the answer alone.")


@pytest.mark.parametrize(
    "answering", ["choice", "constrained", {"choices": ["generate", "choice"]}]
)
def test_reasoning_is_written_freely(answering: object) -> None:
    with pytest.raises(ValidationError, match="what is thought before an answer is written freely"):
        PromptArm.model_validate(
            {"kind": "prompt", "answering": answering, "reasoning": {"choices": ["none", "brief"]}}
        )
    with pytest.raises(ValidationError, match="reasoning"):
        TypeAdapter[Arm](Arm).validate_python({"kind": "lora", "reasoning": "brief"})
