"""What a run shows while it goes on: at 80 and 60 columns, in a pipe, and when it is stopped."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from harness.cli.progress import SAID_EVERY, RichObserver
from harness.cli.progress_lines import Course
from harness.cli.terminal import Terminal
from harness.records import Progress
from harness.spec.kinds import PROMPT
from harness.study.asked_models import BASE
from harness.study.coming import Coming
from harness.study.run import run_study
from tests.fake_trial import Watching, experiment, experiment_values

if TYPE_CHECKING:
    from tests.cli.pseudo_terminal import Shown

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")

LONG_NAME = "a-prompt-with-a-rather-long-name-indeed"


def arms(prompt: float = 0.0, lora: float = 0.0) -> dict[str, Any]:
    """Arms whose trials take so many seconds."""
    return {
        "zero-shot": {"kind": "prompt", "instruction": f"Sort it. [sleep={prompt}]"},
        LONG_NAME: {"kind": "prompt", "instruction": f"[sleep={prompt}]"},
        "lora": {"kind": "lora", "instruction": f"Sort it. [sleep={lora}]"},
    }


# The command itself, but that trials pretend.
PROGRAM = """
import sys, time
from types import SimpleNamespace
import harness.study.run as run
from harness.records import Runtime
from harness.study.preflight import Preflight
from tests import fake_trial
from tests.fake_trial import Watching
# Torch is only asked which device there is, and to read prompts that no model is shown.
run.choose_runtime = lambda *_: Runtime("cpu", "float32", 4)
Preflight.unfit = Preflight.renderings = lambda *_: {{}}
fake_trial.time = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, {longest})))
run.open_engine = lambda *a, **k: Watching()
run.start_server = lambda: None
sys.argv = ["harness", "run", {file!r}, "--results", {results!r}]
from harness.cli import main
main()
"""


def program(folder: Path, trials: int, *, longest: float = 60.0, **seconds: float) -> str:
    """The program; its trials take at most ``longest`` whatever they are instructed to."""
    budget = {"trials": trials}
    values = experiment_values(folder, name="watched", arms=arms(**seconds), budget=budget)
    file = folder / "e.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    results = str(folder / "results")
    return PROGRAM.format(file=str(file), results=results, longest=longest)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the study that is watched lies."""
    return tmp_path_factory.mktemp("watched")


@pytest.fixture(scope="module")
def stopped(folder: Path) -> Shown:
    """The study in a terminal of 80 columns, until Ctrl-C is pressed."""
    from tests.cli.pseudo_terminal import in_terminal

    text = program(folder, 2, prompt=0.15, lora=60.0)
    return in_terminal(text, 80, interrupt_at="lora search 0: ")


@pytest.fixture(scope="module")
def again(folder: Path, stopped: Shown) -> Shown:
    """The same command once more, in a terminal of 60 columns."""
    from tests.cli.pseudo_terminal import in_terminal

    return in_terminal(program(folder, 2, prompt=0.15, lora=60.0, longest=0.15), 60)


def test_lines_move_and_fit_and_the_verdict_comes_last(
    folder: Path, stopped: Shown, again: Shown
) -> None:
    shown = again
    assert shown.code == 0, shown.text[-2000:]
    moving = [line for line in shown.lines if " trials, " in line and " left" in line]
    # It is drawn anew while a trial is under way, and ends without a claim of no time.
    assert len(moving) > 5
    assert any("not timed yet" in line or "left not known" in line for line in moving)
    assert not any("about 0" in line for line in moving)
    assert any(line.strip().startswith("zero-shot search 0: ") for line in shown.lines)
    assert "At most 14 trials" in stopped.text.replace("\r\n", " ")
    for part, columns in ((stopped, 80), (again, 60)):
        wide = [line for line in part.lines if len(line) > columns and str(folder) not in line]
        assert wide == []
    # The screen that stays has every name whole.
    ended = shown.text.rpartition("trials run")[2]
    assert len(ended.splitlines()) < 25
    for arm in arms():
        assert arm in ended
    last = [line.strip() for line in ended.splitlines() if line.strip()]
    next_step = next(place for place, line in enumerate(last) if line.startswith("Next: "))
    assert len(last[next_step]) > len("Next: ")
    assert next_step >= len(last) - 3
    assert any(line.startswith("Report:") for line in last[-6:])


def test_ctrl_c_says_what_is_lost_and_that_the_same_command_goes_on(
    stopped: Shown, again: Shown
) -> None:
    assert stopped.code == 130
    assert "lora search 0 was under way" in stopped.text
    assert "the same command goes on from there" in stopped.text.replace("\r\n", " ")
    assert again.code == 0
    assert "ended in an earlier run: taken as they are." in again.text.replace("\r\n", " ")
    assert f"{LONG_NAME} search 0" not in again.text


def test_in_a_pipe_a_line_a_minute_says_what_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    observer = RichObserver(Terminal(file=out, width=80, force_terminal=False))
    with observer:
        zero_shot = {"zero-shot": arms()["zero-shot"]}
        one = experiment(tmp_path, arms=zero_shot, budget={"trials": 1})
        run_study(one, tmp_path / "results", open_with=Watching, observer=observer)
    quiet = out.getvalue()
    assert "..." not in quiet
    assert quiet.count("zero-shot search 0") == 1
    monkeypatch.setattr("harness.cli.progress.SAID_EVERY", 0.0)
    again = RichObserver(Terminal(file=out, width=80, force_terminal=False))
    run_study(one, tmp_path / "others", open_with=Watching, observer=again)
    told = out.getvalue().removeprefix(quiet).replace("\n", " ")
    assert "... 1 of " in told
    assert "zero-shot search 0: scoring domain, 1 of 2" in told
    assert SAID_EVERY >= 30


def test_what_will_run_adds_up_with_instructions_that_are_written() -> None:
    coming = [
        Coming(BASE, "baseline", PROMPT, 1, 8, False),
        Coming("few-shot", "writing", PROMPT, 3, 0, False),
        Coming("few-shot", "search", PROMPT, 6, 8, False),
        Coming("few-shot", "finalist", PROMPT, 3, 8, False),
    ]
    out = io.StringIO()
    RichObserver(Terminal(file=out, width=200, force_terminal=False)).planned(13, coming)
    assert out.getvalue() == (
        "At most 13 trials: base 1, instructions to write 3, search few-shot 6 and finalists 3.\n"
    )


def test_what_is_under_way_counts_as_done_in_part(tmp_path: Path) -> None:
    now = 0.0
    course = Course(clock=lambda: now)

    observer = RichObserver(Terminal(file=io.StringIO(), width=80))
    observer._course = course

    lefts: list[str] = []

    class Slow(Watching):
        def wait(self, on_progress):  # type: ignore[no-untyped-def]
            nonlocal now
            lefts.append(course.left().sentence())
            now += 60
            lefts.append(course.left().sentence())
            return super().wait(on_progress)

    one = experiment(tmp_path, arms={"zero": {"kind": "prompt"}}, budget={"trials": 1})
    run_study(one, tmp_path / "results", open_with=Slow, observer=observer)
    assert lefts[0].startswith("time left not known")
    assert lefts[-1] == "less than a minute left"
    assert [text for text in lefts if "about" in text]


def test_progress_of_a_trial_in_words() -> None:
    from types import SimpleNamespace

    from harness.cli.progress_lines import Running

    spec = SimpleNamespace(arm="lora", phase="search", number=1)
    trial = Running(spec, 0.0)  # type: ignore[arg-type]
    assert (trial.name, trial.doing()) == ("lora search 1", "starting")
    trial.last = Progress("t", "lora", "train", 12, 2400, loss=0.51234)
    assert trial.doing() == "training, step 12 of 2,400, loss 0.512"
    trial.last = Progress("t", "lora", "score", 3, 64, task="mini_sums")
    assert trial.doing() == "scoring mini_sums, 3 of 64"
