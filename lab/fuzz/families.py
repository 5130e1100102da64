"""Kinds of malformed input, each with what judges it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from lab.fuzz import data_files as data
from lab.fuzz import experiments as exp
from lab.fuzz.judging import EXPERIMENT, Outcome, of_command, of_data, of_experiment

Case = Callable[[Path], Outcome]
"""Writes its files into a folder and judges them."""


@dataclass(frozen=True, slots=True)
class Family:
    """Inputs of one kind."""

    share: float
    """Share of all examples, 0 to 1."""
    cases: st.SearchStrategy[Case]
    """Draws the inputs."""


def experiment_for(kind: str, answer: dict[str, Any], policy: str) -> bytes:
    """A good experiment about a data file of the kind."""
    tree = copy.deepcopy(exp.SMALL)
    tree["data"] |= {"source": f"data.{kind}", "bad_rows": policy}
    tree["task"]["answer"] = answer
    return exp.dumped(tree)


@st.composite
def _data_cases(draw: st.DrawFn, kind: str) -> Case:
    content = draw(data.data_files(kind))
    answer = draw(st.sampled_from(exp.ANSWERS))
    experiment = experiment_for(kind, answer, draw(st.sampled_from(("stop", "drop"))))
    return lambda folder: of_data(folder, f"data.{kind}", content, experiment)


@st.composite
def _both_cases(draw: st.DrawFn) -> Case:
    """A changed experiment on good data."""
    experiment = draw(exp.small_experiments())
    return lambda folder: of_data(folder, "data.csv", data.plain("csv"), experiment)


@st.composite
def _command_cases(draw: st.DrawFn) -> Case:
    """``harness check`` and ``harness init`` as they are called."""
    kind = draw(st.sampled_from(data.KINDS))
    name = f"data.{kind}"
    if draw(st.booleans()):
        content, experiment = data.plain("csv"), draw(exp.small_experiments())
        name = "data.csv"
    else:
        content = draw(data.data_files(kind))
        experiment = experiment_for(kind, draw(st.sampled_from(exp.ANSWERS)), "drop")
    checks = draw(st.booleans())

    def case(folder: Path) -> Outcome:
        (folder / name).write_bytes(content)
        (folder / EXPERIMENT).write_bytes(experiment)
        if checks:
            return of_command(
                ["check", str(folder / EXPERIMENT)], EXPERIMENT, name, "data.", str(folder)
            )
        proposed = folder / "proposed.yaml"
        options = ["--output", str(proposed), "--force", "--no-measure"]
        arguments = ["init", str(folder / name), *options]
        return of_command(arguments, name, "column", str(proposed))

    return case


def _loading(contents: st.SearchStrategy[bytes]) -> st.SearchStrategy[Case]:
    return contents.map(lambda content: lambda folder: of_experiment(folder, content))


FAMILIES = {
    "experiment, damaged as text": Family(0.22, _loading(exp.experiment_texts())),
    "experiment, changed in structure": Family(0.22, _loading(exp.real_experiments())),
    "changed experiment on good data": Family(0.16, _both_cases()),
    "CSV": Family(0.12, _data_cases("csv")),
    "JSONL": Family(0.12, _data_cases("jsonl")),
    "Parquet": Family(0.10, _data_cases("parquet")),
    "commands check and init": Family(0.06, _command_cases()),
}
