"""Where the system refuses to write: one message that says where, why and what to do, and code 2.

A file stands in place of a folder, which refuses the superuser too.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.study.run import run_study
from harness.study.writable import require_writable
from tests.command_line import harness
from tests.fake_trial import Watching, experiment, experiment_values


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment, its results, and a file called ``taken``."""
    folder = tmp_path_factory.mktemp("refused")
    (folder / "e.yaml").write_text(yaml.safe_dump(experiment_values(folder)), encoding="utf-8")
    short = experiment(folder, arms={"zero-shot": {"kind": "prompt"}})
    run_study(short, folder / "results", open_with=Watching)
    (folder / "taken").write_text("a file")
    (folder / "rows.csv").write_text("text,label\n" + "a b c,x\nd e f,y\n" * 30)
    return folder


def refused(place: Path, *arguments: str, **environment: str) -> str:
    """The only line that the command says to standard error."""
    done = harness(*arguments, cwd=place, **environment)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line.removeprefix("error: ")


# No server of trials, which the process of the tests would keep.
RUN = ("run", "e.yaml", "--engine", "in-process")


@pytest.mark.parametrize(
    ("arguments", "where", "remedy"),
    [
        ((*RUN, "--results", "taken/r"), "taken/r", "another folder with --results"),
        (("plan", "e.yaml", "--results", "taken/r"), "taken/r", "another folder with --results"),
        (("report", "--output", "taken/r"), "taken/r", "another place with --output"),
        (("export", "optuna", "--out", "taken/o.db"), "taken/o.db", "with --out"),
    ],
)
def test_a_place_that_cannot_be_written(
    place: Path, arguments: tuple[str, ...], where: str, remedy: str
) -> None:
    said = refused(place, *arguments)
    assert said.startswith(f"{where} cannot be written (")
    assert "Not a directory" in said or "File exists" in said
    assert said.endswith(remedy)


@pytest.mark.parametrize("command", [RUN, ("plan", "e.yaml"), ("doctor", "--fetch")])
def test_a_cache_that_cannot_be_written(place: Path, command: tuple[str, ...]) -> None:
    said = refused(place, *command, HARNESS_CACHE=str(place / "taken" / "cache"))
    assert said.startswith("the cache taken/cache cannot be written (Not a directory at ")
    assert said.endswith("set HARNESS_CACHE to another folder")


def test_a_folder_for_an_experiment_that_is_a_file(place: Path) -> None:
    said = refused(place, "init", "rows.csv", "--yes", "--output", "taken/e.yaml")
    assert said.startswith("taken/e.yaml")


def test_looking_whether_a_place_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    require_writable(tmp_path / "new" / "results")
    assert list(tmp_path.iterdir()) == []
