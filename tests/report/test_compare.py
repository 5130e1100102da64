"""Experiments side by side: the verdict first, and each refusal with its reason and remedy."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from harness.analysis.comparison.across_studies import compare_studies
from harness.analysis.whole_study import analyse
from harness.findings import StudyComparison
from harness.records import Study
from harness.report import (
    ComparisonView,
    build_comparison,
    comparison_json,
    print_report,
    to_html,
    to_markdown,
)
from harness.report.document import Figure, Prose, Table
from tests.analysis.study_builder import whole_study

from .example_study import NOW, RICH, SCRIPT
from .reading import Page, squeezed, texts


def study(name: str, *, moved: bool = False, **changes: Any) -> Study:
    whole = whole_study(**changes).build()
    record = replace(whole.experiment, name=name, experiment_id=f"{name}-id")
    vectors = tuple(
        replace(v, doc_hashes=tuple(f"other {key}" for key in v.doc_hashes)) if moved else v
        for v in whole.vectors
    )
    return replace(whole, experiment=record, vectors=vectors)


def compared(*studies: Study) -> StudyComparison:
    pairs = [(one, analyse(one, resamples=200, sensitivity=False)) for one in studies]
    return compare_studies(pairs, resamples=400)


def view_of(*studies: Study) -> ComparisonView:
    return build_comparison(compared(*studies), now=NOW)


def section(view: ComparisonView, key: str) -> tuple[list[Table], list[str]]:
    found = next(section for section in view.sections if section.key == key).blocks
    return (
        [block for block in found if isinstance(block, Table)],
        [block.text for block in found if isinstance(block, Prose)],
    )


def test_the_verdict_says_what_changed_in_the_score_and_beside_what() -> None:
    view = view_of(study("before", tuned=0.6), study("after", tuned=0.8, budget={"trials": 9}))
    assert view.verdict.label == "Better"
    assert view.verdict.headline.startswith(
        "lora of after is better than lora of before: 80.0 % against 60.0 % in exact match on 200 "
        "common test items, +20.0 points (95 % interval +"
    )
    assert view.verdict.detail == "All of them say: Fine-tune."
    assert "Between before and after only budget.trials differs." in view.verdict.reasons
    (settings,), _ = section(view, "settings")
    assert settings.caption == "Budgets, search and seeds"
    assert settings.rows == (("budget.trials", "2", "9"),)
    (paired,), _ = section(view, "differences")
    row = dict(zip([column.heading for column in paired.columns], paired.rows[0], strict=True))
    assert (row["Arm"], row["Score"], row["Reference"]) == ("lora", "80.0 %", "60.0 %")
    assert (row["Difference"], row["Reading"]) == ("+20.0 points", "better")
    (scores,), _ = section(view, "scores")
    assert scores.rows[-1] == ("Test items", "200", "200")
    (general,), _ = section(view, "general")
    assert general.rows[0][0] == "lora" and "kept" in general.rows[0][1]
    assert section(view, "refusals") == ([], ["Everything that the experiments have in common was "
                                              "compared."])  # fmt: skip


def test_three_studies_are_drawn_against_the_first() -> None:
    view = view_of(study("one", tuned=0.6), study("two", tuned=0.8), study("three", tuned=0.4))
    assert view.verdict.label == "It depends"
    assert view.verdict.headline == "Compared with one: two is better; three is worse."
    assert view.verdict.detail.startswith("Their own verdicts differ. one: Fine-tune; two:")
    figures = [b for s in view.sections for b in s.blocks if isinstance(b, Figure)]
    assert figures[0].see.startswith("Of 4 differences to one: 1 better, 1 worse, ")
    (paired,), _ = section(view, "differences")
    assert [row[1] for row in paired.rows] == ["two against one"] * 2 + ["three against one"] * 2


def test_a_refusal_is_in_the_report_and_in_the_terminal_with_its_remedy() -> None:
    task = {"instruction": "Name it.", "answer": {"kind": "text", "column": "label"}}
    view = view_of(study("before"), study("after", task=task))
    assert view.verdict.label == "Not comparable"
    assert view.verdict.headline == "Compared with before: after is not comparable."
    stream = io.StringIO()
    print_report(view, Console(file=stream, width=400, color_system=None))
    for shown in (stream.getvalue(), to_markdown(view), Page(to_html(view)).text):
        assert "ask for different answers: task.answer.kind differs, so" in squeezed(shown)
        assert "Give both experiments the same task.answer" in squeezed(shown)


def test_samples_of_other_items_claim_no_better_setting() -> None:
    view = view_of(study("before", tuned=0.6), study("after", tuned=0.8, moved=True))
    assert view.verdict.label == "Not told apart from the items"
    assert "items and settings together" in view.verdict.headline
    (unpaired,), _ = section(view, "differences")
    assert unpaired.caption.startswith("Unpaired differences")
    (refused,), _ = section(view, "refusals")
    assert refused.rows[0][1] == "item by item"


def test_every_format_holds_every_text_and_hostile_names_stay_text() -> None:
    hostile = [study(f"{name} {SCRIPT} {RICH}", tuned=score) for name, score in (("a", 0.6),
               ("b", 0.8))]  # fmt: skip
    view = view_of(*hostile)
    page = to_html(view)
    parsed = Page(page)
    assert parsed.problems == []
    assert not {"script", "img", "iframe", "link"} & set(parsed.tags)
    assert "prefers-color-scheme: dark" in page and "default-src 'none'" in page
    for text in texts(view):
        assert squeezed(text) in parsed.text
    stream = io.StringIO()
    print_report(view, Console(file=stream, width=400, color_system=None))
    assert "[red]not red[/red]" in stream.getvalue()
    assert '"schema": "harness.comparison/1"' in comparison_json(compared(*hostile), now=NOW)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_narrow_terminal_breaks_no_word(width: int) -> None:
    names = ("support-tickets-january", "support-tickets-february", "support-tickets-march")
    view = view_of(study(names[0]), study(names[1]), study(names[2], moved=True))
    stream = io.StringIO()
    print_report(view, Console(file=stream, width=width, color_system=None))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    words = set(stream.getvalue().split())
    tables = (b for one in view.sections for b in one.blocks if isinstance(b, Table))
    for table in tables:
        for row in table.rows:
            brief = (c for c, column in zip(row, table.columns, strict=True) if column.brief)
            assert {word for cell in brief for word in cell.split()} <= words
