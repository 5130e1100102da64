"""What :class:`harness.engine.Engine` promises; the tests of each engine inherit these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.data import write_examples
from harness.engine import Engine, Outcome
from harness.records import (
    Example,
    Progress,
    ResolvedModel,
    Runtime,
    ScoreRequest,
    TrialSpec,
)
from harness.store import read_record
from tests.fake_trial import pretend


def trial(
    folder: Path, instruction: str | None = None, trial_id: str = "t1"
) -> tuple[TrialSpec, Path]:
    """A trial on two items, and the folder it is to be run in."""
    items = folder / "items.parquet"
    write_examples(items, [Example(str(n), {"text": str(n)}, "a", str(n)) for n in range(2)])
    spec = TrialSpec(
        trial_id=trial_id,
        experiment_id="e1",
        arm="zero-shot",
        kind="prompt",
        phase="search",
        number=0,
        seed=1,
        params={"instruction": instruction},
        model=ResolvedModel("fake", "/fake", "f" * 64),
        task={"metrics": ["exact_match"]},
        train_path=str(items),
        scores=(ScoreRequest(f"k-{trial_id}", "domain", "domain", "validation", str(items)),),
        runtime=Runtime("cpu", "float32", 4),
    )
    return spec, folder / "trials" / trial_id


def ignored(progress: Progress) -> None:
    """Progress that nobody watches."""


def run(
    engine: Engine, spec: TrialSpec, folder: Path, listener: Callable[[Progress], None] = ignored
) -> Outcome:
    """One trial from submission to end."""
    engine.submit(spec, folder)
    ended = engine.wait(listener)
    assert (ended.spec, ended.folder) == (spec, folder)
    return ended.outcome


class EngineContract:
    """Inherited by the tests of each engine, which provide it."""

    @pytest.fixture
    def engine(self) -> Engine:
        raise NotImplementedError

    def test_the_record_lies_in_the_folder(self, engine: Engine, tmp_path: Path) -> None:
        spec, folder = trial(tmp_path)
        assert run(engine, spec, folder) == Outcome(finished=True)
        assert read_record(folder) == pretend(spec)

    def test_progress_arrives_in_order(self, engine: Engine, tmp_path: Path) -> None:
        heard: list[Progress] = []
        run(engine, *trial(tmp_path), heard.append)
        assert [(one.stage, one.done) for one in heard] == [
            ("load", 1), ("score", 1), ("score", 2),
        ]  # fmt: skip
        assert {one.trial_id for one in heard} == {"t1"}

    def test_a_failed_trial_is_a_finished_one(self, engine: Engine, tmp_path: Path) -> None:
        spec, folder = trial(tmp_path, "[fail]")
        assert run(engine, spec, folder).finished
        record = read_record(folder)
        assert (record.status, record.failure_kind) == ("failed", "nan_loss")

    def test_trials_follow_one_another(self, engine: Engine, tmp_path: Path) -> None:
        for name in ("a", "b", "c"):
            assert run(engine, *trial(tmp_path, trial_id=name)).finished

    def test_every_trial_ends_once_however_many_are_submitted(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        submitted = [trial(tmp_path, trial_id=f"t{n}") for n in range(engine.slots + 3)]
        for spec, folder in submitted:
            engine.submit(spec, folder)
        ended = [engine.wait(ignored) for _ in submitted]
        assert sorted(one.spec.trial_id for one in ended) == [
            spec.trial_id for spec, _ in submitted
        ]
        for one in ended:
            assert one.outcome == Outcome(finished=True)
            assert read_record(one.folder).spec == one.spec
        with pytest.raises(ValueError, match="no trial was submitted"):
            engine.wait(ignored)

    def test_the_same_trial_may_be_submitted_again(self, engine: Engine, tmp_path: Path) -> None:
        spec, folder = trial(tmp_path)
        run(engine, spec, folder)
        other = replace(spec, seed=2)
        assert run(engine, other, folder).finished
        assert read_record(folder).spec == other

    def test_an_error_of_the_listener_is_raised_and_ends_every_trial(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        def listener(progress: Progress) -> None:
            raise KeyboardInterrupt

        submitted = [trial(tmp_path, "[sleep=0.5]", f"t{n}") for n in range(engine.slots + 1)]
        for spec, folder in submitted:
            engine.submit(spec, folder)
        with pytest.raises(KeyboardInterrupt):
            engine.wait(listener)
        engine.close()
        assert not any((folder / "record").exists() for _, folder in submitted)
        with pytest.raises(ValueError, match="no trial was submitted"):
            engine.wait(ignored)
        assert run(engine, *trial(tmp_path, trial_id="later")).finished

    def test_closing_twice_is_closing_once(self, engine: Engine, tmp_path: Path) -> None:
        engine.submit(*trial(tmp_path, "[sleep=0.5]"))
        engine.close()
        engine.close()
        assert not (tmp_path / "trials" / "t1" / "record").exists()
