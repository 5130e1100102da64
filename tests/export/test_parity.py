"""What rounding decides passes the check of an export and is told; other weights do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from harness.cli import group
from harness.errors import ParityError
from harness.export import export_model, model_folder
from harness.export.parity import Parity
from harness.models.load import LoadedModel
from harness.store import StoreReader
from harness.study.run import StudyRun

from .small_study import ADAPTER, ARMS, experiment, run_small

pytestmark = pytest.mark.weights

# Tokens that no marks are made of.
FIRST_WORD = 4


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyRun:
    """Every second token is the twin of the one before, which nothing but rounding tells apart."""
    folder = tmp_path_factory.mktemp("ties")
    arms = {
        "written": {"kind": "lora", **ADAPTER, "answering": "generate"},
        "chosen": {"kind": "lora", **ADAPTER},
        "drawn": ARMS["drawn"],
    }
    spec = experiment(folder, arms, seeds=[1, 2])
    weights = folder / "model" / "model.safetensors"
    tensors = load_file(weights)
    table = tensors["model.embed_tokens.weight"]
    table[FIRST_WORD + 1 :: 2] = table[FIRST_WORD:-1:2]
    save_file(tensors, weights, {"format": "pt"})
    return run_small(spec, folder, "written", "chosen")


@pytest.fixture
def disturbed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], Any]], None]:
    """Let what is exported compute other logits."""

    def disturb(change: Callable[[Any], Any]) -> None:
        opened = model_folder._opened

        @contextmanager
        def other(*args: Any) -> Iterator[LoadedModel]:
            with opened(*args) as loaded:
                head = loaded.model.get_output_embeddings()
                head.register_forward_hook(lambda module, inputs, logits: change(logits))
                yield loaded

        monkeypatch.setattr(model_folder, "_opened", other)

    return disturb


def check(study: StudyRun, folder: Path, arm: str) -> tuple[Parity, ParityError | None]:
    seen: list[Parity] = []
    try:
        export_model(study.store.parent, None, folder, arm=arm, seed=1, on_parity=seen.append)
    except ParityError as error:
        return seen[0], error
    return seen[0], None


def twins_first(by: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Every second token a little likelier than its twin."""

    def change(logits: torch.Tensor) -> torch.Tensor:
        moved = logits.clone()
        moved[..., FIRST_WORD + 1 :: 2] += by
        return moved

    return change


def test_near_ties_pass_and_are_told(
    study: StudyRun, tmp_path: Path, disturbed: Callable[[Any], None]
) -> None:
    disturbed(twins_first(1e-5))
    called = ["export", "model", "--results", str(study.store.parent), "--arm", "written"]
    done = CliRunner().invoke(group, [*called, "--seed", "1", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "each a near tie that rounding decides" in done.output
    assert "have another reply, each a near tie" in " ".join(
        (tmp_path / "out" / "README.md").read_text().split()
    )
    parity, error = check(study, tmp_path / "again", "written")
    assert error is None
    assert parity.different == parity.near_ties > 0
    gaps = [difference.likelihood_gap for difference in parity.differences]
    assert all(gap is not None and 0 < gap < 1e-4 for gap in gaps)
    assert parity.tolerance is not None
    assert 1e-3 <= parity.tolerance < 0.01
    # The test items were read twice more, and the arm was looked at once.
    rows = StoreReader(study.store).query(
        "SELECT detail ->> '$.purpose', detail ->> '$.arm' FROM event "
        "WHERE kind = 'test_access' AND detail ->> '$.phase' = 'export'"
    )
    assert rows.rows[:2] == (("check of the exported model", "written"),) * 2


def test_what_no_rounding_does_is_refused(
    study: StudyRun, tmp_path: Path, disturbed: Callable[[Any], None]
) -> None:
    disturbed(twins_first(0.1))
    parity, error = check(study, tmp_path / "out", "written")
    assert parity.different > parity.near_ties == 0
    assert "and not by rounding: it finds one reply up to 0.1 nats likelier" in str(error)
    assert list(tmp_path.iterdir()) == []


def test_the_adapter_of_another_run_is_refused(
    study: StudyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = study.store.parent / "trials"
    copied = model_folder._copy_trained
    elsewhere = sorted(trials.glob("*/artifact"))

    def swapped(trained: Path, base: Any, folder: Path) -> None:
        (other,) = (path for path in elsewhere if path != trained and same_arm(path, trained))
        copied(other, base, folder)

    def same_arm(one: Path, other: Path) -> bool:
        arms = dict(study_rows(study, "SELECT trial_id, arm FROM trials WHERE phase = 'finalist'"))
        return bool(arms[one.parent.name] == arms[other.parent.name])

    monkeypatch.setattr(model_folder, "_copy_trained", swapped)
    parity, error = check(study, tmp_path / "out", "written")
    assert error is not None
    assert parity.different > parity.near_ties
    largest = max(one.likelihood_gap or 0.0 for one in parity.differences)
    assert largest > 10 * (parity.tolerance or 1.0)


def study_rows(study: StudyRun, sql: str) -> list[tuple[Any, ...]]:
    from harness.store import StoreReader

    return list(StoreReader(study.store).query(sql).rows)


def test_equal_answers_that_are_as_sure_as_never_before_are_refused(
    study: StudyRun, tmp_path: Path, disturbed: Callable[[Any], None]
) -> None:
    parity, error = check(study, tmp_path / "right", "chosen")
    assert (error, parity.confidence_shift) == (None, 0.0)
    disturbed(lambda logits: logits * 1.5)
    parity, error = check(study, tmp_path / "wrong", "chosen")
    assert parity.confidence_shift is not None
    assert parity.confidence_shift > 0.7
    assert error is not None


def test_another_batch_and_plain_weights_are_told(
    study: StudyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import harness.export.parity as parity_module

    read = parity_module._test_request
    monkeypatch.setattr(
        parity_module,
        "_test_request",
        lambda run: run.environment.update({"packed_layers": "7"}) or read(run),
    )
    parity, error = check(study, tmp_path / "out", "written")
    assert error is None
    assert any("packed copies of 7 layers, the check by those of 0" in one
               for one in parity.circumstances)  # fmt: skip
    from harness.trial.candidate import candidate_of as original

    monkeypatch.setattr(
        parity_module,
        "candidate_of",
        lambda spec, loaded: original(
            replace(spec, runtime=replace(spec.runtime, score_batch_size=1)), loaded
        ),
    )
    parity, error = check(study, tmp_path / "other", "written")
    assert (error, parity.different) == (None, parity.near_ties)
