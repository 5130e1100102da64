"""The same study from Python: ``harness.load`` and ``harness.run``.

import harness

experiment = harness.load("experiments/quickstart.yaml")
result = harness.run(experiment)
print(result.verdict.sentence)
result.frame("finalists")          # any view of the store, as a pandas frame
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.findings import Findings, Verdict
from harness.records import JsonValue, Study
from harness.review.studies import (
    DEFAULT_FORMATS,
    AnalysedStudy,
    find_study,
    load_study,
    note_verdict,
    write_reports,
)
from harness.spec import Experiment, load_experiment
from harness.store import STORE_FILE, StoreReader
from harness.store.reader import VIEWS
from harness.study.observer import Observer

if TYPE_CHECKING:
    import pandas as pd

    from harness.deployment.predictions import Prediction
    from harness.engine import EngineName


@dataclass(frozen=True, slots=True)
class StudyResult:
    """A study that ended: its verdict, its findings, and its data as frames."""

    analysed: AnalysedStudy
    """The study with its findings."""
    store: Path
    """The store's file."""

    @property
    def study(self) -> Study:
        """What the analysis was made from."""
        return self.analysed.study

    @property
    def findings(self) -> Findings:
        """Everything the analysis says."""
        return self.analysed.findings

    @property
    def notice(self) -> str:
        """A sentence on a newer study that the name could mean too; empty where there is none."""
        return self.analysed.notice

    @property
    def verdict(self) -> Verdict:
        """The decision, in a sentence and with its reasons."""
        return self.analysed.findings.verdict

    def frame(self, view: str) -> pd.DataFrame:
        """This study's rows of a view: trials, scores, items, finalists, costs, test_accesses.

        Raises:
            ValueError: there is no such view.
        """
        if view not in VIEWS:
            raise ValueError(f"no view is called {view!r}; there are {', '.join(VIEWS)}")
        identity = self.study.experiment.experiment_id
        # The view's name is one of a fixed list; the id is a parameter.
        return StoreReader(self.store).as_frame(
            f"SELECT * FROM {view} WHERE experiment_id = ?",  # noqa: S608
            [identity],
        )

    def predict(
        self,
        rows: Sequence[Mapping[str, JsonValue] | str],
        *,
        arm: str | None = None,
        seed: int | None = None,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Prediction]:
        """Rows answered by a finalist, exactly as it was scored; its model is loaded anew.

        Args:
            rows: columns and values of each, or texts where the arm reads one column.
            arm: the arm; the verdict's winner if not given.
            seed: seed of its final run; the best one on validation if not given.
            on_progress: is told how many rows are answered, of how many.

        Raises:
            InputError: no such arm, a row that cannot be asked, or weights that are gone.
        """
        from harness.deployment.finalist import opened
        from harness.deployment.predictions import predictions, questions_of
        from harness.export.final_run import find_final_run

        run = find_final_run(self.store.parent, self.study.experiment.experiment_id, arm, seed)
        questions = questions_of(run, rows)
        with opened(run) as finalist:
            return predictions(finalist, questions, on_progress)

    def report(
        self,
        folder: str | Path | None = None,
        formats: Sequence[str] = DEFAULT_FORMATS,
        browser: str | None = None,
    ) -> Path:
        """Write report.html, report.md and so on; the path of the first of them.

        Args:
            folder: folder for the files; the run's own if not given.
            formats: formats out of html, md, json, pdf, csv and brief, written in this order.
            browser: program that prints the PDF; HARNESS_BROWSER or the first found without it.

        Raises:
            InputError: an unknown format, or no browser for the PDF.
        """
        place = None if folder is None else Path(folder)
        return next(iter(write_reports(self.analysed, place, formats, browser).values()))


def load(path: str | Path) -> Experiment:
    """Read and validate an experiment file.

    Raises:
        SpecError: the file breaks the schema; all problems at once, each with line and field.
    """
    return load_experiment(path)


def run(
    experiment: Experiment | str | Path,
    *,
    results: str | Path = "results",
    engine: EngineName = "child",
    observer: Observer | None = None,
) -> StudyResult:
    """Run an experiment, or go on with one that was stopped, and analyse it.

    In a script the ``child`` engine needs the usual ``if __name__ == "__main__":`` guard.

    Raises:
        InputError: bad input.
        StudyFailedError: no trial of any arm ended well; the store has them.
    """
    # It loads the half that trains, which is not needed to open what was run.
    from harness.study.run import run_study

    spec = experiment if isinstance(experiment, Experiment) else load_experiment(experiment)
    folder = Path(results)
    done = run_study(spec, folder, engine=engine, observer=observer)
    done.require_result()
    analysed = load_study(folder, done.experiment_id)
    note_verdict(analysed)
    return StudyResult(analysed, done.store)


def open_result(name: str | None = None, *, results: str | Path = "results") -> StudyResult:
    """A study that is in the store already: the newest finished one of that name.

    Where a newer one is not finished, ``notice`` of the result names it. The start of an id means
    that very study; without either all studies are meant as if they had one name.

    Raises:
        InputError: there is no store, or no such study in it.
    """
    folder = Path(results)
    return StudyResult(find_study(folder, name), folder / STORE_FILE)
