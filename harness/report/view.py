"""From a study and its findings to the report's contents, the same for every format."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from harness import wording
from harness.findings import Findings, Samples, SearchPicture
from harness.records import Study
from harness.report.document import ReportView, Section
from harness.report.sections.arms import arms_section
from harness.report.sections.claims import claims_section
from harness.report.sections.classes import classes_section
from harness.report.sections.confidence import confidence_section
from harness.report.sections.contrasts import forest_section
from harness.report.sections.curves import curves_section
from harness.report.sections.examples import examples_section
from harness.report.sections.forgetting import general_section, out_of_domain_section
from harness.report.sections.judges import judges_sections
from harness.report.sections.material import Material
from harness.report.sections.not_covered import not_covered_section
from harness.report.sections.outcome import primary_section, verdict_view
from harness.report.sections.overfitting import loss_section, overfitting_section
from harness.report.sections.plain_words import plain_section
from harness.report.sections.protocol import rules_section, run_section, words_section
from harness.report.sections.search import search_section
from harness.report.sections.sensitivity import sensitivity_section
from harness.report.sections.slices import slices_section
from harness.report.sections.spending import cost_section
from harness.report.sections.trade_off import trade_off_section
from harness.report.sections.writing import writing_section
from harness.spec import Experiment

# Sections on what training does, which a study of prompts only has not.
OF_TRAINING = frozenset({"claims", "trade-off", "general", "curves", "loss"})


def build_view(
    study: Study,
    experiment: Experiment,
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
        experiment: as ``study`` declared it.
        findings: what the analysis made of ``study``.
        now: time printed as the report's; the clock's if not given.
        rules: (outcome, condition) of the verdict's rules, to be printed.
        pictures: pictures of the searches that are long enough for them.
        samples: the test items with their replies; without them the report has no examples.
    """
    material = Material(study, experiment, findings, tuple(pictures), samples)
    question = wording.cell(experiment.question, 300)
    written = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M %Z").strip()
    return ReportView(
        title=question or f"{_asked(material)} {wording.cell(experiment.name)}",
        about=(
            ("Experiment", wording.cell(experiment.name)),
            ("Model", wording.cell(study.experiment.model.reference)),
            ("Report written", written),
        ),
        verdict=verdict_view(material),
        sections=tuple(
            section
            for section in _sections(material, tuple(rules))
            if section.blocks and not (material.prompts_only and section.key in OF_TRAINING)
        ),
        arms=material.arms,
    )


def _asked(material: Material) -> str:
    return "Which prompt?" if material.prompts_only else "Fine-tune or prompt?"


def _sections(material: Material, rules: tuple[tuple[str, str], ...]) -> tuple[Section, ...]:
    return (
        plain_section(material),
        primary_section(material),
        sensitivity_section(material),
        arms_section(material),
        claims_section(material),
        forest_section(material),
        slices_section(material),
        classes_section(material),
        confidence_section(material),
        not_covered_section(material),
        trade_off_section(material),
        search_section(material),
        writing_section(material),
        general_section(material),
        out_of_domain_section(material),
        overfitting_section(material),
        curves_section(material),
        loss_section(material),
        *judges_sections(material),
        cost_section(material),
        examples_section(material),
        run_section(material),
        rules_section(material, rules),
        words_section(material),
    )
