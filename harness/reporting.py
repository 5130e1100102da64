"""From the store to reports: the read half's story. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis import analyse, compare_studies, current, distinct, gather_samples, rules
from harness.errors import HarnessError, InputError, writing
from harness.findings import Findings, StudyComparison
from harness.records import ExperimentRecord, Study
from harness.store import STORE_FILE, StoreReader

# What draws and prints is loaded by what is asked to: many only want the findings.
if TYPE_CHECKING:
    from rich.console import Console

    from harness.report import ComparisonView, ReportView

# Format, which is also the suffix of its file -> what a reader calls it.
LABELS = {"html": "Report", "md": "Markdown", "json": "JSON", "pdf": "PDF"}
FORMATS = tuple(LABELS)
DEFAULT_FORMATS = ("html", "md")


@dataclass(frozen=True)
class AnalysedStudy:
    """A study with its findings."""

    study: Study
    findings: Findings
    results: Path

    @cached_property
    def view(self) -> ReportView:
        """The report's contents."""
        from harness.past_searches import search_pictures
        from harness.report import build_view

        return build_view(
            self.study,
            self.findings,
            rules=rules(),
            pictures=search_pictures(self.study, self.findings),
            samples=gather_samples(self.study),
        )

    def print(self, console: Console) -> None:
        """The report in the terminal."""
        from harness.report import print_report

        print_report(self.view, console)


@dataclass(frozen=True)
class ComparedStudies:
    """Several studies compared."""

    comparison: StudyComparison

    @cached_property
    def view(self) -> ComparisonView:
        """The contents of the report on it."""
        from harness.report import build_comparison

        return build_comparison(self.comparison)

    def print(self, console: Console) -> None:
        """The report in the terminal."""
        from harness.report import print_report

        print_report(self.view, console)


def load_study(results: Path, experiment_id: str) -> AnalysedStudy:
    """Read one experiment and analyse it.

    Raises:
        InputError: no store, or no such experiment in it.
    """
    study = current(StoreReader(results / STORE_FILE).study(experiment_id))
    return AnalysedStudy(study, analyse(study), results)


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


ELSEWHERE = "name another place with --output"


def chosen_formats(names: Sequence[str]) -> tuple[str, ...]:
    """The formats named, each once, in the order in which they are written.

    names: each a format, or several with commas between.

    Raises:
        InputError: one is not known, or none is named.
    """
    named = [part.strip().lower() for name in names for part in name.split(",") if part.strip()]
    unknown = [name for name in dict.fromkeys(named) if name not in FORMATS]
    if unknown or not named:
        rule = f"no report format is called {unknown[0]!r}" if unknown else "name a report format"
        raise InputError(f"{rule}; choose from {', '.join(FORMATS)}, with commas between several")
    return tuple(name for name in FORMATS if name in named)


def write_reports(
    loaded: AnalysedStudy,
    folder: Path | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    browser: str | None = None,
) -> dict[str, Path]:
    """Write report.html, report.md and so on; the path of each format's file.

    Args:
        loaded: the study.
        folder: where to; the run's own folder if not given.
        formats: see :func:`chosen_formats`.
        browser: program that prints the PDF; see :func:`harness.report.pdf.find_browser`.

    Raises:
        InputError: an unknown format; no browser for the PDF. The other files are there then.
        HarnessError: the browser failed; as well.
    """
    from harness.report import report_json

    folder = folder or loaded.results / loaded.study.experiment.folder
    return _write(
        folder / "report",
        lambda: loaded.view,
        lambda: report_json(loaded.study, loaded.findings),
        chosen_formats(formats),
        browser,
    )


def _write(
    stem: Path,
    view: Callable[[], ReportView | ComparisonView],
    json: Callable[[], str],
    formats: Sequence[str],
    browser: str | None,
) -> dict[str, Path]:
    """Every format's file, called like ``stem`` with the format as suffix."""
    from harness.report import to_html, to_markdown, to_pdf, write_whole

    # Where a browser prints too.
    with writing(stem.parent, ELSEWHERE):
        stem.parent.mkdir(parents=True, exist_ok=True)
    html = to_html(view()) if {"html", "pdf"} & set(formats) else ""
    makers: dict[str, Callable[[], str | bytes]] = {
        "html": lambda: html,
        "md": lambda: to_markdown(view()),
        "json": json,
        "pdf": lambda: to_pdf(html, stem.parent, browser=browser),
    }
    written: dict[str, Path] = {}
    for name in formats:
        try:
            content = makers[name]()
        except HarnessError as error:
            others = ", ".join(str(path) for path in written.values())
            raise type(error)(f"{error}{f'. Written: {others}' if others else ''}") from error
        target = stem.with_name(f"{stem.name}.{name}")
        with writing(target, ELSEWHERE):
            written[name] = write_whole(target, content)
    return written


def compare_named(results: Path, names: Sequence[str]) -> ComparedStudies:
    """Compare experiments, given by name or start of id; the first is the reference.

    Raises:
        InputError: fewer than two, one is unknown, or one is named twice.
    """
    reader = StoreReader(results / STORE_FILE)
    records = [find_record(results, name) for name in names]
    studies = [reader.study(record.experiment_id) for record in distinct(records)]
    found = compare_studies([(study, analyse(study, sensitivity=False)) for study in studies])
    return ComparedStudies(found)


def write_comparison(
    compared: ComparedStudies,
    path: Path,
    formats: Sequence[str] = DEFAULT_FORMATS,
    browser: str | None = None,
) -> dict[str, Path]:
    """Write the report on several experiments; the path of each format's file.

    path: of the files, but for the suffix, which is the format's.

    Raises:
        InputError: an unknown format; no browser for the PDF. The other files are there then.
        HarnessError: the browser failed; as well.
    """
    from harness.report import comparison_json

    stem = path.with_suffix("") if path.suffix.removeprefix(".") in FORMATS else path
    return _write(
        stem,
        lambda: compared.view,
        lambda: comparison_json(compared.comparison),
        chosen_formats(formats),
        browser,
    )
