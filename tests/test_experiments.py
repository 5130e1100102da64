"""Every experiment that ships: valid, and with a header that says what it asks and costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.evaluation.suites.find import load_suite
from harness.spec import load_experiment

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.yaml"))


def test_there_are_experiments() -> None:
    assert "quickstart.yaml" in [path.name for path in EXPERIMENTS]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_is_valid(path: Path) -> None:
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    assert experiment.question
    if experiment.general is not None:
        load_suite(experiment.general.suite)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_the_header_says_question_command_and_cost(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[: next(n for n, line in enumerate(lines) if not line.startswith("#"))]
    for word in ("Question", "Command", "Cost"):
        said = [line for line in header if line.startswith(f"# {word}:")]
        assert len(said) == 1, f"{word} stands {len(said)} times in the header"
    command = next(line for line in header if line.startswith("# Command:"))
    assert command.split(":", 1)[1].strip() == f"harness run {path.relative_to(ROOT).as_posix()}"
