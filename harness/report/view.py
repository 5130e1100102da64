"""From a study and its findings to the report's contents, the same for every format."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from harness.findings import Findings, Samples, SearchPicture
from harness.records import Study
from harness.report import wording
from harness.report.arms import arms_section
from harness.report.claims import claims_section
from harness.report.contrasts import forest_section
from harness.report.curves import curves_section
from harness.report.document import ReportView
from harness.report.examples import examples_section
from harness.report.forgetting import general_section, out_of_domain_section
from harness.report.material import Material
from harness.report.outcome import primary_section, verdict_view
from harness.report.overfitting import loss_section, overfitting_section
from harness.report.protocol import rules_section, run_section, words_section
from harness.report.search import search_section
from harness.report.sensitivity import sensitivity_section
from harness.report.spending import cost_section
from harness.report.trade_off import trade_off_section


def build_view(
    study: Study,
    findings: Findings,
    *,
    now: datetime | None = None,
    rules: Sequence[tuple[str, str]] = (),
    pictures: Sequence[SearchPicture] = (),
    samples: Samples | None = None,
) -> ReportView:
    """The contents of the report: every number rounded, every sentence final.

    Args:
        study: read from the store; may be unfinished.
        findings: what the analysis made of ``study``.
        now: time printed as the report's; the clock's if not given.
        rules: (outcome, condition) of the verdict's rules, to be printed.
        pictures: of the searches long enough for them.
        samples: the test items with their replies; without them the report has no examples.
    """
    material = Material(study, findings, tuple(pictures), samples)
    experiment = study.experiment
    question = wording.cell(str(material.declared("question") or ""), 300)
    written = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M %Z").strip()
    return ReportView(
        title=question or f"Fine-tune or prompt? {wording.cell(experiment.name)}",
        about=(
            ("Experiment", wording.cell(experiment.name)),
            ("Model", wording.cell(experiment.model.reference)),
            ("Report written", written),
        ),
        verdict=verdict_view(material),
        sections=(
            primary_section(material),
            sensitivity_section(material),
            arms_section(material),
            claims_section(material),
            forest_section(material),
            trade_off_section(material),
            search_section(material),
            general_section(material),
            out_of_domain_section(material),
            overfitting_section(material),
            curves_section(material),
            loss_section(material),
            cost_section(material),
            examples_section(material),
            run_section(material),
            rules_section(material, tuple(rules)),
            words_section(material),
        ),
        arms=material.arms,
    )
