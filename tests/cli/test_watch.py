"""Looking at a study while another process runs it: `watch`, and a report that stays open."""

from __future__ import annotations

import io
import re
import shutil
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import harness.cli.report as report_command
from harness.cli import Terminated, group
from harness.cli.terminal import Terminal
from harness.cli.watch import changes, drawn, look
from harness.engine import Ended
from harness.spec import Experiment
from harness.store.study_lock import working_on
from harness.study.run import run_study
from tests.fake_trial import Watching, experiment
from tests.untimed import untimed

__all__ = ["untimed"]

ARMS = {
    "zero-shot": {"kind": "prompt"},
    "failing": {"kind": "prompt", "instruction": "[fail]"},
    "lora": {"kind": "lora", "learning_rate": 1e-3},
}
REFRESH = re.compile(r'<meta http-equiv="refresh" content="(\d+)">')


class Stopping(Watching):
    """Is interrupted once some trials have ended."""

    after = 3

    def wait(self, on_progress: object) -> Ended:
        self.after -= 1
        if self.after < 0:
            raise KeyboardInterrupt
        return super().wait(on_progress)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Path]:
    """A study that was stopped after three trials, and its results."""
    folder = tmp_path_factory.mktemp("stopped")
    spec = experiment(folder, name="seen", arms=ARMS, budget={"trials": 1})
    with pytest.raises(KeyboardInterrupt):
        run_study(spec, folder / "results", open_with=Stopping)
    return spec, folder / "results"


@pytest.fixture
def half(stopped: tuple[Experiment, Path], tmp_path: Path) -> tuple[Experiment, Path, Path]:
    """The same with a copy of its results, which a test may change, and its folder there."""
    results = Path(shutil.copytree(stopped[1], tmp_path / "results"))
    (folder,) = results.glob("seen-*")
    return stopped[0], results, folder


def printed(width: int, *what: object) -> list[str]:
    out = io.StringIO()
    console = Terminal(file=out, width=width)
    for one in what:
        console.print(one)
    return out.getvalue().splitlines()


def test_a_study_that_was_stopped_is_said_to_be(half: tuple[Experiment, Path, Path]) -> None:
    _, results, _ = half
    seen = look(results, "seen")
    assert seen.ended
    assert seen.heading().endswith(": stopped, trials 3 of 13, 1 failed")
    assert list(changes(seen, lambda: seen, 0))[-1].startswith("stopped before its end: ")
    done = CliRunner().invoke(group, ["watch", "--results", str(results)])
    assert done.exit_code == 0
    assert done.output.count("zero-shot search 0 ended: exact_match validation ") == 1
    assert "failing search 0 failed: the loss is not a number at step 3 (nan_loss)" in done.output


def test_a_line_is_written_for_each_change(half: tuple[Experiment, Path, Path]) -> None:
    spec, results, folder = half
    with working_on(folder):
        first = look(results, "seen")
    assert not first.ended
    assert first.under_way == ("lora search 0",)
    assert "left" in first.heading()
    lines = changes(first, lambda: look(results, "seen"), 0)
    told = [next(lines) for _ in range(5)]
    assert told[0].startswith("seen (")
    assert told[-1].startswith("begun: lora search 0; ")
    run_study(spec, results, open_with=Watching)
    rest = list(lines)
    assert len([line for line in rest if " ended" in line]) == 7
    assert ": finished, " in rest[-2]
    assert not any("zero-shot search 0" in line for line in rest)


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.usefixtures("untimed")
def test_the_state_fits_the_terminal(half: tuple[Experiment, Path, Path], width: int) -> None:
    _, results, folder = half
    with working_on(folder):
        lines = printed(width, drawn(look(results, None)))
    assert all(len(line) <= width for line in lines)
    text = "\n".join(lines)
    assert "zero-shot" in text
    assert "lora search 0" in text
    assert len(lines) < 25


@pytest.mark.usefixtures("untimed")
def test_an_unknown_study_is_refused(half: tuple[Experiment, Path, Path]) -> None:
    _, results, _ = half
    done = CliRunner().invoke(group, ["watch", "nothing", "--results", str(results)])
    assert "nothing" in str(done.exception)


@pytest.mark.usefixtures("untimed")
def test_a_report_is_written_after_each_trial_and_stays_at_the_end(
    half: tuple[Experiment, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, results, folder = half
    page = folder / "report.html"
    seen: list[str] = []
    lock = working_on(folder)
    lock.__enter__()

    real = time.sleep

    def sleep(seconds: float) -> None:
        if seconds != report_command.LOOK_SECONDS:
            return real(seconds)
        seen.append(page.read_text("utf-8"))
        if len(seen) == 2:
            lock.__exit__(None, None, None)
            run_study(spec, results, open_with=Watching)

    monkeypatch.setattr("time.sleep", sleep)
    arguments = ["report", "seen", "--live", "--quiet", "--results", str(results)]
    done = CliRunner().invoke(group, arguments)
    assert done.exit_code == 0, done.exception
    assert [REFRESH.findall(text) for text in seen] == [[str(report_command.RELOAD_SECONDS)]] * 2
    # Nothing had ended between the looks, so that the page was left as it was.
    assert seen[0] == seen[1]
    last = page.read_text("utf-8")
    assert REFRESH.findall(last) == []
    assert "lora" in last
    assert done.output.count(str(page)) == 2


@pytest.mark.usefixtures("untimed")
def test_a_page_that_nobody_writes_any_more_does_not_reload(
    half: tuple[Experiment, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, results, folder = half
    page = folder / "report.html"

    def sleep(seconds: float) -> None:
        assert REFRESH.findall(page.read_text("utf-8"))
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    arguments = ["report", "seen", "--live", "--format", "json", "--results", str(results)]
    with working_on(folder):
        done = CliRunner().invoke(group, arguments)
    assert done.exit_code != 0
    assert not REFRESH.findall(page.read_text("utf-8"))


@pytest.mark.parametrize(("how", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
@pytest.mark.usefixtures("untimed")
def test_who_stops_watching_is_told_that_the_study_goes_on(
    half: tuple[Experiment, Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    how: type[BaseException],
    code: int,
) -> None:
    def interrupted(*of: object) -> None:
        raise how

    monkeypatch.setattr("harness.cli.watch._watch", interrupted)
    done = CliRunner().invoke(group, ["watch", "seen", "--results", str(half[1])])
    assert (done.exit_code, done.output) == (
        code, "No longer watched: the study goes on by itself.\n",
    )  # fmt: skip
