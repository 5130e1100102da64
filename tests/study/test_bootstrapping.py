"""Worked examples whose reasoning the model wrote itself and got right, from training rows only."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.whole_study import analyse
from harness.data import prepare
from harness.errors import SpecError
from harness.forecast.upcoming import upcoming_trials
from harness.records import Study
from harness.review.studies import load_study, write_reports
from harness.spec import Experiment
from harness.spec.answering import check_bootstrapped
from harness.store import StoreReader
from harness.study.coming import coming_trials
from harness.study.observer import Observer
from harness.study.preflight import Preflight
from harness.study.rehearsal import rehearse
from harness.study.run import StudyRun, plan_study, run_study
from tests.fake_server import Answer, FakeServer, serving
from tests.tiny_model import CHATML, messages, write_model
from tests.untimed import untimed_module

__all__ = ["untimed_module"]
pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("untimed_module")]

ROWS = 16
SIZES = {"train": 40, "validation": 16, "test": 24}


@dataclass(frozen=True)
class Ran:
    """A study that was run to its end."""

    server: FakeServer
    spec: Experiment
    done: StudyRun
    study: Study
    folder: Path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Reasons about every message, and is wrong about some that are great."""
    folder = tmp_path_factory.mktemp("reasoned")
    with serving() as server:
        server.chat = reasoned
        spec = experiment(folder, server.url)
        yield Ran(server, spec, *run(spec, folder), folder)


def reasoned(payload: dict[str, Any]) -> tuple[str, str, int]:
    system, item = (str(payload["messages"][place]["content"]) for place in (0, -1))
    great = "great" in item
    right = "positive" if great else "negative"
    if "Final answer:" not in system:
        return right, "stop", 20
    if great and int(item.split()[3]) % 4 == 0:
        right = "negative"
    said = f"Somebody says of no. {item.split()[3]}: {'good' if great else 'bad'} news"
    return f"{said}.\n**Final answer:** {right}", "stop", 20


def experiment(folder: Path, url: str, **prompted: Any) -> Experiment:
    model, data = folder / "model", folder / "data.jsonl"
    if not model.exists():
        write_model(model, CHATML)
        rows = [{"text": e.inputs["text"], "label": e.answer} for e in messages(80)]
        data.write_text("\n".join(map(json.dumps, rows)))
    arm = {
        "kind": "prompt",
        "endpoint": {"url": url, "model": "big", "retries": 1, "timeout_seconds": 1.0},
        "shots": {"choices": [0, 2], "default": 2},
        "reasoning": {"choices": ["none", "brief"], "default": "brief"},
        "bootstrapped": ROWS,
        **prompted,
    }
    return Experiment.model_validate(
        {
            "name": "reasoned",
            "model": {"reference": str(model), "device": "cpu", "dtype": "float32"},
            "data": {"source": str(data), "splits": {"train": 0.5, "validation": 0.2, "test": 0.3}},
            "task": {
                "instruction": "Good or bad?",
                "template": "Message: {text}",
                "answer": {"kind": "label", "column": "label", "labels": ["positive", "negative"]},
                "max_new_tokens": 4,
            },
            "arms": {"thinks": arm},
            "budget": {"trials": 3, "test_default": False},
            "seeds": [1],
            "general": None,
        }
    )


class Listening(Observer):
    """Remembers what a user is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def run(spec: Experiment, folder: Path, **options: Any) -> tuple[StudyRun, Study]:
    done = run_study(spec, folder / "results", engine="in-process", **options)
    return done, StoreReader(folder / "results" / "harness.duckdb").study(done.experiment_id)


def shown(server: FakeServer) -> list[tuple[str, str]]:
    """Worked examples of all requests that were asked to reason: message and reply."""
    chats = [one.payload["messages"] for one in server.seen]
    asked = [chat for chat in chats if "Final answer:" in str(chat[0]["content"])]
    return [
        (str(chat[place]["content"]), str(chat[place + 1]["content"]))
        for chat in asked
        for place in range(1, len(chat) - 1, 2)
    ]


def test_what_the_model_got_right_is_shown_and_nothing_else(ran: Ran, tmp_path: Path) -> None:
    (asked,) = [trial for trial in ran.study.trials if trial.phase == "bootstrap"]
    (score,) = [a for a in asked.aggregates if a.metric == "exact_match"]
    assert (score.split, score.items) == ("train", ROWS)
    (event,) = [event.detail for event in ran.study.events if event.kind == "bootstrapped"]
    right = round(score.value * ROWS)
    assert 0 < right < ROWS
    assert event == {"arm": "thinks", "reasoning": "brief", "rows": ROWS, "right": right}
    examples = shown(ran.server)
    assert examples
    for message, reply in examples:
        number, great = message.split()[3], "great" in message
        assert not (great and int(number) % 4 == 0)
        said = f"Somebody says of no. {number}: {'good' if great else 'bad'} news."
        assert reply == f"{said} Final answer: {'positive' if great else 'negative'}"
    rows = StoreReader(ran.done.store).query(
        "SELECT o.text FROM item_output o JOIN asked_score s USING (score_key) "
        "WHERE s.split <> 'train'"
    )
    assert not {row[0] for row in rows.rows} & {message for message, _ in examples}
    loaded = load_study(ran.folder / "results", ran.done.experiment_id)
    page = write_reports(loaded, tmp_path, ("md",))["md"].read_text("utf-8")
    assert f"the model got {right} of {ROWS} training rows right" in page


def test_its_tokens_are_of_the_budget(ran: Ran) -> None:
    (ended,) = [event.detail for event in ran.study.events if event.kind == "search_ended"]
    # 16 rows of the 16 that a trial answers, of three trials.
    assert (ended["written"], ended["trials"]) == (1, 2)
    asked = sum(
        {(a.task, a.split): a.items * (a.prompt_tokens + a.completion_tokens)
         for a in trial.aggregates}[("domain", split)]
        for trial, split in (
            (trial, "train" if trial.phase == "bootstrap" else "validation")
            for trial in ran.study.trials if trial.phase in ("bootstrap", "search")
        )
    )  # fmt: skip
    assert ended["tokens"] == asked


def test_a_second_run_asks_nothing_and_what_is_shown_is_in_the_identity(ran: Ran) -> None:
    before = len(ran.server.seen)
    again, _ = run(ran.spec, ran.folder)
    assert again.trials_run == 0
    assert len(ran.server.seen) == before
    # Planned before anything was written, the trial has other worked examples.
    plan = plan_study(ran.spec, ran.folder / "results")
    plain = plan.search_trial("thinks", 0, plan.default_setting("thinks"))
    assert plain.trial_id not in {trial.trial_id for trial in ran.study.trials}
    coming = {(one.phase, one.number, one.items) for one in coming_trials(ran.spec, SIZES)}
    # Of three trials one is the reasoning.
    assert {("bootstrap", 1, ROWS), ("search", 2, 16)} <= coming


def test_where_nothing_was_right_answers_alone_are_shown(tmp_path: Path) -> None:
    with serving() as server:
        server.chat = lambda payload: ("Hm. Final answer: neither", "stop", 20)
        shots = {"low": 1, "high": 2, "default": 2}
        spec = experiment(tmp_path, server.url, reasoning="brief", shots=shots)
        heard = Listening()
        _, study = run(spec, tmp_path, observer=heard)
        assert any("got 0 right, reasoning brief: worked" in text for text in heard.warnings)
        (event,) = [event.detail for event in study.events if event.kind == "bootstrapped"]
        assert event["right"] == 0
        replies = {reply for _, reply in shown(server)}
        assert replies
        assert replies <= {"Final answer: positive", "Final answer: negative"}


def test_what_was_searched_without_reasoning_is_not_mixed_with_what_shows_some(
    tmp_path: Path,
) -> None:
    with serving() as server:
        server.chat = reasoned
        server.script = [Answer(404, body='{"error": {"message": "no such model"}}')]
        spec = experiment(tmp_path, server.url)
        spec = spec.model_copy(update={"budget": spec.budget.model_copy(update={"trials": 2})})
        _, study = run(spec, tmp_path)
        assert {t.status for t in study.trials if t.phase == "bootstrap"} == {"failed"}
        said = "No reasoning could be written for the worked examples of thinks"
        assert any(said in text for text in analyse(study, resamples=200).verdict.caveats)
        before, heard = len(server.seen), Listening()
        again, later = run(spec, tmp_path, observer=heard, retry_failed=True)
        assert (again.trials_run, len(server.seen)) == (0, before)
        assert [trial.trial_id for trial in later.trials] == [t.trial_id for t in study.trials]
        assert any("was searched with worked examples" in text for text in heard.warnings)


def test_a_plan_shows_the_worked_examples_that_are_known(ran: Ran, tmp_path: Path) -> None:
    plan = plan_study(ran.spec, tmp_path / "elsewhere")
    known = rehearse(plan, ran.folder / "results", tmp_path)
    ended = [trial for trial in known.ended if trial.phase in ("bootstrap", "search")]
    upcoming = upcoming_trials(known.plan, ended, known.reader.known_scores)
    shown = {
        bool(spec.params["shots"]) and spec.params["reasoning"] != "none": Path(spec.train_path)
        for one in upcoming
        for spec in one.options
        if one.phase == "finalist"
    }
    assert shown[True].name.startswith("train_worked")
    assert shown[False] == known.plan.sets["train"].path


def test_a_reply_is_right_by_a_metric_that_has_a_best_value(tmp_path: Path) -> None:
    spec = experiment(tmp_path, "http://127.0.0.1:9/v1")
    endless = replace(spec.task.primary, highest=math.inf)
    with pytest.raises(ValueError, match="it has no best value"):
        check_bootstrapped(endless, spec.arms)


@pytest.mark.parametrize("command", ["plan", "check"])
def test_rows_that_take_all_of_the_budget_are_refused(command: str, tmp_path: Path) -> None:
    # 40 training rows of 16 that a trial answers, of a budget of three.
    spec = experiment(tmp_path, "http://127.0.0.1:9/v1", bootstrapped=1000)
    with pytest.raises(SpecError, match="40 replies that reason stand for 3 trials of 16 rows"):
        if command == "plan":
            plan_study(spec, tmp_path / "results")
        else:
            prepare(spec, Preflight(spec, {}).unfit)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"reasoning": "none"}, "worked examples have a reasoning where prompts ask for one"),
        ({"shots": 0}, "the prompts show no worked examples"),
    ],
)
def test_it_is_refused_where_nothing_would_show_it(
    values: dict[str, Any], why: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=why):
        experiment(tmp_path, "http://127.0.0.1:9/v1", **values)
