"""The section on the search: budgets, ends, savings, what was selected and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.findings import Effort, EffortReason, Findings, NextStep, Retuning
from harness.report import ReportView, to_html, to_markdown
from harness.report.chart_records import HistoryChart, SettingsChart
from harness.report.charts.svg import draw
from harness.report.document import Bullets, Facts, Figure, Prose, Table

from .example_study import NOW, findings, pictures, study, view_of
from .reading import Page, texts


@pytest.fixture(scope="module")
def view() -> ReportView:
    return view_of(study(), findings(), now=NOW, pictures=pictures())


def bullets(view: ReportView, heading: str) -> dict[str, str]:
    (found,) = [
        block
        for block in view.section("search").blocks
        if isinstance(block, Bullets) and block.heading == heading
    ]
    told = (text.partition(": ") for text in found.items)
    return {arm if rest else "": rest or arm for arm, _, rest in told}


def test_what_each_search_was_given_and_took(view: ReportView) -> None:
    found = next(b for b in view.section("search").blocks if isinstance(b, Table))
    headings = [column.heading for column in found.columns]
    rows = {row[0]: dict(zip(headings, row, strict=True)) for row in found.rows}
    assert rows["lora"]["Tokens processed"] == "200,400 of 200,000"
    assert rows["lora"]["Why it ended"] == "its tokens were spent"
    assert rows["zero-shot"]["Why it ended"] == "every setting was tried"
    assert rows["qlora"]["Why it ended"] == "not noted"
    assert rows["qlora"]["Tokens processed"] == "not measured"
    assert rows["few-shot"]["Completed"] == "5" and rows["few-shot"]["Stopped early"] == "3"
    # What all rows share is told below the table.
    assert "Minutes" not in headings and "In every row: Minutes: 1.6." in found.notes


def test_what_early_stopping_saved_is_told_with_its_pruner(view: ReportView) -> None:
    told = bullets(view, "What stopping weak trials early saved")
    assert told["few-shot"] == (
        "3 of 8 trials stopped early by the Wilcoxon pruner: worse than the best trial on the "
        "items asked so far; 80 of their 180 items saved."
    )
    assert told[""] == "No trial of full, lora and qlora was stopped early."
    quiet = tuple(replace(row, pruner="none", stopped=()) for row in findings().searches)
    assert "every one ran to its end" in shown(replace(findings(), searches=quiet))


def test_the_choice_and_its_reason(view: ReportView) -> None:
    told = bullets(view, "Which setting was selected")
    assert set(told) == {"few-shot", "full", "lora", "qlora"}
    assert told["full"] == (
        "the best validation score, 0.690 by trial 5, was passed over because it lost 9.4 points "
        "of general ability, more than the accepted 5.0 points; trial 3 with 0.640 (−1.2 points) "
        "was selected."
    )
    assert told["lora"] == (
        "trial 4 had the best validation score, 0.715, and kept general abilities within "
        "5.0 points (−0.4 points)."
    )
    assert told["qlora"].startswith(
        "none of 4 settings kept general abilities within the accepted loss of 5.0 points; trial "
        "1, which lost least (−6.0 points), was selected with 0.600"
    )
    assert told["qlora"].endswith("The best score, 0.660 by trial 2, lost more.")
    assert told["few-shot"] == "trial 0 had the best validation score, 0.632."


def test_a_better_setting_that_was_not_tested_yet() -> None:
    whole = findings()
    row = next(row for row in whole.searches if row.arm == "full")
    assert row.choice is not None
    newer = replace(row, choice=replace(row.choice, best_change=-0.01))
    told = shown(replace(whole, searches=(newer,)))
    assert "trial 5 has a better validation score now (0.690) and is not tested yet" in told


def shown(changed: Findings) -> str:
    view = view_of(study(), changed, now=NOW)
    return " | ".join(texts(replace(view, sections=(view.section("search"),))))


def test_importances_say_how_little_they_rest_on(view: ReportView) -> None:
    found = next(
        block
        for block in view.section("search").blocks
        if isinstance(block, Table) and block.caption == "Which settings mattered"
    )
    assert found.rows[0] == (
        "lora", "learning_rate", "70.0 %", "90.0 %", "8 trials: an indication only",
    )  # fmt: skip
    assert "fANOVA" in found.notes[0]
    alike = [replace(pictures()[0], importances={}, forgetting={})]
    page = " ".join(texts(view_of(study(), findings(), now=NOW, pictures=alike)))
    assert "all trials scored alike" in page


def test_short_searches_say_why_there_is_nothing_to_see(view: ReportView) -> None:
    (last,) = [b.text for b in view.section("search").blocks if isinstance(b, Prose)]
    assert "from 6 complete trials on" in last
    assert last.endswith("few-shot has 5 and qlora has 4.")


def test_drawings_take_the_pages_colours_and_say_what_to_see(view: ReportView) -> None:
    figures = [b for b in view.section("search").blocks if isinstance(b, Figure)]
    assert [figure.key for figure in figures] == ["search-history-0", "search-settings-0"]
    history, settings = (figure.chart for figure in figures)
    assert isinstance(history, HistoryChart) and isinstance(settings, SettingsChart)
    # The best so far is that of the trials that kept the general abilities.
    assert [place for place, _ in history.best] == [0, 1, 2, 4, 7]
    assert [place for place, _ in history.lost] == [5]
    assert history.selected == (4, 0.715)
    assert (settings.selected, settings.strength[4], settings.strength[0]) == (4, 1, 0)
    drawn = [draw(figure, view.arms) for figure in figures]
    assert drawn == [draw(figure, view.arms) for figure in figures]
    for text in ("best so far", "lost more than the margin", "selected"):
        assert f">{text}<" in drawn[0]
    for text in (">rate<", ">0.0001<", ">as &lt;b&gt;is&lt;/b&gt;<", ">reversed $x_<"):
        assert text in drawn[1]
    assert figures[0].see.startswith("The best score came with trial 4 (0.715)")
    assert "a dotted one lost more than 5.0 points" in figures[1].see
    page = to_html(view)
    assert "#123456" not in page
    assert Page(page).problems == []
    # They stand in the appendix, which a short text leaves out.
    assert "Which settings mattered" not in to_markdown(view)


def test_the_protocol_lists_the_rules_of_the_search(view: ReportView) -> None:
    facts = dict(
        pair for b in view.section("run").blocks if isinstance(b, Facts) for pair in b.items
    )
    assert facts["Settings proposed by"] == "Gaussian process"
    assert facts["Trials of an arm at once, at most"] == "2"
    assert facts["Forgetting in the search of fine-tuned arms"] == (
        "settings that lose more than 5.0 points are selected last"
    )
    assert facts["Fine-tuning trials stopped early"] == (
        "when below the median of the others; 2 checks of validation loss an epoch"
    )
    assert facts["Prompt trials stopped early"] == (
        "when worse than the best one by a Wilcoxon signed-rank test at level 0.05, after 24 items"
    )


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"forgetting": "ignore"}, "plays no part"),
        ({"forgetting": "objective"}, "a second objective"),
        ({"pruner": "halving"}, "by successive halving"),
        ({"pruner": "none", "prompt_pruner": "none"}, "never"),
    ],
)
def test_other_rules_read_otherwise(rules: dict[str, str], words: str) -> None:
    record = study().experiment
    spec = {**record.spec, "search": rules}
    changed = replace(study(), experiment=replace(record, spec=spec))
    view = view_of(changed, findings(), now=NOW)
    assert any(words in text for text in texts(replace(view, sections=(view.section("run"),))))


def test_where_a_search_should_go_on_is_said_with_the_range_to_try(view: ReportView) -> None:
    found = next(
        block.items
        for block in view.section("search").blocks
        if isinstance(block, Bullets) and block.heading == "Where the search should go on"
    )
    assert found == (
        "lora: the selected learning_rate, 0.0029, lies at the edge of what was searched (0.0001 "
        "to 0.003); try values up to 0.03.",
        "lora: the last 2 trials still brought 0.034 on validation; try 8 more trials.",
    )


def test_what_a_caveat_says_of_a_search_is_not_said_twice() -> None:
    whole = findings()
    edge = "lora: the selected learning_rate, 0.0029, lies at the edge; search up to 0.03."
    verdict = replace(whole.verdict, caveats=(edge,))
    told = shown(replace(whole, verdict=verdict)).partition("Where the search should go on")[2]
    assert "lies at the edge" not in told and "try 8 more trials" in told


def test_arms_that_were_hardly_tried_have_their_lines_where_no_step_has_them() -> None:
    def effort(arm: str, *lines: str) -> Effort:
        reasons = tuple(EffortReason("one_setting", "Only one.", line) for line in lines)
        return Effort(arm, reasons)

    step = NextStep("harder", "Try full harder", ("arms.full.epochs: 3", "data.limits.train: null"),
                    command=False, changes="It may do better.")  # fmt: skip
    tried = (
        effort("full", "arms.full.epochs: 3", "data.limits.train: null"),
        effort("lora", "arms.lora.epochs: 3", "data.limits.train: null"),
        effort("qlora"),
    )
    view = view_of(study(), replace(findings(), effort=tried, next_steps=(step,)), now=NOW)
    assert bullets(view, "Arms that were hardly tried: what to run next") == {
        "lora": "`arms.lora.epochs: 3`; `data.limits.train: null`"
    }


def test_columns_of_what_did_not_happen_vanish() -> None:
    calm = tuple(replace(row, pruned=0, failed=0) for row in findings().searches)
    view = view_of(study(), replace(findings(), searches=calm), now=NOW)
    found = next(b for b in view.section("search").blocks if isinstance(b, Table))
    headings = [column.heading for column in found.columns]
    assert not {"Stopped early", "Failed"} & set(headings)


def test_settings_tried_stand_in_the_table_of_arms(view: ReportView) -> None:
    tables = [block for block in view.section("arms").blocks if isinstance(block, Table)]
    effort = next(block for block in tables if block.caption == "Effort and running cost")
    place = [column.heading for column in effort.columns].index("Settings tried")
    assert {row[0]: row[place] for row in effort.rows} == {
        "zero-shot": "1 of 1",
        "few-shot": "8 of 24",
        "full": "7 of infinitely many",
        "lora": "8 of infinitely many",
        "qlora": "8 of infinitely many",
    }


def test_searches_of_an_arm_are_told_apart() -> None:
    told = findings()
    lora = next(row for row in told.searches if row.arm == "lora")
    assert lora.choice is not None
    searches = [
        replace(lora, repeat=n, repeats=2, choice=replace(lora.choice, params={"rank": rank}))
        for n, rank in enumerate((8, 64))
    ]
    others = [row for row in told.searches if row.arm != "lora"]
    arms = [replace(row, searches=2 if row.arm == "lora" else 1) for row in told.arms]
    again = replace(
        told,
        arms=tuple(arms),
        searches=(*others, *searches),
        retuning=(Retuning("lora", 2, 4, 0.031, 0.025), Retuning("few-shot", 3, 3, 0.02, None)),
    )
    view = view_of(study(), again, now=NOW)
    assert {"lora, search 1 of 2", "lora, search 2 of 2"} <= set(
        bullets(view, "Which setting was selected")
    )
    said = bullets(view, "What tuning again changes")
    assert said["lora"] == (
        "the test scores of its 2 searches have a standard deviation of 0.031; without what "
        "the seeds of their 4 final runs explain it is 0.025."
    )
    assert said["few-shot"].endswith("seeds included: each search has one final run.")
    settings = next(
        block
        for block in view.section("arms").blocks
        if isinstance(block, Table) and block.caption == "Setting that validation selected"
    )
    ranks = [row for row in settings.rows if row[0].startswith("lora") and row[1] == "rank"]
    assert ranks == [
        ("lora, search 1 of 2", "rank", "8"),
        ("lora, search 2 of 2", "rank", "64"),
    ]


def test_what_each_way_of_answering_scored_is_told() -> None:
    found = findings()
    ways = {"generate": 0.7, "choice": 0.85}
    searches = tuple(
        replace(row, choice=row.choice and replace(row.choice, ways=ways))
        if row.arm == "lora"
        else row
        for row in found.searches
    )
    told = view_of(study(), replace(found, searches=searches), now=NOW)
    heading = "Ways of answering, scored with the same trained weights: the best is kept"
    (sentence,) = bullets(told, heading).values()
    assert sentence == "generate 0.700 and choice 0.850 on validation."


def test_a_secondary_contrast_between_two_ways_of_decoding_says_so() -> None:
    found = findings()
    first, *others = found.secondary
    sentence = "a writes its answer freely and b picks: their difference is of both."
    changed = replace(found, secondary=(replace(first, decoding=sentence), *others))
    assert sentence not in to_markdown(view_of(study(), found, now=NOW))
    assert sentence in to_markdown(view_of(study(), changed, now=NOW))
