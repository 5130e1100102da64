"""From the store to reports: the read half's story. Needs no torch."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis import analyse, current, gather_samples, rules
from harness.errors import InputError
from harness.findings import Findings
from harness.past_searches import search_pictures
from harness.records import ExperimentRecord, Study
from harness.report import (
    ReportView,
    build_comparison,
    build_view,
    print_report,
    to_markdown,
    write_html,
)
from harness.store import STORE_FILE, StoreReader

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class AnalysedStudy:
    """A study with its findings and the report's contents."""

    study: Study
    findings: Findings
    view: ReportView
    results: Path

    def print(self, console: Console) -> None:
        """The report in the terminal."""
        print_report(self.view, console)


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """Where the report was written."""

    html: Path
    markdown: Path


def load_study(results: Path, experiment_id: str) -> AnalysedStudy:
    """Read one experiment and analyse it.

    Raises:
        InputError: no store, or no such experiment in it.
    """
    study = current(StoreReader(results / STORE_FILE).study(experiment_id))
    findings = analyse(study)
    pictures = search_pictures(study, findings)
    view = build_view(
        study, findings, rules=rules(), pictures=pictures, samples=gather_samples(study)
    )
    return AnalysedStudy(study, findings, view, results)


def find_study(results: Path, name: str | None) -> AnalysedStudy:
    """The experiment by name or start of id; without either the one declared last.

    Raises:
        InputError: none, or several, match.
    """
    return load_study(results, find_record(results, name).experiment_id)


def find_record(results: Path, name: str | None) -> ExperimentRecord:
    """What :func:`find_study` finds, without reading and analysing its trials."""
    reader = StoreReader(results / STORE_FILE)
    if name is not None:
        return reader.find(name)
    stored = reader.experiments()
    if not stored:
        raise InputError(f"{results / STORE_FILE} holds no experiment yet; `harness run` makes one")
    return stored[-1]


def write_reports(loaded: AnalysedStudy, folder: Path | None = None) -> ReportFiles:
    """Write report.html and report.md, into the run's own folder if none is given."""
    if folder is None:
        record = loaded.study.experiment
        folder = loaded.results / f"{record.name}-{record.experiment_id[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    html = write_html(loaded.view, folder / "report.html")
    markdown = folder / "report.md"
    handle, partial = tempfile.mkstemp(prefix=".report-", dir=folder)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(to_markdown(loaded.view))
    Path(partial).replace(markdown)
    return ReportFiles(html, markdown)


def write_comparison(loaded: Sequence[AnalysedStudy], path: Path, console: Console) -> Path:
    """Write one report over several experiments and print it."""
    view = build_comparison([(one.study, one.findings) for one in loaded])
    print_report(view, console)
    return write_html(view, path)
