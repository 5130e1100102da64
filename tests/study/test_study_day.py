"""A study that is gone on with on another day asks as it did on its first."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from harness.store import StoreReader
from harness.study.run import plan_study, run_study
from tests.fake_trial import Watching, experiment
from tests.untimed import untimed_module

__all__ = ["untimed_module"]
pytestmark = pytest.mark.usefixtures("untimed_module")

DATED = (
    "{% for m in messages %}[{{ m['role'] }} {{ strftime_now('%d %b %Y') }}] {{ m['content'] }}"
    "<|end|>{% endfor %}{% if add_generation_prompt %}[assistant {{ strftime_now('%d %b %Y') }}] "
    "{% endif %}"
)
UNDATED = DATED.replace(" {{ strftime_now('%d %b %Y') }}", "")


def on(patch: pytest.MonkeyPatch, day: str) -> None:
    """Let the program believe that it is that day."""
    patch.setattr("harness.study.run.utc_now", lambda: f"{day}T10:20:30+00:00")


def template(folder: Path, text: str) -> None:
    path = folder / "model" / "tokenizer_config.json"
    config = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**config, "chat_template": text}), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    experiment(tmp_path)
    template(tmp_path, DATED)
    return tmp_path


def test_on_another_day_nothing_is_repeated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = folder / "results"
    on(monkeypatch, "2026-03-01")
    first = Watching()
    spec = experiment(folder, budget={"trials": 1})
    template(folder, DATED)
    done = run_study(spec, results, open_with=lambda: first)
    assert {trial.date for trial in first.seen} == {"2026-03-01"}
    on(monkeypatch, "2026-03-02")
    second = Watching()
    again = run_study(spec, results, open_with=lambda: second)
    assert again.experiment_id == done.experiment_id
    assert (second.seen, again.trials_run, again.trials_failed) == ([], 0, 0)
    third = Watching()
    more = spec.model_copy(update={"seeds": (1, 2)})
    run_study(more, results, open_with=lambda: third)
    assert third.seen
    assert {trial.date for trial in third.seen} == {"2026-03-01"}
    (record,) = StoreReader(results / "harness.duckdb").experiments()
    assert record.data.date == "2026-03-01"


def test_a_store_that_a_full_disk_left_unfinished_is_begun_anew(folder: Path) -> None:
    results = folder / "results"
    results.mkdir()
    duckdb.connect(str(results / "harness.duckdb")).close()
    spec = experiment(folder, budget={"trials": 1})
    done = run_study(spec, results, open_with=Watching)
    assert (done.trials_failed, len(StoreReader(done.store).experiments())) == (0, 1)


@pytest.mark.parametrize(("text", "same"), [(DATED, False), (UNDATED, True)])
def test_another_study_of_another_day_shares_no_score_where_the_date_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, same: bool
) -> None:
    spec = experiment(folder)
    template(folder, text)
    keys = []
    for day in ("2026-03-01", "2026-03-02"):
        on(monkeypatch, day)
        plan = plan_study(spec, folder / day)
        trials = [plan.baseline(), plan.finalist("lora", 0, 1, plan.default_setting("lora"))]
        keys.append([(trial.trial_id, [one.key for one in trial.scores]) for trial in trials])
    base, lora = (first == second for first, second in zip(*keys, strict=True))
    assert (base, lora) == ((keys[0][0][1] == keys[1][0][1]), same)
    assert base is same
