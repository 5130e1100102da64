"""From a study and its findings to the report's contents, the same for every format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from harness import wording
from harness.findings import Findings, Samples, SearchPicture
from harness.records import Study
from harness.report.document import APPENDIX, Bullets, ReportView, Section
from harness.report.sections import answers
from harness.report.sections.arms import arms_section
from harness.report.sections.claims import claims_section
from harness.report.sections.classes import classes_section
from harness.report.sections.confidence import confidence_section
from harness.report.sections.contrasts import forest_section
from harness.report.sections.curves import curves_section
from harness.report.sections.examples import examples_section
from harness.report.sections.first_screen import first_screen
from harness.report.sections.forgetting import general_section, out_of_domain_section
from harness.report.sections.judges import judges_section
from harness.report.sections.leakage import leakage_section
from harness.report.sections.material import Material
from harness.report.sections.not_covered import not_covered_section
from harness.report.sections.outcome import primary_section, verdict_view
from harness.report.sections.overfitting import loss_section, overfitting_section
from harness.report.sections.plain_words import plain_section
from harness.report.sections.protocol import run_section, words_section
from harness.report.sections.search import search_section
from harness.report.sections.sensitivity import sensitivity_section
from harness.report.sections.slices import slices_section
from harness.report.sections.spending import cost_section
from harness.report.sections.trade_off import trade_off_section
from harness.report.sections.verdict_rules import rules_section
from harness.report.sections.writing import writing_section
from harness.spec import Experiment

# Each section with the question that it belongs to, in the order of the report.
SECTIONS: tuple[tuple[Callable[[Material], Section], str], ...] = (
    (primary_section, answers.BETTER),
    (arms_section, answers.BETTER),
    (forest_section, answers.BETTER),
    (slices_section, answers.WHOM),
    (classes_section, answers.WHOM),
    (confidence_section, answers.WHOM),
    (examples_section, answers.WHOM),
    (general_section, answers.LOSES),
    (trade_off_section, answers.LOSES),
    (out_of_domain_section, answers.LOSES),
    (cost_section, answers.COST),
    (sensitivity_section, answers.CHANCE),
    (not_covered_section, answers.CHANCE),
    (search_section, answers.CHANCE),
    (writing_section, answers.CHANCE),
    (overfitting_section, answers.CHANCE),
    (curves_section, answers.CHANCE),
    (leakage_section, answers.CHANCE),
    (judges_section, answers.CHANCE),
    (run_section, answers.RUN),
    (plain_section, APPENDIX.key),
    (claims_section, APPENDIX.key),
    (loss_section, APPENDIX.key),
    (rules_section, APPENDIX.key),
    (words_section, APPENDIX.key),
)
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
    material = Material(study, experiment, findings, tuple(pictures), samples, tuple(rules))
    question = wording.cell(experiment.question, 300)
    written = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M %Z").strip()
    built = [
        section
        for build, chapter in SECTIONS
        if (section := replace(build(material), chapter=chapter)).key not in OF_TRAINING
        or not material.prompts_only
    ]
    return ReportView(
        title=question or f"{_asked(material)} {wording.cell(experiment.name)}",
        about=(
            ("Experiment", wording.cell(experiment.name)),
            ("Model", wording.cell(study.experiment.model.reference)),
            ("Report written", written),
        ),
        verdict=verdict_view(material),
        sections=tuple(
            section for section in (*built, _unmeasured(built)) if section.shown or section.details
        ),
        arms=material.arms,
        first=first_screen(material),
        chapters=answers.chapters(material),
    )


def _asked(material: Material) -> str:
    return "Which prompt?" if material.prompts_only else "Fine-tune or prompt?"


def _unmeasured(sections: Iterable[Section]) -> Section:
    """All that was not measured in one list, with how it would be."""
    found = dict.fromkeys(missing for section in sections for missing in section.unmeasured)
    listed = tuple(f"{missing.what}: {missing.how}" for missing in found)
    blocks = (Bullets("", listed),) if listed else ()
    return Section("unmeasured", "What was not measured", blocks, chapter=answers.RUN)
