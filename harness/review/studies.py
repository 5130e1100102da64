"""From the store to reports: the read half's story. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.arms.samples import gather_samples
from harness.analysis.comparison.across_studies import compare_studies, distinct
from harness.analysis.searches.selection import current
from harness.analysis.verdict.rules import rules, rules_hash
from harness.analysis.whole_study import analyse
from harness.errors import HarnessError, InputError, writing
from harness.findings import Findings, StudyComparison
from harness.records import ExperimentRecord, StoredVerdict, Study, write_whole
from harness.review.declared import declared
from harness.review.names import find_named, notice_of
from harness.spec import Experiment
from harness.store import STORE_FILE, StoreReader
from harness.versions import __version__

# What draws and prints is loaded by what is asked to: many only want the findings.
if TYPE_CHECKING:
    from rich.console import Console

    from harness.report import ComparisonView, ReportView

# Format -> what a reader calls it.
LABELS = {
    "html": "Report", "md": "Markdown", "json": "JSON", "pdf": "PDF", "csv": "Items",
    "brief": "Brief",
}  # fmt: skip
# Format -> suffix of its file, where that is not the format itself.
SUFFIXES = {"brief": "brief.pdf"}
FORMATS = tuple(LABELS)
# Of several studies there is no list of items, and no first screen.
COMPARISON_FORMATS = ("html", "md", "json", "pdf")
DEFAULT_FORMATS = ("html", "md")


@dataclass(frozen=True)
class AnalysedStudy:
    """A study with its findings."""

    study: Study
    """The study as read from the store."""
    experiment: Experiment
    """The experiment as declared."""
    findings: Findings
    """What the analysis found in it."""
    results: Path
    """Folder of the results."""
    notice: str = ""
    """A sentence on a newer study that its name could mean too; empty where there is none."""

    @cached_property
    def view(self) -> ReportView:
        """The report's contents."""
        from harness.report import build_view
        from harness.review.searches import search_pictures

        return build_view(
            self.study,
            self.experiment,
            self.findings,
            rules=rules(),
            pictures=search_pictures(self.study, self.findings),
            samples=gather_samples(self.study),
        )

    def print(self, console: Console) -> None:
        """The report in the terminal."""
        from harness.report import print_report

        print_report(self.view, console)

    def print_decision(self, console: Console) -> None:
        """The scores and the verdict in the terminal, within a screen."""
        from harness.report import print_decision

        print_decision(self.view, console)


@dataclass(frozen=True)
class ComparedStudies:
    """Several studies compared."""

    comparison: StudyComparison
    """What the comparison found."""

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
        InputError: no store, no such experiment in it, or one that this version does not take.
    """
    stored = StoreReader(results / STORE_FILE).study(experiment_id)
    # Before anything is made of it: it may be one that an earlier version took.
    experiment = declared(stored.experiment)
    study = current(stored)
    return AnalysedStudy(study, experiment, analyse(study), results)


def find_study(results: Path, name: str | None) -> AnalysedStudy:
    """The study that a name or the start of an id means; see :meth:`StoreReader.find`.

    Raises:
        InputError: none, or several, match.
    """
    found = find_named(results, name)
    loaded = load_study(results, found.study.experiment.experiment_id)
    return replace(loaded, notice=notice_of(found))


def find_record(results: Path, name: str | None) -> ExperimentRecord:
    """What :func:`find_study` finds, without reading and analysing its trials."""
    return find_named(results, name).study.experiment


def note_verdict(loaded: AnalysedStudy) -> None:
    """Note a study's verdict in the store, where it is not noted, for whoever lists the studies.

    The event ``verdict`` has the detail ``outcome``, ``winner``, ``sentence``, ``rules_hash``,
    ``harness`` (the version) and ``trials``, the number of trials that ended so, by status. It is
    called once a run has ended: what only reads, such as a report, writes nothing.

    Raises:
        StoreError: the store stays busy.
    """
    from harness.store import StoreWriter

    store, identity = loaded.results / STORE_FILE, loaded.study.experiment.experiment_id
    verdict = loaded.findings.verdict
    noted = StoredVerdict(verdict.outcome, verdict.winner, verdict.sentence, __version__)
    stored = StoreReader(store).find(identity).study
    if stored.verdict != noted:
        detail = {**asdict(noted), "rules_hash": rules_hash(), "trials": stored.trials}
        StoreWriter(store).record_event(identity, "verdict", detail)


ELSEWHERE = "name another place with --output"


def chosen_formats(names: Sequence[str], known: Sequence[str] = FORMATS) -> tuple[str, ...]:
    """The formats named, each once, in the order in which they are written.

    Args:
        names: each a format, or several with commas between.
        known: the formats there are.

    Raises:
        InputError: one is not known, or none is named.
    """
    named = [part.strip().lower() for name in names for part in name.split(",") if part.strip()]
    unknown = [name for name in dict.fromkeys(named) if name not in known]
    if unknown or not named:
        rule = f"no report format is called {unknown[0]!r}" if unknown else "name a report format"
        raise InputError(f"{rule}; choose from {', '.join(known)}, with commas between several")
    return tuple(name for name in known if name in named)


def write_reports(
    loaded: AnalysedStudy,
    folder: Path | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    browser: str | None = None,
    *,
    appendix: bool = False,
    reload_seconds: int | None = None,
) -> dict[str, Path]:
    """Write report.html, report.md and so on; the path of each format's file.

    Args:
        loaded: the study with its findings.
        folder: folder for the files; the run's own if not given.
        formats: formats to write; see :func:`chosen_formats`.
        browser: program that prints the PDF; see :func:`harness.report.formats.pdf.find_browser`.
        appendix: whether the appendix is open in the HTML, and printed in the PDF.
        reload_seconds: after how many seconds a browser is to read the HTML again; None: never.

    Raises:
        InputError: an unknown format; no browser for the PDF. The other files are there then.
        HarnessError: the browser failed; as well.
    """
    from harness.report import items_csv, report_json, to_html, to_pdf

    folder = folder or loaded.results / loaded.study.experiment.folder
    return _write(
        folder / "report",
        lambda: loaded.view,
        lambda: report_json(loaded.study, loaded.findings),
        chosen_formats(formats),
        browser,
        appendix=appendix,
        others={
            "csv": lambda: items_csv(gather_samples(loaded.study)),
            "brief": lambda: to_pdf(to_html(loaded.view, brief=True), folder, browser=browser),
        },
        reload_seconds=reload_seconds,
    )


def _write(
    stem: Path,
    view: Callable[[], ReportView | ComparisonView],
    json: Callable[[], str],
    formats: Sequence[str],
    browser: str | None,
    *,
    appendix: bool = False,
    others: Mapping[str, Callable[[], str | bytes]] | None = None,
    reload_seconds: int | None = None,
) -> dict[str, Path]:
    """Every format's file, called like ``stem`` with the format, or what stands for it, as suffix.

    Args:
        others: makers of formats that only one kind of report has.
    """
    from harness.report import to_html, to_markdown, to_pdf

    # Where a browser prints too.
    with writing(stem.parent, ELSEWHERE):
        stem.parent.mkdir(parents=True, exist_ok=True)
    html = (
        to_html(view(), appendix=appendix, reload_seconds=reload_seconds)
        if {"html", "pdf"} & set(formats)
        else ""
    )
    makers: dict[str, Callable[[], str | bytes]] = {
        "html": lambda: html,
        "md": lambda: to_markdown(view()),
        "json": json,
        "pdf": lambda: to_pdf(html, stem.parent, browser=browser),
        **(others or {}),
    }
    written: dict[str, Path] = {}
    for name in formats:
        try:
            content = makers[name]()
        except HarnessError as error:
            there = ", ".join(str(path) for path in written.values())
            raise type(error)(f"{error}{f'. Written: {there}' if there else ''}") from error
        target = stem.with_name(f"{stem.name}.{SUFFIXES.get(name, name)}")
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
    comparison = compare_studies([(study, analyse(study, sensitivity=False)) for study in studies])
    return ComparedStudies(comparison)


def write_comparison(
    compared: ComparedStudies,
    path: Path,
    formats: Sequence[str] = DEFAULT_FORMATS,
    browser: str | None = None,
) -> dict[str, Path]:
    """Write the report on several experiments; the path of each format's file.

    Args:
        path: path of the files, but for the suffix, which is the format's.

    Raises:
        InputError: an unknown format; no browser for the PDF. The other files are there then.
        HarnessError: the browser failed; as well.
    """
    from harness.report import comparison_json

    stem = path.with_suffix("") if path.suffix.removeprefix(".") in COMPARISON_FORMATS else path
    return _write(
        stem,
        lambda: compared.view,
        lambda: comparison_json(compared.comparison),
        chosen_formats(formats, COMPARISON_FORMATS),
        browser,
    )
