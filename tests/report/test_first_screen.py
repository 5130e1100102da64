"""What is enough to decide by: the picture, the row of each arm, the next steps, their links."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from harness.findings import Findings
from harness.report import ReportView, to_html, to_markdown
from harness.report.chart_records import ScaleChart
from harness.report.document import APPENDIX, FirstScreen, Table
from harness.spec import Experiment

from .example_study import (
    EXPERIMENT,
    NOW,
    arm,
    findings,
    no_findings,
    study,
    undecided,
    unfinished_study,
    view_of,
)
from .reading import Page


def first_of(found: Findings | None = None, **parts: object) -> FirstScreen:
    view = view_of(study(), found or findings(), now=NOW, **parts)
    assert view.first is not None
    return view.first


def charts(first: FirstScreen) -> dict[str, ScaleChart]:
    found = {figure.key: figure.chart for figure in first.pictures}
    assert all(isinstance(chart, ScaleChart) for chart in found.values())
    return found  # type: ignore[return-value]


def cells(table: Table | None) -> dict[str, dict[str, str]]:
    assert table is not None
    headings = [column.heading for column in table.columns]
    return {row[0]: dict(zip(headings, row, strict=True)) for row in table.rows}


def test_every_arm_stands_on_one_scale_the_best_first_the_base_last() -> None:
    chart = charts(first_of())["glance"]
    assert [row.label for row in chart.rows] == [
        "lora", "full", "qlora", "few-shot", "zero-shot", "base, untouched",
    ]  # fmt: skip
    assert [row.strong for row in chart.rows] == [True, False, False, False, False, False]
    lora, base = chart.rows[0], chart.rows[-1]
    assert (lora.value, lora.low, lora.high) == pytest.approx((0.695, 0.654, 0.736))
    assert (base.value, base.low, base.arm) == (0.4, None, "base")
    # The margin around the arm that the primary contrast compares with.
    assert chart.band == pytest.approx((0.612 - 0.03, 0.612 + 0.03))
    assert "shaded: within ±0.030 of few-shot" in chart.axis


def test_a_reference_without_a_language_model_is_in_the_picture() -> None:
    whole = findings()
    reference = replace(arm("zero-shot", 0.66), arm="words", kind="classifier")
    first = first_of(replace(whole, arms=(*whole.arms, reference)))
    assert "words" in {row.label for row in charts(first)["glance"].rows}
    assert cells(first.table)["words"]["General ability"] == "-"


def test_forgetting_stands_beside_it_with_the_worst_ability() -> None:
    first = first_of()
    chart = charts(first)["kept"]
    assert [row.label for row in chart.rows] == [
        "full\nworst: capitals −10.4", "lora\nworst: capitals −1.8",
        "qlora\nworst: capitals −4.1",
    ]  # fmt: skip
    assert chart.band == pytest.approx((-5.0, 0.0)) and chart.line == 0.0
    assert first.pictures[1].see == "Lost more than the accepted 5.0 points: full."
    kept = replace(findings(), forgetting=findings().forgetting[1:2])
    assert first_of(kept).pictures[1].see.startswith("No arm is shown to have lost more")


def test_the_row_of_an_arm_has_money_and_how_hard_it_was_tried() -> None:
    first = first_of()
    rows = cells(first.table)
    assert rows["lora"] == {
        "Arm": "lora",
        "Field F1": "0.695 (0.654 to 0.736)",
        "General ability": "−0.8 points, kept",
        "A year at 100,000 requests a month": "13.69 EUR",
        "Tried": "8 settings, 96 rows, 3 seeds",
    }
    assert rows["zero-shot"]["A year at 100,000 requests a month"] == "not measured"
    assert rows["base, untouched"]["Field F1"] == "0.400"
    assert first.table is not None and first.table.strong == (3,)


def test_without_a_volume_money_is_that_of_a_thousand_requests() -> None:
    spec = {**EXPERIMENT.plain(), "cost": {"requests_per_month": 0}}
    whole = study()
    changed = replace(whole, experiment=replace(whole.experiment, spec=spec))
    Experiment.model_validate(spec)
    first = view_of(changed, findings(), now=NOW).first
    assert first is not None
    assert cells(first.table)["few-shot"]["1,000 requests"] == "0.041 EUR"


def test_the_steps_have_their_lines_their_place_and_their_time() -> None:
    harder, use = first_of().steps
    assert harder.lines == ("budget.trials: 16", "arms.lora.epochs: 4") and not harder.command
    assert harder.where == (
        "in the experiment file (trials stands below budget), then run it again"
    )
    assert harder.took == "about 25 minutes to run"
    assert use.command and use.where == "in a terminal" and use.took == ""
    steps = replace(findings().next_steps[0], seconds=None, lines=("seeds: [1]", "arms.a.b: 2"))
    (unknown,) = first_of(replace(findings(), next_steps=(steps,))).steps
    assert "file (b stands below arms, then a), then run" in unknown.where
    plain = replace(steps, lines=("seeds: [1, 2]",))
    (unnested,) = first_of(replace(findings(), next_steps=(plain,))).steps
    assert unnested.where == "in the experiment file, then run it again"
    assert unknown.took == "`harness plan` says how long"


def test_what_is_missing_is_left_out() -> None:
    empty = view_of(unfinished_study(), no_findings(), now=NOW).first
    assert empty == FirstScreen((), None, ())
    without = replace(findings(), primary=None, forgetting=())
    assert charts(first_of(without))["glance"].band is None
    assert "General ability" not in cells(first_of(without).table)["lora"]
    rows = charts(first_of(undecided()))["glance"].rows
    assert "zero-shot" not in {row.label for row in rows}  # it has no score
    unknown = replace(findings().forgetting[0], mean_change=math.nan)
    assert len(first_of(replace(findings(), forgetting=(unknown,))).pictures) == 1


def test_every_link_of_the_page_leads_somewhere(view: ReportView) -> None:
    for found in (findings(), undecided(), no_findings()):
        parsed = Page(to_html(view_of(study(), found, now=NOW)))
        ids = {value for _, name, value in parsed.attributes if name == "id"}
        links = [v for tag, name, v in parsed.attributes if (tag, name) == ("a", "href")]
        assert links and {link.removeprefix("#") for link in links} <= ids
    linked = set(re.findall(r'<td[^>]*><bdi><a href="#(\w+)">', to_html(view)))
    assert linked == {"arms", "general", "cost", "search"}


def test_each_question_opens_with_its_answer(view: ReportView) -> None:
    answers = {chapter.heading: chapter.answer for chapter in view.chapters}
    assert answers["Is it better?"] == (
        "lora is better than few-shot. The difference is +0.083 (95 % interval +0.041 to +0.125) "
        "on 200 items."
    )
    assert answers["For whom, and for whom not?"] == (
        "Of 24 test items, lora does better on 16 and few-shot on 8."
    )
    assert "lora −0.8 points (kept), capitals −1.8 points" in answers["What does it lose?"]
    assert answers["What does it cost?"].endswith("lora 13.69 EUR and few-shot 49.44 EUR.")
    assert "changes in 1 of 4 cases" in answers["Could it be chance, luck of tuning, or a leak?"]
    text = to_markdown(view)
    places = [text.index(f"## {chapter.heading}") for chapter in view.chapters[:-1]]
    assert places == sorted(places)


def test_the_appendix_is_closed_until_asked_for(view: ReportView) -> None:
    shut, opened = to_html(view), to_html(view, appendix=True)
    assert '<details class="appendix" id="appendix">' in shut
    assert '<details class="appendix" id="appendix" open>' in opened
    before = shut.partition('<details class="appendix"')[0]
    for section in view.sections:
        place = f'<section id="{section.key}">'
        assert (place in before) is (section.chapter != APPENDIX.key), section.key
    assert len(Page(before.partition("<main")[2]).text.split()) < 3_500


def test_the_brief_has_the_first_screen_and_the_answers_alone(view: ReportView) -> None:
    brief = to_html(view, brief=True)
    parsed = Page(brief)
    assert parsed.problems == []
    assert "script" not in parsed.tags and "<nav" not in brief
    for chapter in view.chapters[:-1]:
        assert chapter.answer in parsed.text
    for sentence in view.verdict.caveats:
        assert " ".join(sentence.split()) in parsed.text
    assert "Secondary contrasts" not in parsed.text
    assert not [v for tag, name, v in parsed.attributes if (tag, name) == ("a", "href")
                and v not in ("#content", "#grounds")]  # fmt: skip


def test_a_reason_that_is_a_next_step_is_not_told_twice() -> None:
    whole = findings()
    lines = whole.next_steps[0].lines
    for named, kept in ((lines, False), ((*lines, "seeds: [1, 2]"), True)):
        reason = f"Run next: {'; '.join(named)}."
        verdict = replace(whole.verdict, reasons=("A reason.", reason))
        view = view_of(study(), replace(whole, verdict=verdict), now=NOW)
        assert (reason in view.verdict.reasons) is kept
        assert "A reason." in view.verdict.reasons
