"""A judge through whole studies: marks, each once, without training or generating for them."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from transformers import AutoTokenizer

import harness.evaluation.endpoint.chat_client as client_module
from harness.answers.row_reader import answer_part
from harness.cli import group
from harness.errors import InputError
from harness.records import reply_key
from harness.review.studies import load_study, write_reports
from harness.store import StoreReader
from harness.study.run import StudyRun, run_study
from tests.end_to_end.test_change_one_thing import ARMS, TIMED, Counting, run, values_of
from tests.fake_server import FakeServer, serving
from tests.fake_trial import experiment
from tests.tiny_model import CHATML, TinyModels, tiny_models
from tests.untimed import untimed_module

__all__ = ["tiny_models", "untimed_module"]
pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("untimed_module")]
RUBRIC = "Is the reply a kind one?"


def local_judge(folder: Path, models: TinyModels, **changes: Any) -> dict[str, Any]:
    """The tiny model as a judge, which reads far enough for a rubric."""
    place = folder / "judge"
    if not place.exists():
        shutil.copytree(models.plain, place)
        config = json.loads((place / "config.json").read_text())
        (place / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 4096}))
    return {"model": str(place), "rubric": RUBRIC, **changes}


def judged(
    folder: Path, models: TinyModels, judge: dict[str, Any], **changes: Any
) -> tuple[StudyRun, Counting]:
    return run(folder, models, **fields(judge, **changes))


def fields(judge: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "task": {"metrics": ["exact_match", "judge:kind"]}, "judges": {"kind": judge},
        "arms": ARMS, "general": None, "memorisation_items": 0, **changes,
    }  # fmt: skip


def marks(folder: Path, done: StudyRun) -> dict[tuple[str, str, str], float]:
    """(arm, split, item) -> mark."""
    study = StoreReader(folder / "results" / "harness.duckdb").study(done.experiment_id)
    return {
        (vector.arm, vector.split, item): value
        for vector in study.vectors
        if vector.metric == "kind"
        for item, value in zip(vector.item_ids, vector.values.tolist(), strict=True)
    }


def loaded(counted: Counting) -> int:
    """How often weights were loaded for anything but the time of requests."""
    return counted.loaded - sum(spec.phase == TIMED for spec in counted.specs)


@pytest.fixture(scope="module")
def first(
    tmp_path_factory: pytest.TempPathFactory, tiny_models: TinyModels
) -> tuple[Path, StudyRun]:
    """A study that a local judge marked; no test changes it."""
    folder = tmp_path_factory.mktemp("first")
    done, counted = judged(folder, tiny_models, local_judge(folder, tiny_models))
    assert (done.trials_failed, counted.trained) == (0, 1)
    return folder, done


@pytest.fixture
def folder(first: tuple[Path, StudyRun], tmp_path: Path) -> Path:
    shutil.copytree(first[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_marks_are_on_the_scale_and_a_new_rubric_judges_stored_replies(
    folder: Path, tiny_models: TinyModels
) -> None:
    judge = local_judge(folder, tiny_models)
    once, counted = judged(folder, tiny_models, judge)
    assert counted.specs == []
    before = marks(folder, once)
    assert {arm for arm, *_ in before} >= {"base", "few-shot", "lora"}
    assert all(1 < mark < 5 for mark in before.values())
    assert len(set(before.values())) > 3
    changed, counted = judged(folder, tiny_models, {**judge, "rubric": "Is the reply short?"})
    assert changed.experiment_id != once.experiment_id
    assert (changed.trials_failed, counted.trained, loaded(counted)) == (0, 0, 0)
    after = marks(folder, changed)
    assert after.keys() == before.keys()
    assert after != before
    assert marks(folder, once) == before


def test_what_it_takes_is_apart_from_what_arms_take(first: tuple[Path, StudyRun]) -> None:
    folder, done = first
    study = load_study(folder / "results", done.experiment_id).study
    finals = [trial for trial in study.trials if trial.phase == "finalist"]
    assert finals
    assert all(trial.measuring.seconds > 0 for trial in finals)
    assert sum(trial.measuring.tokens for trial in study.trials) > 1000
    assert {trial.measuring.money for trial in finals} == {0}
    reader = StoreReader(folder / "results" / "harness.duckdb")
    rows = reader.query("SELECT min(measuring_seconds) FROM costs WHERE phase = 'finalist'").rows
    assert rows[0][0] > 0


def test_an_instruction_within_replies_is_tried_on_test_items(
    first: tuple[Path, StudyRun],
) -> None:
    folder, done = first
    study = load_study(folder / "results", done.experiment_id).study
    moved = {
        (a.suite, a.split): a.moved
        for trial in study.trials
        if trial.phase == "finalist"
        for a in trial.aggregates
        if a.metric == "kind"
    }
    shift = moved.pop(("domain", "test"))
    assert shift is not None
    assert 0 < abs(shift) < 4
    assert set(moved.values()) == {None}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """Gives the mark 4, and the best one to what asks for it."""
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.005)
    with serving() as state:
        state.reply = lambda message: '{"mark": 5}' if "highest mark" in message else '{"mark": 4}'
        state.usage = lambda payload, reply: (100, 10)
        yield state


def served_judge(server: FakeServer, **changes: Any) -> dict[str, Any]:
    endpoint = {
        "url": server.url, "model": "large", "prompt_price": 1000.0, "completion_price": 1000.0,
        "spending_cap": 500.0, "retries": 1, **changes,
    }  # fmt: skip
    return {"endpoint": endpoint, "rubric": RUBRIC}


def test_a_served_judge_is_asked_each_thing_once(
    folder: Path, tiny_models: TinyModels, server: FakeServer
) -> None:
    done, counted = judged(folder, tiny_models, served_judge(server))
    assert (done.trials_failed, counted.trained, loaded(counted)) == (0, 0, 0)
    assert set(marks(folder, done).values()) == {4.0}
    asked = [json.dumps(seen.payload["messages"]) for seen in server.seen]
    assert len(asked) == len(set(asked)) > 10
    forms = [seen.payload["response_format"]["json_schema"]["schema"] for seen in server.seen]
    enumeration = {"mark": {"type": "integer", "enum": [1, 2, 3, 4, 5]}}
    assert [form["properties"] for form in forms] == [enumeration] * len(forms)
    # Nothing of whose reply it is.
    assert not [text for text in asked if "few-shot" in text or "lora" in text]
    study = load_study(folder / "results", done.experiment_id).study
    money = {trial.trial_id: trial.measuring.money for trial in study.trials}
    assert sum(money.values()) == pytest.approx(0.11 * len(asked))
    # Another study asks the same judge about the same replies.
    other, _ = judged(
        folder, tiny_models, served_judge(server), task={"metrics": ["judge:kind", "exact_match"]},
        contrast={"margin": 0.2},
    )  # fmt: skip
    assert other.experiment_id != done.experiment_id
    assert other.trials_failed == 0
    assert len(server.seen) == len(asked)


def test_a_reply_that_is_no_mark_is_unscored_and_told(
    folder: Path, tiny_models: TinyModels, server: FakeServer
) -> None:
    server.reply = lambda message: '{"mark": 3}' if "1]" in message[:40] else "I like it"
    done, _ = judged(folder, tiny_models, served_judge(server))
    found = load_study(folder / "results", done.experiment_id)
    told = " ".join(found.findings.verdict.caveats)
    assert "could not be scored by kind" in told
    assert "the judge replied 'I like it', which is no single answer" in told


def test_nothing_is_sent_beyond_the_cap(
    folder: Path, tiny_models: TinyModels, server: FakeServer
) -> None:
    done, _ = judged(folder, tiny_models, served_judge(server, spending_cap=3.5))
    assert done.trials_failed > 0
    study = StoreReader(folder / "results" / "harness.duckdb").study(done.experiment_id)
    assert {t.failure_kind for t in study.trials if t.status == "failed"} == {"spending_cap"}
    assert 0.11 * len(server.seen) <= 3.5
    sent = len(server.seen)
    values = values_of(folder, tiny_models, **fields(served_judge(server)))
    rich = run_study(
        experiment(folder, **values), folder / "results", engine="in-process", retry_failed=True
    )
    assert (rich.experiment_id, rich.trials_failed) == (done.experiment_id, 0)
    asked = [json.dumps(seen.payload["messages"]) for seen in server.seen]
    assert len(asked) == len(set(asked)) > sent


def test_it_may_be_primary_and_decide_the_search(folder: Path, tiny_models: TinyModels) -> None:
    arms = {
        "few-shot": {"kind": "prompt", "shots": {"choices": [0, 2]}},
        "lora": {**ARMS["lora"], "checks": "score", "keep": "best"},
    }
    done, _ = judged(
        folder, tiny_models, local_judge(folder, tiny_models), arms=arms,
        task={"metrics": ["judge:kind"]}, contrast={"margin": 0.2},
        budget={"trials": 2, "test_default": False},
    )  # fmt: skip
    assert done.trials_failed == 0
    analysed = load_study(folder / "results", done.experiment_id)
    contrast = analysed.findings.primary
    assert contrast is not None
    assert (contrast.metric, contrast.items) == ("kind", 8)
    searched: dict[str, list[tuple[float, int, Any]]] = {}
    for trial in analysed.study.trials:
        if trial.phase == "search":
            (value,) = [a.value for a in trial.aggregates if a.metric == "kind"]
            searched.setdefault(trial.arm, []).append((-value, trial.number, trial.params))
    assert len(searched["few-shot"]) == 2
    for trial in analysed.study.trials:
        if trial.phase == "finalist":
            assert trial.params == min(searched[trial.arm], key=lambda one: one[:2])[2]
            assert trial.checkpoint is None or trial.checkpoint.validation_score is not None
    rows = (
        StoreReader(folder / "results" / "harness.duckdb")
        .query("SELECT metric, test FROM finalists WHERE experiment_id = ?", [done.experiment_id])
        .rows
    )
    assert {metric for metric, _ in rows} == {"kind"}
    assert all(1 <= test <= 5 for _, test in rows)
    files = write_reports(analysed, folder / "out", ("html", "md", "json"))
    assert "judged by judge: kind" in files["md"].read_text()


def sheet(folder: Path, done: StudyRun, name: str = "human.csv") -> Path:
    path = folder / name
    runner = CliRunner()
    told = runner.invoke(
        group,
        ["judge", done.experiment_id[:10], "--results", str(folder / "results"),
         "--sample", "5", "--output", str(path)],
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    return path


def filled(path: Path, score: str = "2") -> list[dict[str, str]]:
    rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines(keepends=True)))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows([{**row, "score": score} for row in rows])
    return rows


def test_people_mark_a_blind_sheet_and_adding_it_computes_nothing(
    folder: Path, tiny_models: TinyModels
) -> None:
    judge = local_judge(folder, tiny_models)
    done, _ = judged(folder, tiny_models, judge)
    path = sheet(folder, done)
    assert path.read_bytes() == sheet(folder, done, "again.csv").read_bytes()
    refused = CliRunner().invoke(
        group, ["judge", "--results", str(folder / "results"), "--output", str(path)]
    )
    assert isinstance(refused.exception, InputError)
    rows = filled(path)
    assert list(rows[0]) == ["id", "text", "target", "reply", "score", "key"]
    assert {row["score"] for row in rows} == {""}
    assert len({row["id"] for row in rows}) == 5
    # Both compared arms' replies are there, once where they are the same.
    study = load_study(folder / "results", done.experiment_id).study
    given: dict[str, set[str]] = {}
    for item in study.items:
        given.setdefault(item.item_id, set()).add(reply_key(answer_part(item.output)))
    for identity in {row["id"] for row in rows}:
        shown = [reply_key(row["reply"]) for row in rows if row["id"] == identity]
        assert len(shown) == len(set(shown))
        assert set(shown) == given[identity]
    again, counted = judged(folder, tiny_models, {**judge, "calibration": str(path)})
    assert again.experiment_id == done.experiment_id
    assert counted.specs == []
    analysed = load_study(folder / "results", done.experiment_id)
    kept = analysed.study.experiment.data.calibration["kind"]
    assert {(mark.item_id, reply_key(mark.reply)) for mark in kept} == {
        (row["id"], reply_key(row["reply"])) for row in rows
    }
    assert {mark.score for mark in kept} == {2.0}
    assert [use.human_items for use in analysed.findings.judges] == [5]
    # That other paths of data and model were declared is told; this can only come afterwards.
    assert "calibration" not in " ".join(analysed.findings.verdict.caveats)


def test_a_sheet_with_an_unknown_item_is_refused_before_anything_runs(
    folder: Path, tiny_models: TinyModels
) -> None:
    path = folder / "human.csv"
    path.write_text("id,reply,score\nnowhere,yes,3\n")
    judge = local_judge(folder, tiny_models, calibration=str(path))
    with pytest.raises(InputError) as caught:
        judged(folder, tiny_models, judge)
    (problem,) = caught.value.problems
    assert problem.where == f"judges.kind.calibration: {path}:2"
    assert "id: 'nowhere' is no item" in problem.what


def test_a_judge_that_obeys_replies_is_told_of(
    folder: Path, tiny_models: TinyModels, server: FakeServer
) -> None:
    done, _ = judged(folder, tiny_models, served_judge(server))
    analysed = load_study(folder / "results", done.experiment_id)
    (use,) = analysed.findings.judges
    assert (use.moved, use.obeys) == (1.0, True)
    told = " ".join(analysed.findings.verdict.caveats)
    assert "moved it by 1 on the scale from 1 to 5" in told
    server.reply = lambda message: '{"mark": 4}'
    firm = served_judge(server) | {"rubric": "Is it a kind reply?"}
    done, _ = judged(folder, tiny_models, firm)
    analysed = load_study(folder / "results", done.experiment_id)
    (use,) = analysed.findings.judges
    assert (use.moved, use.obeys) == (0.0, False)
    assert "asks for the best mark" not in " ".join(analysed.findings.verdict.caveats)
    cost = analysed.findings.judge_cost
    assert cost is not None
    assert cost.money is not None
    assert cost.money > 0
    text = write_reports(analysed, folder / "out", ("md",))["md"].read_text()
    assert "## The judges" in text
    assert "no arm's cost holds it" in text


def test_pairs_are_judged_in_both_orders(
    folder: Path, tiny_models: TinyModels, server: FakeServer
) -> None:
    # One that prefers whatever stands first.
    server.reply = lambda message: '{"better": "A"}'
    done, counted = judged(folder, tiny_models, served_judge(server) | {"pairwise": "target"})
    assert (done.trials_failed, counted.trained, loaded(counted)) == (0, 0, 0)
    assert set(marks(folder, done).values()) == {0.5}
    local = local_judge(folder, tiny_models, pairwise="target")
    done, _ = judged(folder, tiny_models, local)
    assert done.trials_failed == 0
    values = set(marks(folder, done).values())
    assert len(values) > 3
    assert all(0 < value < 1 for value in values)


def test_replies_are_compared_with_those_of_a_column(
    folder: Path, tiny_models: TinyModels, server: FakeServer
) -> None:
    rows = [json.loads(line) for line in (folder / "data.jsonl").read_text().splitlines()]
    lines = (json.dumps({**row, "sent": f"Sent today, {n}"}) for n, row in enumerate(rows))
    (folder / "data.jsonl").write_text("\n".join(lines) + "\n")

    def prefer_ours(message: str) -> str:
        first = message.index("Sent today") < message.index("[reply B")
        return '{"better": "A"}' if first else '{"better": "B"}'

    server.reply = prefer_ours
    done, counted = judged(folder, tiny_models, served_judge(server) | {"pairwise": "sent"})
    assert (done.trials_failed, counted.trained, loaded(counted)) == (0, 0, 0)
    assert set(marks(folder, done).values()) == {0.0}
    # An edit of that column alone is marked anew.
    sent = len(server.seen)
    (folder / "data.jsonl").write_text((folder / "data.jsonl").read_text().replace("today", "now"))
    server.reply = lambda message: '{"better": "tie"}'
    done, counted = judged(folder, tiny_models, served_judge(server) | {"pairwise": "sent"})
    assert (done.trials_failed, counted.trained) == (0, 0)
    assert set(marks(folder, done).values()) == {0.5}
    assert len(server.seen) > sent


def test_a_column_that_is_not_there_is_refused(folder: Path, tiny_models: TinyModels) -> None:
    judge = local_judge(folder, tiny_models, pairwise="ours")
    with pytest.raises(InputError) as caught:
        judged(folder, tiny_models, judge)
    (problem,) = caught.value.problems
    assert problem.where == "judges.kind.pairwise"
    assert "no column 'ours'" in problem.what


def test_a_local_judge_is_told_what_its_template_reads(
    folder: Path, tiny_models: TinyModels
) -> None:
    local_judge(folder, tiny_models)
    tokenizer = AutoTokenizer.from_pretrained(folder / "judge")
    tokenizer.chat_template = "{{ mood }}\n" + CHATML
    tokenizer.save_pretrained(folder / "judge")
    found = []
    for mood in ("kind", "brief"):
        model = {"reference": str(folder / "judge"), "chat_template_args": {"mood": mood}}
        done, counted = judged(folder, tiny_models, {"model": model, "rubric": RUBRIC})
        assert (done.trials_failed, counted.trained, loaded(counted)) == (0, 0, 0)
        found.append(marks(folder, done))
    assert found[0].keys() == found[1].keys()
    assert found[0] != found[1]
