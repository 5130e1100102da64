"""A whole study whose instruction is written, against a server that knows one better wording."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import harness.evaluation.endpoint.chat_client as client_module
from harness.forecast.upcoming import Upcoming, upcoming_trials
from harness.records import WRITING_JOURNAL, Study, TrialSummary, Writing
from harness.review.studies import load_study, write_reports
from harness.spec import Experiment
from harness.store import StoreReader
from harness.study.rehearsal import rehearse
from harness.study.run import StudyRun, plan_study, run_study
from harness.trial.writing_journal import Journal
from tests.fake_server import Answer, FakeServer, serving
from tests.tiny_model import CHATML, messages, write_model
from tests.untimed import untimed_module

__all__ = ["untimed_module"]
pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("untimed_module")]

OWN = "Good or bad?"
BETTER = "Say positive where something is great, and negative elsewhere."
PROPOSAL = f"Here it is:\n```\n{BETTER}\n```"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """Right about everything under one instruction, which it proposes when it is asked to write."""
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.005)
    with serving() as state:
        state.chat = writing(lambda number: PROPOSAL)
        yield state


def writing(write: Callable[[int], str]) -> Callable[[dict[str, Any]], tuple[str, str, int]]:
    """What the server does: number of a proposal, from 0 -> the writer's reply."""
    asked = iter(range(10_000))

    def told(payload: dict[str, Any]) -> tuple[str, str, int]:
        chat = payload["messages"]
        if payload["model"] == "writer":
            return write(next(asked)), "stop", 400
        system, item = str(chat[0]["content"]), str(chat[-1]["content"])
        right = "positive" if "great" in item else "negative"
        # Half right where it is told to answer in the form that is asked for.
        half = "exactly in the form" in system and int(item.split()[3]) % 2
        return (right if BETTER in system or half else "neither"), "stop", 20

    return told


def experiment(folder: Path, url: str, **optimise: Any) -> Experiment:
    """An arm whose instruction is written, and one that has the task's."""
    model, data = folder / "model", folder / "data.jsonl"
    if not model.exists():
        write_model(model, CHATML)
        rows = [{"text": e.inputs["text"], "label": e.answer} for e in messages(120)]
        data.write_text("\n".join(map(json.dumps, rows)))
    server = {"url": url, "retries": 1, "timeout_seconds": 0.6}
    return Experiment.model_validate(
        {
            "name": "written",
            "model": {"reference": str(model), "device": "cpu", "dtype": "float32"},
            "data": {"source": str(data), "splits": {"train": 0.5, "validation": 0.2, "test": 0.3}},
            "task": {
                "instruction": OWN,
                "template": "Message: {text}",
                "answer": {"kind": "label", "column": "label", "labels": ["positive", "negative"]},
                "max_new_tokens": 4,
            },
            "arms": {
                "written": {
                    "kind": "prompt",
                    "endpoint": {**server, "model": "big"},
                    "instruction": {
                        "optimise": {
                            "by": "gepa",
                            "reflection": {"endpoint": {**server, "model": "writer"}},
                            **optimise,
                        }
                    },
                },
            },
            "budget": {"trials": 24},
            "seeds": [1, 2],
            "general": None,
        }
    )


def run(spec: Experiment, folder: Path) -> tuple[StudyRun, Study]:
    done = run_study(spec, folder / "results", engine="in-process")
    return done, StoreReader(folder / "results" / "harness.duckdb").study(done.experiment_id)


def of_phase(study: Study, phase: str) -> list[TrialSummary]:
    return [trial for trial in study.trials if trial.phase == phase]


def written(study: Study) -> Writing:
    """What the one writing of the study came to."""
    (trial,) = of_phase(study, "writing")
    assert trial.writing is not None, trial.failure_message
    return trial.writing


def instructions(study: Study, phase: str) -> set[Any]:
    return {trial.params["instruction"] for trial in of_phase(study, phase)}


def requests(server: FakeServer, model: str) -> list[str]:
    """Texts of the chats that a model was sent."""
    sent = (seen.payload for seen in server.seen if seen.payload["model"] == model)
    return ["\n".join(str(turn["content"]) for turn in one["messages"]) for one in sent]


@dataclass(frozen=True, slots=True)
class Finished:
    """A study that ran to its end, which several tests look at and none changes."""

    folder: Path
    """Where its results lie."""
    done: StudyRun
    """What its run gave back."""
    study: Study
    """What the store then has."""
    server: FakeServer
    """What it asked; no longer there."""


def finished(folder: Path, chat: Callable[[dict[str, Any]], tuple[str, str, int]], **optimise: Any
) -> Finished:  # fmt: skip
    with serving() as state:
        state.chat = chat
        done, study = run(experiment(folder, state.url, **optimise), folder)
    return Finished(folder, done, study, state)


@pytest.fixture(scope="module")
def better(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished(tmp_path_factory.mktemp("better"), writing(lambda number: PROPOSAL))


@pytest.fixture(scope="module")
def useless(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two fifths of its budget are for wordings of which none helps."""
    chat = writing(lambda number: f"```\nWording {number} that helps nobody.\n```")
    return finished(tmp_path_factory.mktemp("useless"), chat, share=0.4)


def test_the_better_instruction_is_found_kept_and_tested_beside_the_users_own(
    better: Finished, tmp_path: Path
) -> None:
    study, results = better.study, better.folder / "results"
    found = written(study)
    assert found.headroom.moves
    assert (found.text, found.score, found.own_score) == (BETTER, 1.0, 0.0)
    assert found.proposals[0].status == "taken up"
    assert found.proposals[0].parent == 0
    assert "It is no valid answer" in found.proposals[0].feedback
    assert found.quoted == ()
    assert instructions(study, "search") == {None, BETTER}
    assert instructions(study, "finalist") == {BETTER}
    assert instructions(study, "default") == {None}

    loaded = load_study(results, better.done.experiment_id)
    files = write_reports(loaded, tmp_path / "report")
    page = files["md"].read_text("utf-8")
    assert f"| {OWN} | {BETTER} |" in page
    assert "what was written is kept: 100.0 %" in page
    reader = StoreReader(results / "harness.duckdb")
    rows = reader.query("SELECT number, status, text FROM proposals").rows
    assert rows[0] == (1, "taken up", BETTER)


def test_every_token_counts_against_the_budget(better: Finished) -> None:
    study = better.study
    found = written(study)
    # 20 tokens of a prompt and one of a reply; 400 and one of the writer's.
    assert found.answering_tokens == 21 * found.rows_answered
    assert found.writing_tokens == 401 * len(requests(better.server, "writer"))
    assert found.tokens_a_row == 21
    assert found.trials(24) == -(-found.tokens // (24 * 21))
    (ended,) = [event.detail for event in study.events if event.kind == "search_ended"]
    assert ended["written"] == found.trials(24) > 0
    # A search of two trials on 24 rows, and the writing.
    assert ended["tokens"] == 2 * 24 * 21 + found.tokens


def test_its_share_is_never_passed_by_more_than_a_step(useless: Finished) -> None:
    found = written(useless.study)
    rows = found.rows_answered + found.writing_tokens / found.tokens_a_row
    most = int(0.4 * 24 * 24)
    assert most <= rows <= most + 24 + 2 * 4 + 401 / 21
    assert found.ended == "its share of the budget is spent"
    assert all(one.status == "rejected" for one in found.proposals[1:])


def test_the_writer_sees_training_rows_alone(useless: Finished) -> None:
    rows = StoreReader(useless.folder / "results" / "harness.duckdb").query(
        "SELECT DISTINCT s.split, o.text FROM item_output o JOIN asked_score s USING (score_key)"
    )
    told = "\n".join(requests(useless.server, "writer"))
    held_out = [text for split, text in rows.rows if split in ("validation", "test")]
    assert len(held_out) == 60
    assert not [text for text in held_out if f"{text}\n" in told]
    assert "Message: The parcel" in told


def test_where_no_wording_matters_nothing_more_is_spent(server: FakeServer, tmp_path: Path) -> None:
    server.chat = lambda payload: (
        "```\nTry it.\n```" if payload["model"] == "writer" else "neither",
        "stop",
        20,
    )
    done, study = run(experiment(tmp_path, server.url), tmp_path)
    found = written(study)
    assert not found.headroom.moves
    assert found.headroom.p_value == 1.0
    assert found.text is None
    assert len(requests(server, "writer")) == 1
    assert instructions(study, "search") == {None}
    files = write_reports(load_study(tmp_path / "results", done.experiment_id), tmp_path / "report")
    assert "no wording moved the score by more than chance" in files["md"].read_text("utf-8")


def test_what_validation_does_not_confirm_is_not_kept(server: FakeServer, tmp_path: Path) -> None:
    seen: set[str] = set()
    plain = server.chat
    assert plain is not None

    def by_heart(payload: dict[str, Any]) -> tuple[str, str, int]:
        """Right under the written instruction on rows of the writing, and on no other."""
        system, item = (str(payload["messages"][place]["content"]) for place in (0, -1))
        if payload["model"] == "big":
            if system == OWN and len(requests(server, "writer")) == 0:
                seen.add(item)
            if system == OWN and item not in seen:
                return ("positive" if "great" in item else "negative"), "stop", 20
            if BETTER in system and item not in seen:
                return "neither", "stop", 20
        return plain(payload)

    server.chat = by_heart
    _, study = run(experiment(tmp_path, server.url), tmp_path)
    assert written(study).text == BETTER
    assert instructions(study, "search") == {None, BETTER}
    assert instructions(study, "finalist") == {None}


class Failing:
    """Answers the first requests to the writer with a fault, each as often as it is sent again."""

    def __init__(self, server: FakeServer, answer: Answer, times: int) -> None:
        self._take, self._answer, self._left = type(server).take, answer, times

    @property
    def take(self) -> Callable[[FakeServer, Any], Answer]:
        def take(server: FakeServer, seen: Any) -> Answer:
            given = self._take(server, seen)
            if seen.payload["model"] == "writer" and self._left:
                self._left -= 1
                return self._answer
            return given

        return take


def test_a_writer_that_never_answers_ends_the_writing_and_not_the_study(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Failing(server, Answer(status=429), times=10_000)
    monkeypatch.setattr(type(server), "take", failing.take)
    _, study = run(experiment(tmp_path, server.url), tmp_path)
    found = written(study)
    assert {one.status for one in found.proposals} == {"unusable"}
    assert len(found.proposals) == 5
    assert "5 proposals in a row could not be used" in found.ended
    # What it could try without a writer is tried all the same.
    assert found.text is not None
    assert {trial.status for trial in of_phase(study, "finalist")} == {"complete"}


def test_a_cap_that_is_met_ends_the_writing_and_not_the_study(
    server: FakeServer, tmp_path: Path
) -> None:
    writer = {
        "url": server.url, "model": "writer", "prompt_price": 1000.0, "completion_price": 1000.0,
        "spending_cap": 0.01,
    }  # fmt: skip
    _, study = run(experiment(tmp_path, server.url, reflection={"endpoint": writer}), tmp_path)
    found = written(study)
    assert requests(server, "writer") == []
    assert [one.status for one in found.proposals] == ["unusable"]
    assert "spending_cap" in found.ended or "cap" in found.ended
    assert of_phase(study, "finalist")


def test_a_writing_that_failed_is_foreseen_as_a_run_takes_it(
    server: FakeServer, tmp_path: Path
) -> None:
    def foreseen(spec: Experiment, name: str) -> list[Upcoming]:
        apart = tmp_path / name
        apart.mkdir()
        plan = plan_study(spec, tmp_path / "elsewhere")
        known = rehearse(plan, tmp_path / "results", apart)
        return upcoming_trials(known.plan, known.ended, known.reader.known_scores)

    server.script = [Answer(404, body='{"error": {"message": "no such model"}}')]
    spec = experiment(tmp_path, server.url)
    _, study = run(spec, tmp_path)
    (failed,) = of_phase(study, "writing")
    assert failed.status == "failed"
    assert foreseen(spec, "same") == []
    seen = len(server.seen)
    again, _ = run(spec, tmp_path)
    assert (again.trials_run, len(server.seen)) == (0, seen)
    # What would be asked for otherwise is asked for.
    other = experiment(tmp_path, server.url, share=0.4)
    assert "writing" in {one.phase for one in foreseen(other, "other")}
    _, study = run(other, tmp_path)
    assert [trial.status for trial in of_phase(study, "writing")] == ["complete"]


def test_an_instruction_that_quotes_training_rows_is_flagged(
    server: FakeServer, tmp_path: Path
) -> None:
    plain = server.chat or writing(lambda number: "")

    def quoting(payload: dict[str, Any]) -> tuple[str, str, int]:
        if payload["model"] == "writer":
            told = str(payload["messages"][-1]["content"])
            row = told.split("Message: ")[1].split("\n", maxsplit=1)[0]
            return f"```\n{BETTER} As in: {row} and all the rest of it here\n```", "stop", 400
        return plain(payload)

    server.chat = quoting
    spec = experiment(tmp_path, server.url)
    data = tmp_path / "data.jsonl"
    longer = [json.loads(line) for line in data.read_text().splitlines()]
    for row in longer:
        row["text"] += " and all the rest of it here"
    data.write_text("\n".join(map(json.dumps, longer)))
    done, study = run(spec, tmp_path)
    found = written(study)
    assert found.quoted
    assert all(len(run.split()) >= 8 for run in found.quoted)
    files = write_reports(load_study(tmp_path / "results", done.experiment_id), tmp_path / "report")
    assert "quotes training rows" in files["md"].read_text("utf-8")


def test_who_is_to_reason_is_written_for_as_it_will_be_asked(
    server: FakeServer, tmp_path: Path
) -> None:
    plain = server.chat
    assert plain is not None

    def reasoning(payload: dict[str, Any]) -> tuple[str, str, int]:
        reply, finish, tokens = plain(payload)
        thinks = payload["model"] == "big" and "Final answer:" in payload["messages"][0]["content"]
        return (f"I see. Final answer: {reply}" if thinks else reply), finish, tokens

    server.chat = reasoning
    spec = experiment(tmp_path, server.url)
    arm = {**spec.plain()["arms"]["written"], "reasoning": "brief"}
    _, study = run(Experiment.model_validate({**spec.plain(), "arms": {"written": arm}}), tmp_path)
    found = written(study)
    assert (found.text, found.score) == (BETTER, 1.0)
    asked = [text for text in requests(server, "big") if BETTER in text]
    assert asked
    assert all("Before you answer, think" in text for text in asked)


@pytest.mark.parametrize("tokens", [600, 4000])
def test_whatever_writing_took_of_the_tokens_there_is_something_to_test(
    server: FakeServer, tmp_path: Path, tokens: int
) -> None:
    plain = experiment(tmp_path, server.url).plain()
    budget = {**plain["budget"], "tokens": tokens}
    _, study = run(Experiment.model_validate({**plain, "budget": budget}), tmp_path)
    found = written(study)
    assert {trial.status for trial in of_phase(study, "finalist")} == {"complete"}
    tried = {None} if found.text is None else {None, found.text}
    assert instructions(study, "search") == tried
    # It stops at a step after its share is spent, not after all wordings.
    assert found.answering_tokens <= tokens / 2 + 21 * 24 * 2
    assert found.ended == "its share of the budget's tokens is spent"


def test_a_writing_that_is_killed_goes_on_and_asks_nothing_twice(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, left = Journal.keep, iter(range(6))

    def keep(journal: Journal) -> None:
        kept(journal)
        if next(left, None) is None:
            raise KeyboardInterrupt

    spec = experiment(tmp_path, server.url)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Journal, "keep", keep)
        run(spec, tmp_path)
    (journal,) = (tmp_path / "results").rglob(WRITING_JOURNAL)
    # As a kill leaves it, within the last character.
    journal.write_bytes(journal.read_bytes() + '\n{"asked": "ü'.encode()[:-1])
    before = len(server.seen)
    assert len(requests(server, "writer")) == 1
    _, study = run(spec, tmp_path)
    assert written(study).text == BETTER
    sent = [json.dumps(seen.payload, sort_keys=True) for seen in server.seen]
    assert not set(sent[:before]) & set(sent[before:])
    assert sent[before:]
    assert not journal.exists()
