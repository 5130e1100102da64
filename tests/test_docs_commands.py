"""Every command that the pages show is run, page by page, or named here with the reason why not.

Trials are pretended and the packaged model is a tiny one, so that a study takes no time; all else
is as a reader has it. A block that its text names as a file ("In `night.yaml`:") is written first.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from harness import engine
from harness.analysis.whole_study import analyse
from harness.cli import group
from harness.engine.in_process import InProcessEngine
from harness.forecast import study as forecast
from harness.forecast.findings import Forecast
from harness.models.resolve import resolve_model
from harness.records import ResolvedModel
from harness.review import studies as reporting
from harness.spec import Experiment, ModelSpec
from harness.study import run as pipeline
from tests.doc_pages import PAGES, ROOT, blocks_of, name_of, text_of
from tests.fake_trial import Watching, experiment, experiment_values
from tests.tiny_model import CHATML, write_model

# The start of a line -> why no test runs it. `harness` lines among them are parsed by test_docs.py.
NOT_RUN = {
    "harness judge": "no study here has a judge; tests/end_to_end/test_judge.py",
    "pip install": "changes the environment",
    "source .venv/bin/activate": "changes the shell of the reader, not a file",
    "ray start": "starts a server",
    "transformers serve": "starts a server and loads a model",
    "optuna-dashboard": "starts a server",
    "tensorboard": "starts a server",
    "harness run experiments/endpoint.yaml": "asks a server; tests/end_to_end/test_served_study.py",
    "harness run experiments/quickstart.yaml --engine ray": "a cluster; tests/engine",
    "harness run night.yaml --engine ray": "a cluster; tests/engine",
    "OMP_NUM_THREADS=4 harness run": "a cluster; tests/engine",
    "harness doctor --fetch": "downloads; `make test` begins with it",
    "harness ask": "reads trained weights, which no pretended trial has; tests/deployment",
    "harness serve": "starts a server; tests/deployment",
    "harness verify": "asks a server, or reads trained weights; tests/deployment",
    "harness export model": "reads trained weights, which no pretended trial has; tests/export",
    "git clone": "downloads",
    "harness run experiments/own-trainer.yaml": "needs `trl`; tests/end_to_end/test_own_command.py",
    "python -m lab.public_studies": "reads what was downloaded; tests/lab/test_public_studies.py",
    "python -m lab.written_prompts": "reads what was downloaded; tests/lab/test_written_prompts.py",
    "harness run gallery/": "reads what was downloaded; tests/lab",
}
# What these print depends on neither the model nor the machine: it must be what a page shows.
SAME_EVERYWHERE = ("harness check", "head")
# What the first `harness plan` measured, of a plain study; all others print this one's tables.
MEASURED: list[Forecast] = []
# Pages that are made from the commands' own help texts.
GENERATED = ("docs/cli.md",)
SHOWN = [page for page in PAGES if any(one.language == "sh" for one in blocks_of(page))]


def why_not(line: str) -> str:
    """The reason why a line is not run; empty if it is."""
    return next((why for start, why in NOT_RUN.items() if line.startswith(start)), "")


def lines_of(page: Path) -> list[str]:
    return [line for one in blocks_of(page) if one.language == "sh" for line in one.lines()]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that stands in for the packaged one, and reads as much."""
    folder = write_model(tmp_path_factory.mktemp("model") / "ours", CHATML)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 8192}))
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """What a reader has: a CSV, an experiment for it, the examples, and finished studies."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "experiments", folder / "experiments")
    shutil.copytree(tiny, folder / "models" / "ours")
    for name in ("tickets.csv", "tickets-april.csv", "experiments/tickets.csv"):
        write_tickets(folder / name, of=name)
    with reading(folder, tiny):
        carry_out("harness init tickets.csv --output tickets.yaml")
        for name in ("january", "february", "night", "product-feedback", "quickstart"):
            pipeline.run_study(experiment(folder, name=name), Path("results"))
        Path("plain.yaml").write_text(yaml.safe_dump(experiment_values(folder)), encoding="utf-8")
        carry_out("harness plan plain.yaml")
    return folder


def write_tickets(path: Path, *, of: str) -> None:
    """120 messages by forty customers for four teams, under the names that pages use."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["customer", "message", "text", "team", "category"])
        for n in range(120):
            words = " ".join(f"{of[-5]}{n}x{m}" for m in range(9))
            team = ("refund", "exchange", "repair", "advice")[n % 4]
            rows.writerow([f"C{n % 40}", words, words, team, team])


@contextlib.contextmanager
def reading(folder: Path, tiny: Path) -> Iterator[None]:
    """Within ``folder``, with pretended trials and the tiny model in place of any other."""

    def resolve(spec: ModelSpec, progress: Any = None) -> ResolvedModel:
        return resolve_model(ModelSpec(reference=str(tiny)), progress)

    def in_process(_: str, execute: Callable[..., Any], *__: Any) -> InProcessEngine:
        return InProcessEngine(execute)

    run, plan, foresee = pipeline.run_study, pipeline.plan_study, forecast.forecast_study

    def measure_once(*args: Any, **named: Any) -> Forecast:
        if not MEASURED:
            MEASURED.append(foresee(*args, **named | {"thorough": False}))
        return MEASURED[0]

    few_draws = partial(analyse, resamples=100, sensitivity=False)
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "resolve_model", resolve)
        patch.setattr(
            pipeline,
            "run_study",
            lambda spec, *rest, **more: run(short(spec), *rest, **more | {"open_with": Watching}),
        )
        patch.setattr(
            pipeline, "plan_study", lambda spec, *rest, **more: plan(short(spec), *rest, **more)
        )
        patch.setattr(engine, "open_engine", in_process)
        patch.setattr(reporting, "analyse", few_draws)
        patch.setattr(forecast, "forecast_study", measure_once)
        yield


def short(spec: Experiment) -> Experiment:
    """The same experiment with one trial an arm and one seed, and no questions beside the task."""
    budget = spec.budget.model_copy(update={"trials": 1})
    less = {"budget": budget, "seeds": (1,), "general": None, "memorisation_items": 0}
    return spec.model_copy(update=less)


def carry_out(line: str) -> str:
    """Run one line of a shell in the current folder; what it printed."""
    if line.startswith("harness "):
        done = CliRunner().invoke(group, shlex.split(line, comments=True)[1:])
        if done.exit_code != 0:
            raise AssertionError(f"{line}\n{done.output}") from done.exception
        return done.stdout
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = subprocess.run(
        ["/bin/bash", "-euc", line], check=False, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PATH": path},
    )  # fmt: skip
    assert shell.returncode == 0, f"{line}\n{shell.stdout}{shell.stderr}"
    return shell.stdout


# `harness plan` trains and asks the tiny model.
@pytest.mark.weights
@pytest.mark.parametrize("page", [page for page in SHOWN if name_of(page) not in GENERATED],
                         ids=name_of)  # fmt: skip
def test_the_commands_of_a_page_run_in_its_order(
    page: Path, start: Path, tiny: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "reader"
    shutil.copytree(start, folder)
    printed: dict[str, str] = {}
    last = ""
    with reading(folder, tiny):
        for block in blocks_of(page):
            if block.file:
                Path(block.file).parent.mkdir(parents=True, exist_ok=True)
                Path(block.file).write_text(block.content, encoding="utf-8")
            elif block.language == "sh":
                for line in block.lines():
                    last = line
                    if not why_not(line):
                        printed[line] = carry_out(line)
            elif block.language == "text" and last.startswith(SAME_EVERYWHERE):
                now = "".join(f"{one.rstrip()}\n" for one in printed[last].splitlines())
                if os.environ.get("HARNESS_WRITE_GOLDEN"):
                    text = text_of(page).replace(block.content, now)
                    page.write_text(text, encoding="utf-8")
                else:
                    assert block.content == now, f"{last}: run with HARNESS_WRITE_GOLDEN=1"


def test_what_is_not_run_is_shown_somewhere() -> None:
    shown = [line for page in SHOWN for line in lines_of(page)]
    for begins in NOT_RUN:
        assert any(line.startswith(begins) for line in shown), f"no page shows {begins!r}"


def test_commands_stand_in_blocks_that_are_run() -> None:
    """Not in blocks without a language, nor in indented text, where no test would see them."""
    for page in PAGES:
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            assert not line.startswith("    harness "), f"{name_of(page)}:{number}: use ```sh"


def test_a_block_is_found_within_a_list_and_knows_its_file() -> None:
    page = ROOT / "docs" / "how-to" / "nightly-search.md"
    files = [one.file for one in blocks_of(page) if one.file]
    assert files == ["night.yaml"]
    assert blocks_of(page)[0].content.startswith("name: night\n")
