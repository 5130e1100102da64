"""A saved prompt asks exactly as the study asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import group
from harness.data import read_examples_file
from harness.errors import InputError
from harness.export import export_prompt
from harness.export.asking import Asking
from harness.export.final_run import find_final_run
from harness.models.load import load_tokenizer
from harness.prompting import PromptRenderer, ShotSelector
from harness.prompting.servers_tokenizer import ServersTokenizer
from harness.records import Example, ResolvedModel, TrialSpec
from harness.review.studies import find_study
from harness.spec import TaskSpec
from harness.study.run import StudyRun
from harness.trial.candidate import make_renderer
from tests.fake_server import FakeServer, serving
from tests.prompting.test_call_notation import model
from tests.prompting.test_tools import renderer as renderer_of_tools
from tests.prompting.test_tools import task as task_of_tools

from .small_study import ARMS, SHOTS, experiment, run_small


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with serving() as state:
        yield state


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, server: FakeServer) -> StudyRun:
    folder = tmp_path_factory.mktemp("prompts")
    prompts = {name: arm for name, arm in ARMS.items() if arm["kind"] == "prompt"}
    served = {**SHOTS, "endpoint": {"url": server.url, "model": "big"}}
    reasoned = {"kind": "prompt", "reasoning": "brief"}
    arms = {**prompts, "served": served, "reasoned": reasoned}
    return run_small(experiment(folder, arms), folder, "served")


@pytest.fixture(scope="module", autouse=True)
def _a_study_is_analysed_once() -> Iterator[None]:
    """Each test takes one arm out of a study that is as it was."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.export.final_run.find_study", cache(find_study))
        yield


def saved(study: StudyRun, arm: str, path: Path) -> dict[str, Any]:
    export_prompt(study.store.parent, None, path, arm=arm)
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def trial_of(study: StudyRun, arm: str) -> tuple[TrialSpec, tuple[Example, ...]]:
    spec = find_final_run(study.store.parent, None, arm).spec
    (request,) = [one for one in spec.scores if (one.suite, one.split) == ("domain", "test")]
    return spec, read_examples_file(request.items_path)


def renderer_of(spec: TrialSpec) -> PromptRenderer:
    """What writes the prompts of the trial itself."""
    task = TaskSpec.model_validate(spec.task)
    pool = read_examples_file(spec.train_path)
    return make_renderer(spec, task, pool, load_tokenizer(spec.model))


def filled(content: dict[str, Any], item: Example) -> list[dict[str, str]]:
    *before, last = content["request"]["messages"]
    return [*before, {**last, "content": last["content"].format_map(item.inputs)}]


@pytest.mark.parametrize("arm", ["drawn", "kept"])
def test_filled_messages_are_those_of_the_study(study: StudyRun, tmp_path: Path, arm: str) -> None:
    content = saved(study, arm, tmp_path / "prompt.json")
    spec, items = trial_of(study, arm)
    renderer = renderer_of(spec)
    assert items
    for item in items:
        assert filled(content, item) == renderer.messages(item)
    assert len(content["request"]["messages"]) == (6 if arm == "drawn" else 2)
    assert content["fields"] == ["text"]
    assert content["send_to"] == "chat/completions"
    assert content["request"]["model"] == "model"
    assert content["request"]["max_tokens"] == 4
    assert content["request"]["temperature"] == 0
    assert content["request"]["stop"] == list(renderer.stops)


def test_a_prompt_in_plain_text_is_that_of_the_study(study: StudyRun, tmp_path: Path) -> None:
    content = saved(study, "plain", tmp_path / "prompt.json")
    spec, items = trial_of(study, "plain")
    renderer = renderer_of(spec)
    for item in items:
        assert content["request"]["prompt"].format_map(item.inputs) == renderer.prompt(item)
    assert content["send_to"] == "completions"
    assert content["request"]["stop"] == list(renderer.stops)
    assert content["answers"] == ["positive", "negative"]
    assert "log-likelihood" in " ".join(content["notes"])


def test_it_says_where_the_answer_stands_that_is_reasoned_about(
    study: StudyRun, tmp_path: Path
) -> None:
    content = saved(study, "reasoned", tmp_path / "prompt.json")
    assert content["extract"] == {"after": "Final answer:", "take": "last"}
    assert "what follows the last `Final answer:`" in " ".join(content["notes"])
    assert content["request"]["max_tokens"] == 4 + 256
    assert saved(study, "kept", tmp_path / "kept.json")["extract"] is None


def test_a_server_sees_the_request_that_it_saw_in_the_study(
    study: StudyRun, server: FakeServer, tmp_path: Path
) -> None:
    content = saved(study, "served", tmp_path / "prompt.json")
    _, items = trial_of(study, "served")
    asked = [seen.payload for seen in server.seen]
    for item in items:
        assert {**content["request"], "messages": filled(content, item)} in asked


def test_the_usage_example_runs(study: StudyRun, server: FakeServer, tmp_path: Path) -> None:
    content = saved(study, "served", tmp_path / "prompt.json")
    _, (item, *_) = trial_of(study, "served")
    program = "\n".join(content["usage"])
    assert "'...'" in program
    program = program.replace("'...'", repr(item.inputs["text"]))
    program = program.replace("open('prompt.json'", f"open({str(tmp_path / 'prompt.json')!r}")
    exec(program, {})  # noqa: S102 - the very lines that a reader is shown
    assert server.seen[-1].payload["messages"] == filled(content, item)


def test_what_the_server_refused_in_the_study_is_left_out(
    study: StudyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = find_final_run(study.store.parent, None, "served")
    run.environment["endpoint_conceded"] = "max_tokens, seed, system"
    monkeypatch.setattr("harness.export.prompt_file.find_final_run", lambda *_: run)
    content = saved(study, "served", tmp_path / "prompt.json")
    assert {"seed", "max_tokens"}.isdisjoint(content["request"])
    assert content["request"]["max_completion_tokens"] == 4
    assert {message["role"] for message in content["request"]["messages"]} == {"user", "assistant"}
    assert "no system message" in " ".join(content["notes"])


def test_shots_that_differ_by_item_are_told_in_parts(study: StudyRun, tmp_path: Path) -> None:
    content = saved(study, "nearest", tmp_path / "prompt.json")
    assert "messages" not in content["request"]
    assert "usage" not in content
    assert "differ by item" in " ".join(content["notes"])
    told = content["shots_by_item"]
    pool = read_examples_file(told["pool"])
    assert told["pool_examples"] == len(pool)
    spec, items = trial_of(study, "nearest")
    text = told["each_shot"][0]["content"]
    selector = ShotSelector(
        pool,
        told["shots"],
        told["selection"],
        lambda item: text.format_map(item.inputs),
        np.random.default_rng([told["seed"], 1]),
        told["order"],
    )
    renderer = renderer_of(spec)
    system, last = told["messages_without_shots"]
    different = set()
    for item in items:
        shots = selector.select(item)
        turns = [
            turn
            for shot in shots
            for turn in (
                {"role": "user", "content": text.format_map(shot.inputs)},
                {"role": "assistant", "content": shot.answer},
            )
        ]
        asked = {**last, "content": last["content"].format_map(item.inputs)}
        assert [system, *turns, asked] == renderer.messages(item)
        different.add(tuple(shot.id for shot in shots))
    assert len(different) > 1


def test_a_file_is_written_over_only_when_told(study: StudyRun, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "prompt.json"
    saved(study, "kept", path)
    with pytest.raises(InputError, match="--force writes over it"):
        saved(study, "kept", path)
    with pytest.raises(InputError, match="is a folder"):
        export_prompt(study.store.parent, None, tmp_path, arm="kept")
    export_prompt(study.store.parent, None, path, arm="drawn", force=True)
    assert json.loads(path.read_text())["arm"] == "drawn"
    assert [one.name for one in path.parent.iterdir()] == ["prompt.json"]


def test_the_command_prints_notes_and_usage(study: StudyRun, tmp_path: Path) -> None:
    called = ["export", "prompt", "--results", str(study.store.parent), "--arm", "drawn"]
    done = CliRunner().invoke(group, [*called, "--out", str(tmp_path / "p.json")])
    assert done.exit_code == 0, done.output
    assert "rows of the study's training data" in done.output
    assert "format_map(item)" in done.output


def test_without_a_winner_the_arm_must_be_named(server: FakeServer, tmp_path: Path) -> None:
    # One arm is really asked and one pretended: they share no item, so neither can win.
    served = {**SHOTS, "endpoint": {"url": server.url, "model": "big"}}
    spec = experiment(tmp_path, {"drawn": ARMS["drawn"], "served": served})
    results = run_small(spec, tmp_path, "served").store.parent
    with pytest.raises(InputError, match="names no winner: say with --arm") as told:
        export_prompt(results, None, tmp_path / "p.json")
    assert "drawn" in str(told.value)
    assert "The verdict: No decision is possible yet." in str(told.value)
    with pytest.raises(InputError, match="no final run of an arm called 'nobody'"):
        export_prompt(results, None, tmp_path / "p.json", arm="nobody")
    with pytest.raises(InputError, match="no complete final run of seed 9; it has 1"):
        export_prompt(results, None, tmp_path / "p.json", arm="drawn", seed=9)


def test_a_schema_that_replies_were_kept_to_goes_with_the_request(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
    task = {
        "instruction": "Say it.",
        "answer": {"kind": "json", "columns": {"label": "label"}, "schema": schema},
    }
    spec = experiment(tmp_path, {"kept": ARMS["kept"]}, task=task)
    study = run_small(spec, tmp_path)
    content = saved(study, "kept", tmp_path / "prompt.json")
    form = content["request"]["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"] == content["schema"] == schema
    assert content["answers"] is None


def test_before_a_conversation_no_system_message_stands_where_none_is_taken() -> None:
    renderer = SimpleNamespace(
        instruction="Be brief.",
        shots=lambda _: [SimpleNamespace(answer="Bye")],
        own_messages=lambda _: [{"role": "user", "content": "Hi"}],
        shot_text=lambda shot: shot.answer,
    )
    shown = {}
    for takes in (True, False):
        asking: Any = SimpleNamespace(takes_system=takes, marked=lambda: None)
        shown[takes] = Asking._before(asking, cast("Any", renderer))
    assert [message["role"] for message in shown[True]] == ["system", "user", "assistant"]
    assert [(m["role"], m["content"]) for m in shown[False]] == [
        ("user", "Be brief.\n\nHi"), ("assistant", "Bye"),
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["below", "none"])
def test_a_request_names_the_tools_where_the_chat_template_was_told_them(form: str) -> None:
    task = task_of_tools()
    renderer, tokenizer = renderer_of_tools(form, task)
    spec = SimpleNamespace(endpoint=None, model=ResolvedModel("m", "m", ""), template_args={})
    settings = SimpleNamespace(shots=0, selection="random", template=None, answering="generate")
    run: Any = SimpleNamespace(
        spec=spec,
        environment={},
        analysed=SimpleNamespace(
            experiment=SimpleNamespace(data=SimpleNamespace(conversations=None))
        ),
    )
    asking = Asking(
        run, cast("Any", settings), task, (Example("1", {"text": "x"}, "[]", "1"),), tokenizer,
        renderer, renderer,
    )  # fmt: skip
    settings.chat = True
    body = asking.request()
    told = [tool["function"]["name"] for tool in body.get("tools", ())]
    assert told == (["tide", "knot"] if form == "below" else [])
    # Named once: in the one place or in the other.
    assert ("Tools:" in body["messages"][0]["content"]) == (form == "none")


@pytest.mark.parametrize(
    ("tokenizer", "conceded", "told"),
    [
        (ServersTokenizer(), "", "as `tool_calls`"),
        (ServersTokenizer(), "tools", "the example's answer"),
        (model("hermes, qwen 2.5"), "", "as the chat template writes them"),
        (renderer_of_tools("none", task_of_tools())[1], "", "the example's answer"),
    ],
)
def test_it_says_how_calls_of_examples_are_shown(tokenizer: Any, conceded: str, told: str) -> None:
    asking: Any = SimpleNamespace(
        renderer=PromptRenderer(tokenizer, task_of_tools()),
        conceded={conceded},
        settings=SimpleNamespace(shows_reasoning=False),
    )
    assert told in Asking._shown_answer(asking)
