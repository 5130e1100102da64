"""The report of a study of prompts only speaks of prompts alone."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.analysis.whole_study import analyse
from harness.report import build_view
from harness.report.document import ReportView
from harness.report.formats.markdown import to_markdown
from harness.report.formats.terminal import print_report
from tests.analysis.study_builder import StudyBuilder, experiment, right

SHARES = {"zero-shot": 0.5, "few-shot": 0.8, "choice": 0.6}


@pytest.fixture(scope="module")
def view() -> ReportView:
    """Three prompt arms; validation picked few-shot, which is the best on test."""
    built = StudyBuilder(experiment(dict.fromkeys(SHARES, "prompt")))
    for arm, share in SHARES.items():
        built.search(arm, [share, share - 0.1])
        for seed in (1, 2, 3):
            built.finalist(arm, seed, {"test": right(share), "validation": right(share)})
    study = built.build()
    return build_view(study, built.experiment, analyse(study, resamples=400))


def test_nothing_is_said_of_training(view: ReportView) -> None:
    told = view.sections
    keys = {section.key for section in told}
    assert not keys & {"claims", "trade-off", "general", "curves", "loss"}
    # The rules are those of every study, the words a glossary, the file every setting.
    text = to_markdown(
        ReportView(
            view.title,
            view.about,
            view.verdict,
            tuple(s for s in told if s.key not in {"rules", "words", "run"}),
        )
    ).lower()
    for word in ("fine-tun", "forg", "lora", "adapter"):
        assert word not in text, word


def test_the_verdict_and_its_figures(view: ReportView) -> None:
    assert view.title == "Which prompt? small"
    assert view.verdict.label == "The best prompt is found"
    assert view.verdict.headline == "Use few-shot: it is better than choice and zero-shot."
    terms = [term for term, _ in view.verdict.figures]
    assert terms[0].startswith("Prompt arm picked on validation (few-shot)")
    assert terms[1].startswith("Prompt arm (choice)")


def test_the_primary_contrast_is_one_of_a_family(view: ReportView) -> None:
    text = to_markdown(view)
    assert "the prompt arm picked on validation against the one that came second there" in text
    assert "after Holm's correction for the 2 contrasts of the ranking" in text
    assert "over one family: these and the primary contrast" in text


def test_it_is_printed(view: ReportView) -> None:
    out = io.StringIO()
    print_report(view, Console(file=out, width=120))
    assert "The best prompt is found" in out.getvalue()
