"""Which study a name means, `harness status` and `harness rm`, as a user meets them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from filelock import FileLock

import harness
from harness.cli import status
from harness.findings import OUTCOME_LABELS
from harness.records import TrialSpec
from harness.review import overview
from harness.store import StoreReader
from harness.study import run as pipeline
from tests import fake_trial
from tests.cli.in_process import call, good
from tests.store.example_records import experiment, trial

ARMS = {"zero-shot": {"kind": "prompt"}, "lora": {"kind": "lora"}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with a finished study `travel`, and a newer one that was stopped after its base."""
    folder = tmp_path_factory.mktemp("made")

    def run(**changes: object) -> Result:
        values = fake_trial.experiment_values(folder, name="travel", arms=ARMS, **changes)
        (folder / "e.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        place = ("--results", folder / "results", "--engine", "in-process", "--quiet")
        return call("run", folder / "e.yaml", *place)

    def stopping(spec: TrialSpec, *rest: object) -> None:
        if spec.phase != "baseline":
            raise KeyboardInterrupt
        fake_trial.execute(spec, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pipeline, "executing", lambda: fake_trial.execute)
        assert run(budget={"trials": 1}).exit_code == 0
        patched.setattr(pipeline, "executing", lambda: stopping)
        assert run(score_batch_size=8).exit_code == 1
    return folder / "results"


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """A copy of these results, which a test may change."""
    return Path(shutil.copytree(made, tmp_path / "results"))


def ids(results: Path) -> list[str]:
    reader = StoreReader(results / "harness.duckdb")
    return [record.experiment_id[:8] for record in reader.experiments()]


# --------------------------------------------------------------------------- names


def test_a_name_means_its_finished_study_and_the_newer_one_is_told(made: Path) -> None:
    finished, stopped = ids(made)
    done = call("report", "travel", "--results", made)
    assert finished in done.stdout
    assert done.stderr.startswith(f"note: taken is travel ({finished})")
    assert f"give {stopped} to mean that one" in done.stderr
    for name in (finished, stopped):
        done = call("report", name, "--results", made)
        assert (done.stderr, done.exit_code) == ("", 0)
        assert name in done.stdout


def test_exports_and_comparisons_take_the_same_study(made: Path, tmp_path: Path) -> None:
    finished, stopped = ids(made)
    place = ("--results", made, "--out")
    for command in (("optuna", "travel"), ("prompt", "travel", "--arm", "zero-shot")):
        done = call("export", *command, *place, tmp_path / command[0])
        assert done.exit_code == 0, done.exception
        assert stopped in done.stderr
    done = call("compare", "travel", stopped, "--results", made, "--output", tmp_path / "both")
    assert done.exit_code == 0, done.exception
    assert finished in (tmp_path / "both.md").read_text("utf-8")
    assert f"taken is travel ({finished})" in done.stderr


def test_the_same_from_python(made: Path) -> None:
    finished, stopped = ids(made)
    found = harness.open_result("travel", results=made)
    assert found.study.experiment.experiment_id.startswith(finished)
    assert f"give {stopped} to mean that one" in found.notice
    assert harness.open_result(results=made).notice == found.notice
    assert harness.open_result(finished, results=made).notice == ""
    assert harness.open_result(stopped, results=made).study.trials[0].arm == "base"


def test_a_run_from_python_notes_its_verdict_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "executing", lambda: fake_trial.execute)
    spec = fake_trial.experiment(tmp_path, arms={"zero-shot": {"kind": "prompt"}})
    result = harness.run(spec, results=tmp_path / "results", engine="in-process")
    (row,) = overview.overview(tmp_path / "results", "2026-01-01T00:00:00+00:00")
    assert row.verdict.startswith(OUTCOME_LABELS[result.verdict.outcome])


# --------------------------------------------------------------------------- status


def test_a_row_a_study_with_what_tells_namesakes_apart(made: Path) -> None:
    finished, stopped = ids(made)
    heading, first, unlike, second = good("status", "--results", made).splitlines()
    assert heading.split() == ["study", "id", "state", "trials", "when", "verdict"]
    verdict = harness.open_result(finished, results=made).verdict
    label = OUTCOME_LABELS[verdict.outcome] + (verdict.winner and f": {verdict.winner}")
    assert first.startswith(f"travel  {finished}  finished  9 of 9   ")
    assert first.endswith(label)
    assert unlike.strip() == (
        f"unlike {stopped}: budget.trials 1, there 2; score_batch_size 32, there 8"
    )
    assert second.startswith(f"travel  {stopped}  stopped   1 of 10  ")


def test_one_study_by_arm(made: Path) -> None:
    finished, stopped = ids(made)
    text = good("status", finished, "--results", made)
    assert stopped not in text.splitlines()[1]
    assert "    lora           finalist  1 complete" in text.splitlines()
    assert "base           baseline  1 complete" in good("status", stopped, "--results", made)


def test_a_store_without_studies_says_so(tmp_path: Path) -> None:
    harness.store.StoreWriter(tmp_path / "harness.duckdb")
    assert good("status", "--results", tmp_path).startswith(f"no study in {tmp_path} yet")


@pytest.mark.parametrize("width", [50, 60, 100, 200])
def test_lines_fit_a_terminal_and_lose_no_word(made: Path, width: int) -> None:
    rows = overview.overview(made, "2026-01-01T00:00:00+00:00")
    shown = list(status.lines(rows, [[], []], width))
    assert max(map(len, shown)) <= width
    words = " ".join(shown).split()
    for row in rows:
        for text in (row.verdict, row.unlike, row.trials):
            assert set(text.split()) <= set(words)
    # A heading, two rows, and what one is unlike; where there is room the verdict is in its row.
    assert (len(shown) == 4) == (width >= 100)


def test_a_name_as_long_as_the_terminal_stands_alone(made: Path) -> None:
    name = "support-tickets-of-the-second-quarter"
    rows = [
        replace(row, study=replace(row.study, experiment=replace(row.study.experiment, name=name)))
        for row in overview.overview(made, "2026-01-01T00:00:00+00:00")
    ]
    shown = list(status.lines(rows, [[], []], 60))
    assert max(map(len, shown)) <= 60
    assert shown[0] == name
    assert shown[1].startswith(f"    {rows[0].study.short_id}, finished, 9 of 9, ")


# --------------------------------------------------------------------------- rm


def test_without_a_terminal_nothing_goes_unless_yes(results: Path) -> None:
    finished, stopped = ids(results)
    done = call("rm", stopped, "--results", results)
    assert isinstance(done.exception, harness.errors.InputError)
    assert "say so with --yes" in str(done.exception)
    assert f"travel ({stopped}): 1 trial, " in done.stdout
    assert ids(results) == [finished, stopped]
    assert f"Removed travel ({stopped})." in good("rm", stopped, "--yes", "--results", results)
    assert ids(results) == [finished]
    assert not list(results.glob(f"*{stopped}*"))


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_at_a_terminal_it_asks_once_for_all(
    results: Path, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    monkeypatch.setattr("harness.cli.rm.asked_at_a_terminal", lambda: True)
    done = call("rm", *ids(results), "--results", results, answer=answer)
    assert done.exit_code == 0, done.exception
    assert done.stdout.count("Remove these 2 studies for good?") == 1
    assert len(ids(results)) == left


def test_a_study_named_twice_goes_once(results: Path) -> None:
    finished, stopped = ids(results)
    text = good("rm", stopped, stopped[:5], "--yes", "--results", results)
    assert text.count("Removed travel") == 1
    assert ids(results) == [finished]


def test_an_unknown_study_keeps_the_others(results: Path) -> None:
    done = call("rm", ids(results)[0], "nothing", "--yes", "--results", results)
    assert "no experiment is called 'nothing'" in str(done.exception)
    assert len(ids(results)) == 2


# --------------------------------------------------------------------------- gc


def test_checkpoints_go_whose_trial_no_study_names(tmp_path: Path) -> None:
    writer = harness.store.StoreWriter(tmp_path / "harness.duckdb")
    writer.declare(experiment())
    named, busy, freed = (tmp_path / "trials" / each / "checkpoint" for each in "abc")
    for folder in (named, busy, freed):
        folder.mkdir(parents=True)
        (folder / "optimizer.pt").write_bytes(bytes(1500))
    writer.name_trial(trial("a").spec, {})
    with FileLock(tmp_path / "trials" / "b.lock"):
        text = good("gc", "--yes", "--results", tmp_path)
    assert "Removed 1 half-trained model, " in text
    assert (named.exists(), busy.exists(), freed.exists()) == (True, True, False)
    assert "Removed 1 half-trained" in good("gc", "--yes", "--results", tmp_path)
    assert "Nothing to free" in good("gc", "--yes", "--results", tmp_path)
    assert named.exists()
