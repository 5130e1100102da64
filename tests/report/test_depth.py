"""What goes beyond the verdict: claims, sensitivity, curves, memorising, tuning, leakage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.findings import Findings, Interval, TaskDivergence
from harness.report import ReportView, to_html, to_markdown
from harness.report.chart_records import TradeOffChart
from harness.report.document import Bullets, Facts, Figure, Prose, Table

from .example_study import (
    NOW,
    RICH,
    RULES,
    SCRIPT,
    contrast,
    curve,
    equivalent,
    findings,
    no_findings,
    older,
    study,
    unaudited_study,
    unfinished_study,
    view_of,
)
from .reading import Page, texts


@pytest.fixture(scope="module")
def view() -> ReportView:
    return view_of(study(), findings(), now=NOW, rules=RULES)


@pytest.fixture(scope="module")
def unmeasured() -> tuple[ReportView, str, str]:
    """A study in which little was measured, and its report in two formats."""
    view = view_of(unaudited_study(), older(), now=NOW, rules=RULES)
    return view, to_html(view), to_markdown(view)


def shown(changed: Findings, section: str) -> str:
    """All of a section's text, with the findings exchanged."""
    view = view_of(study(), changed, now=NOW, rules=RULES)
    return " | ".join(texts(replace(view, sections=(view.section(section),))))


def tables(view: ReportView, section: str) -> dict[str, Table]:
    return {b.caption: b for b in view.section(section).blocks if isinstance(b, Table)}


def rows(found: Table) -> dict[str, tuple[str, ...]]:
    return {row[0]: row[1:] for row in found.rows}


def facts(view: ReportView) -> dict[str, str]:
    blocks = view.section("primary").blocks
    return dict(pair for b in blocks if isinstance(b, Facts) for pair in b.items)


def missing(view: ReportView) -> dict[str, str]:
    (found,) = view.section("unmeasured").blocks
    assert isinstance(found, Bullets)
    return {what: how for what, _, how in (item.partition(": ") for item in found.items)}


def test_claims_have_a_status_and_a_reason(view: ReportView) -> None:
    intro, claims = view.section("claims").blocks
    assert isinstance(intro, Prose) and isinstance(claims, Table)
    assert intro.text == (
        "Of 5 common claims: 2 held, 1 did not hold, 1 undecided and 1 not tested."
    )
    found = rows(claims)
    assert found["LoRA comes close to full fine-tuning"] == (
        "held", "+0.004 field F1 (90 % interval −0.016 to 0.0243)", "equivalent within ±0.03",
    )  # fmt: skip
    # The interval that the words hold already is not said twice.
    assert found["Fine-tuning improves accuracy for the use case"][1].count("interval") == 1
    assert claims.rows[-1][1:3] == ("not tested", "not measured")


def test_the_verdicts_turning_points(view: ReportView) -> None:
    found = rows(tables(view, "sensitivity")["Assumptions that would change the verdict"])
    assert found["margin of the comparison"] == ("0.03", "up to 0.0412", "Not decided yet")
    assert found["accepted loss of general ability"][:2] == ("5 points", "down to 3.2 points")
    assert found["limit on latency"] == (
        "not declared", "down to 655 ms", "Prompt, do not fine-tune (few-shot)",
    )  # fmt: skip
    told = [b.text for b in view.section("sensitivity").blocks if isinstance(b, Prose)]
    assert told[0].endswith("requests a month (up to 100,000,000 or down to 0).")
    assert "changes in 1 of 4" in told[1]


def test_evidence_that_turns_the_verdict_stands_out(view: ReportView) -> None:
    cut = tables(view, "sensitivity")["The verdict with a part of the evidence left out"]
    assert [cut.rows[index][0] for index in cut.strong] == ["seed 2"]
    assert not cut.folded


@pytest.mark.parametrize(
    ("last", "change", "expected"),
    [
        (0.041, 0.07, ("more data would probably help", "overfits less with more data")),
        (0.01, 0.01, ("whether more data would help cannot be told", "lessens overfitting cannot")),
        (-0.08, -0.07, ("whether more data would help cannot be told", "overfits more")),
    ],
)
def test_curves_promise_no_more_than_their_intervals(
    last: float, change: float, expected: tuple[str, str]
) -> None:
    told = shown(replace(findings(), curves=(curve("lora", last, change),)), "curves")
    assert all(text in told for text in expected)
    assert ("would probably help" in told) is (last == 0.041)


def test_an_arm_with_one_size_promises_nothing() -> None:
    whole = curve("lora", 0.04, 0.07)
    short = replace(
        whole, points=whole.points[-1:], last_gain=None, last_gain_interval=None, gap_change=None
    )
    told = shown(replace(findings(), curves=(short,)), "curves")
    assert "fewer than two sizes" in told and "probably" not in told


def test_memorising_has_a_sentence_for_each_arm(view: ReportView) -> None:
    found = next(
        b for b in view.section("overfitting").blocks
        if isinstance(b, Bullets) and "memorised" in b.heading
    )  # fmt: skip
    assert [text.partition(";")[0] for text in found.items] == [
        "full: memorised", "lora: memorised in part", "qlora: not shown to have memorised",
    ]  # fmt: skip


def test_arms_that_memorised_alike_have_one_sentence() -> None:
    whole = findings()
    row = next(row for row in whole.memorisation if not row.memorised)
    alike = tuple(replace(row, arm=arm) for arm in ("full", "lora"))
    told = shown(replace(whole, memorisation=alike), "overfitting")
    assert told.count("full and lora: not shown to have memorised") == 1


def test_what_tuning_gained_is_told_in_words(view: ReportView) -> None:
    found = tables(view, "arms")
    gained = rows(found["What tuning gained, on test data"])
    assert [row[-1] for row in gained.values()] == [
        "validation kept the default", "better than the default", "the default was not tested",
    ]  # fmt: skip
    assert gained["full"][0] == "not measured"
    changed = found["Settings that tuning changed"].rows
    assert {(row[0], row[1]) for row in changed} == {
        ("lora", "learning_rate"), ("lora", "rank"), ("full", "learning_rate"),
    }  # fmt: skip


def test_an_arm_short_of_its_budget_is_named(view: ReportView) -> None:
    budget = tables(view, "search")["The search budget side by side"]
    assert rows(budget)["full"][:4] == ("8 of 8", "7", "0", "1")
    assert budget.notes[1].startswith("full got less than the declared budget")
    whole = findings()
    alike = tuple(replace(row, short_of_budget=False) for row in whole.arms)
    assert "got less than" not in shown(replace(whole, arms=alike), "search")


def test_search_trials_are_hollow_and_finalists_filled(view: ReportView) -> None:
    figure = next(b for b in view.section("trade-off").blocks if isinstance(b, Figure))
    assert isinstance(figure.chart, TradeOffChart)
    assert {point.final for point in figure.chart.points} == {True, False}
    assert "on validation over the untouched base" in figure.chart.x_axis
    page = to_html(view)
    assert "hollow: trials of the search" in page
    assert "hollow: trials" not in to_html(view_of(study(), older(), now=NOW))


def test_effects_of_settings_are_associations(view: ReportView) -> None:
    told = tables(view, "trade-off")["Which settings went with forgetting"]
    assert told.rows[0][-1] == "higher learning_rate went with more forgetting (−0.71)"
    assert told.rows[1][-1] == "no direction can be told"
    assert "no experiment" in told.notes[0]


def test_equivalence_shows_the_interval_it_rests_on(view: ReportView) -> None:
    whole = replace(findings(), primary=replace(equivalent(), primary=True))
    text = facts(view_of(study(), whole, now=NOW))["Interval for being equal"]
    assert text == "−0.016 to +0.024 (90 %), all within ±0.030"
    notes = tables(view, "contrasts")["Secondary contrasts in field F1"].notes
    assert any("90 % interval" in note for note in notes)
    assert "one fine-tuned arm against another" in shown(whole, "primary")


def test_items_outside_a_contrast_are_counted_in_words(view: ReportView) -> None:
    found = facts(view)
    assert found["Not compared"] == "1 that could not be scored"
    assert found["Without items that share text with training"] == (
        "12 items flagged; on the other 188 +0.081 (95 % interval +0.039 to +0.123), "
        "the same outcome"
    )
    again = rows(
        tables(view, "contrasts")["Secondary contrasts without items that share text with training"]
    )
    assert again["full against few-shot"][-1] == "another"
    assert again["zero-shot against few-shot"][1:] == (
        "−0.204", "not measured", "not measured", "too few items are left",
    )  # fmt: skip


def test_that_no_item_was_flagged_is_said() -> None:
    unflagged = replace(contrast("lora", "few-shot", 0.08, 0.04), flagged=0, without_flagged=None)
    whole = replace(findings(), primary=unflagged)
    key = "Without items that share text with training"
    assert facts(view_of(study(), whole, now=NOW))[key] == "no item compared was flagged"


def test_forgetting_tells_distance_and_what_would_settle_it(view: ReportView) -> None:
    found = tables(view, "general")["General ability as a whole"]
    headings = [column.heading for column in found.columns]
    by_arm = {row[0]: dict(zip(headings, row, strict=True)) for row in found.rows}
    assert by_arm["qlora"]["Items per task to settle it"] == "410"
    assert by_arm["lora"]["Items per task to settle it"] == "settled"
    assert by_arm["lora"]["Distance from the base"] == "0.087"
    assert by_arm["qlora"]["Distance from the base"] == "not measured"
    tasks = tables(view, "general")["Each general task against the untouched base"].rows
    assert {row[0]: row[-1] for row in tasks} == {
        "capitals": "100 (3)", "grammar": "100 (0)", "editorial-text": "100 (?)",
    }  # fmt: skip


def test_the_base_stands_beside_the_arms_on_other_data(view: ReportView) -> None:
    found = rows(tables(view, "out-of-domain")["Out-of-domain scores (field F1)"])
    assert found["base"] == ("0.400", "not measured", "0.310")


def test_memory_is_measured_and_reckoned(view: ReportView) -> None:
    found = tables(view, "cost")["Memory to train: measured here, and by arithmetic"]
    assert [column.heading for column in found.columns[2:]] == [
        "134.5 M parameters (this model)", "7 B parameters", "65 B parameters",
    ]  # fmt: skip
    assert rows(found)["LoRA"][0] == "1.3 GiB"
    assert "without activations" in found.notes[0]


def test_the_deciding_rule_is_marked(view: ReportView) -> None:
    intro, found = view.section("rules").blocks
    assert isinstance(intro, Prose) and isinstance(found, Table)
    assert found.strong == (0,)
    assert intro.text.endswith("Here it was rule 1 of 3: better and kept.")
    unknown = replace(findings(), verdict=replace(findings().verdict, rule=""))
    assert "Here it was" not in shown(unknown, "rules")


def test_leaks_are_counted_by_data_and_kind(view: ReportView) -> None:
    found = tables(view, "leakage")
    assert rows(found["Items that share text"]) == {
        "validation, with training": ("1", "0", "0"), "test, with training": ("1", "4", "0"),
        "test, with validation": ("0", "3", "1"),
    }  # fmt: skip
    assert rows(found["General items that share text with training"]) == {
        "capitals": ("0", "2", "1")
    }
    pairs = found["Pairs that share most text"]
    assert pairs.folded and pairs.rows[0][3:] == ("test", "same text", "1", "23")


def test_no_leak_at_all_is_a_sentence() -> None:
    (told, *_) = view_of(unfinished_study(), no_findings(), now=NOW).section("leakage").blocks
    assert told == Prose(
        "No validation or test item shares text with training, and no test item with validation, "
        "which chose the settings."
    )


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("What guides promise", "once the arms were scored"),
        ("How firmly the verdict stands", "were scored on the test set"),
        ("Learning curves", "`curve: [64, 128]`"),
        ("Memorising word by word", "`memorisation_items: 64`"),
        ("What tuning gained on test data", "`test_default: true`"),
        ("Which settings went with forgetting", "`search_limit: 16`"),
        ("Distance from the base (Kullback-Leibler divergence)", "in bits per byte"),
        ("Memory for training larger models", "`sizes_billion: [7, 65]`"),
        ("Text shared between training and the general suite", "is audited"),
    ],
)
def test_what_was_not_measured_stands_in_one_list_with_how_it_would_be(
    unmeasured: tuple[ReportView, str, str], what: str, how: str
) -> None:
    view, *pages = unmeasured
    assert how in missing(view)[what]
    for text in pages:
        assert text.count(how.strip("`").partition("[")[0].partition("_")[0]) >= 1


def test_parts_of_an_empty_study_vanish_but_from_the_list() -> None:
    view = view_of(unfinished_study(), no_findings(), now=NOW)
    keys = {section.key for section in view.sections}
    assert not keys & {"claims", "sensitivity", "curves", "overfitting", "primary", "arms"}
    assert {"The primary contrast", "Learning curves", "Scores of the arms"} <= missing(view).keys()


def test_hostile_words_of_claims_and_flips_stay_words(view: ReportView) -> None:
    parsed = Page(to_html(view))
    markdown = to_markdown(view)
    assert not {"script", "img", "b"} & set(parsed.tags)
    for text in (f"52 % is outside 60 to 80 % {SCRIPT}", f"few-shot, for {RICH}"):
        assert text in parsed.text
    assert "<script" not in markdown and "<b>" not in markdown
    assert f"17 {SCRIPT}" in parsed.text


def test_a_hostile_arm_does_not_break_out_of_the_new_charts() -> None:
    whole = findings()
    hostile = f"{SCRIPT} $x_"
    changed = replace(
        whole,
        curves=tuple(replace(found, arm=hostile) for found in whole.curves),
        trade_off=tuple(replace(point, arm=hostile) for point in whole.trade_off),
        memorisation=tuple(replace(row, arm=hostile) for row in whole.memorisation),
        effects=tuple(replace(row, arm=hostile, parameter=SCRIPT) for row in whole.effects),
    )
    parsed = Page(to_html(view_of(study(), changed, now=NOW)))
    assert parsed.problems == [] and "script" not in parsed.tags


def test_a_claim_without_a_finite_interval_shows_none() -> None:
    whole = findings()
    claim = replace(whole.claims[1], interval=Interval(float("nan"), 1.0))
    told = shown(replace(whole, claims=(claim,)), "claims")
    assert "+0.004 field F1 |" in told and "nan" not in told


@pytest.mark.parametrize("forgetting", [True, False])
def test_the_distance_on_the_tasks_own_inputs_needs_no_general_suite(forgetting: bool) -> None:
    found = findings() if forgetting else replace(findings(), forgetting=())
    moved = TaskDivergence("lora", 0.412, Interval(0.3, 0.5, 0.95))
    view = view_of(study(), replace(found, task_divergence=(moved,)), now=NOW, rules=RULES)
    caption = "Distance from the base on the task's own inputs"
    assert rows(tables(view, "general")[caption]) == {"lora": ("0.412", "0.300 to 0.500")}
    assert caption not in tables(view_of(study(), found, now=NOW, rules=RULES), "general")


def test_of_many_contrasts_the_settled_ones_stand_first() -> None:
    whole = findings()
    three = replace(whole, secondary=whole.secondary * 3)
    first, every, *_ = (
        b for b in view_of(study(), three, now=NOW).section("contrasts").blocks
        if isinstance(b, Table)
    )  # fmt: skip
    assert (len(first.rows), len(every.rows)) == (9, 12)
    assert "undecided" not in {row[-1] for row in first.rows} and every.folded
