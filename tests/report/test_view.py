"""What the report says, and that it never says more than was measured."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from harness import wording
from harness.findings import Findings, Interval, Latency, NotCovered, PlanLock, TimedTurn
from harness.records import TrialSummary
from harness.report import ReportView
from harness.report.document import Bullets, Examples, Facts, Figure, Prose, Table
from harness.report.naming import form_name
from harness.report.scales import scale_of

from .example_study import (
    HUGE,
    NOW,
    contrast,
    findings,
    no_findings,
    study,
    undecided,
    unfinished_study,
    view_of,
)
from .reading import texts

SECTIONS = (
    "primary", "arms", "contrasts", "examples", "general", "trade-off", "out-of-domain", "cost",
    "sensitivity", "search", "overfitting", "curves", "leakage", "run", "plain", "claims", "loss",
    "rules", "words",
)  # fmt: skip


def table(view: ReportView, section: str, caption: str) -> dict[str, dict[str, str]]:
    for block in view.section(section).blocks:
        if isinstance(block, Table) and block.caption.startswith(caption):
            headings = [column.heading for column in block.columns]
            return {row[0]: dict(zip(headings, row, strict=True)) for row in block.rows}
    raise KeyError(caption)


def facts_of(view: ReportView, section: str) -> dict[str, str]:
    blocks = view.section(section).blocks
    return dict(pair for b in blocks if isinstance(b, Facts) for pair in b.items)


def test_every_section_is_there_in_order(view: ReportView) -> None:
    assert tuple(section.key for section in view.sections) == SECTIONS


def test_every_row_is_as_wide_as_its_table(view: ReportView) -> None:
    tables = [b for s in view.sections for b in s.blocks if isinstance(b, Table)]
    assert len(tables) > 10
    for found in tables:
        assert {len(row) for row in found.rows} == {len(found.columns)}, found.caption


def test_the_primary_contrast_is_told_in_full(view: ReportView) -> None:
    facts = facts_of(view, "primary")
    assert facts["Difference"] == "+0.083 (95 % interval +0.041 to +0.125)"
    assert facts["p-value"].startswith("below 0.001")
    assert facts["Smallest difference this test can find"].startswith("0.046")
    assert "Items needed to settle it" not in facts


def test_an_undecided_contrast_says_how_many_items_would_settle_it() -> None:
    view = view_of(study(), undecided(), now=NOW)
    facts = facts_of(view, "primary")
    assert facts["Items needed to settle it"] == "1,240"
    assert view.verdict.figures[-1] == ("Test items that would settle it", "about 1,240")


def test_key_figures_name_what_was_compared() -> None:
    assert view_of(study(), findings(), now=NOW).verdict.figures[:2] == (
        ("Best fine-tuned arm (lora), 95 % interval 0.654 to 0.736", "0.695"),
        ("Best prompt arm (few-shot), 95 % interval 0.571 to 0.653", "0.612"),
    )
    whole = findings()
    two = replace(whole, primary=contrast("lora", "full", 0.022, 0.01, primary=True))
    figures = view_of(study(), two, now=NOW).verdict.figures
    assert [(name.partition(",")[0], value) for name, value in figures[:2]] == [
        ("Fine-tuned arm (lora)", "0.695"), ("Fine-tuned arm (full)", "0.673"),
    ]  # fmt: skip
    assert not any("prompt" in name for name, _ in figures)
    assert [name.partition(",")[0] for name, _ in figures if name.startswith("Change")] == [
        "Change in general ability of full (lost)", "Change in general ability of lora (kept)",
    ]  # fmt: skip


def test_the_weights_of_every_final_run_can_be_found(view: ReportView) -> None:
    rows = [
        row
        for block in view.section("run").blocks
        if isinstance(block, Table) and block.caption.startswith("Final runs")
        for row in block.rows
    ]
    assert len(rows) == 15
    assert rows[9] == ("lora", "1", "lora-finalist-0-1", "complete",
                       "trials/lora-finalist-0-1/artifact", "9 MiB")  # fmt: skip
    assert rows[0][-2:] == ("-", "-")


def test_a_reason_that_the_sentence_holds_is_not_said_twice() -> None:
    whole = findings()
    said = whole.verdict.sentence.partition(". ")[2]
    verdict = replace(whole.verdict, reasons=(said, "Another reason."))
    view = view_of(study(), replace(whole, verdict=verdict), now=NOW)
    assert view.verdict.reasons == ("Another reason.",)
    again = f"Another reason. {said[:1].upper()}{said[1:]}"
    sentence = f"{whole.verdict.sentence} {said[:1].upper()}{said[1:]}"
    verdict = replace(verdict, sentence=sentence, reasons=(again,))
    view = view_of(study(), replace(whole, verdict=verdict), now=NOW)
    assert view.verdict.reasons == ("Another reason.",)
    assert view.verdict.headline == "Fine-tune with lora."


def test_missing_values_are_words_and_never_zero() -> None:
    view = view_of(study(), undecided(), now=NOW)
    row = table(view, "arms", "Quality")["zero-shot"]
    assert row["Test score (field F1)"] == row["Interval"] == row["macro F1"] == "not measured"
    effort = table(view, "arms", "Effort")["zero-shot"]
    assert effort["Cost per 1,000 requests"] == "not measured"
    assert effort["Latency (median / 95th percentile)"] == "not measured"
    assert table(view, "out-of-domain", "Out")["qlora"]["tweets"] == "not measured"
    assert table(view, "overfitting", "Train")["few-shot"]["Train"] == "not measured"
    assert not any(text == "nan" or "None" in text.split() for text in texts(view))


def test_money_has_its_range_and_latency_its_day() -> None:
    whole = findings()
    turn = TimedTurn(0.4, 0.1, "2026-01-03T08:00:00+00:00", "2026-01-03T08:01:00+00:00")
    arms = tuple(
        replace(
            row,
            cost=replace(
                row.cost,
                latency=Latency(16, 0.4, Interval(0.3, 0.5), 0.4, 0.6, 2.0, (turn, turn)),
                per_thousand_range=Interval(0.03, 0.05),
                monthly_range=Interval(3.0, 5.0),
            ),
        )
        if row.arm == "few-shot"
        else row
        for row in whole.arms
    )
    view = view_of(study(), replace(whole, arms=arms), now=NOW)
    money = table(view, "cost", "Money")
    assert money["few-shot"]["Per 1,000 requests"] == "0.041 EUR (0.030 to 0.050)"
    assert "(" not in money["lora"]["Per 1,000 requests"]
    told = " | ".join(texts(replace(view, sections=(view.section("arms"),))))
    assert "measured after all other trials, 16 requests of each arm, on 2026-01-03." in told


def test_the_locked_plan_and_what_is_not_covered_are_shown() -> None:
    plan = PlanLock("f" * 64, "2026-01-01T08:00:00+00:00", "0.1")
    rows = (NotCovered("Tuning anew", "not known: each arm was tuned once", known=False),)
    view = view_of(study(), replace(findings(), plan=plan, not_covered=rows), now=NOW)
    facts = facts_of(view, "run")
    assert facts["Plan locked before the first trial"].startswith("2026-01-01T08:00:00+00:00, by")
    assert facts["Hash of the locked plan (plan.lock)"] == "f" * 64
    assert "Tuning anew: each arm was tuned once" in texts(view)
    without = view_of(study(), findings(), now=NOW)
    facts = facts_of(without, "run")
    assert facts["Plan locked before the first trial"] == "no"


def test_an_untuned_prompt_is_called_so_in_words(view: ReportView) -> None:
    assert table(view, "arms", "Effort")["zero-shot"]["Tuning"] == "not tuned"
    assert table(view, "search", "The search budget")["full"]["Failed"] == "1"


def test_tasks_without_a_margin_are_not_judged(view: ReportView) -> None:
    rows = [
        row
        for block in view.section("general").blocks
        if isinstance(block, Table) and block.caption.startswith("Each")
        for row in block.rows
    ]
    assert {row[7] for row in rows if row[2] == "bits per byte"} == {"no margin"}
    assert {row[7] for row in rows if row[2] == "accuracy"} == {"kept", "not shown", "lost"}


def test_an_example_each_way_is_that_with_the_largest_difference(view: ReportView) -> None:
    blocks = [b for b in view.section("examples").blocks if isinstance(b, Examples)]
    # Every other item is in the list of all, and none decides.
    assert [len(block.items) for block in blocks] == [1, 1]
    assert [block.heading for block in blocks] == ["lora did better", "few-shot did better"]
    assert "unscored" not in "".join(texts(view))


def test_charts_say_what_to_see(view: ReportView) -> None:
    figures = [b for s in view.sections for b in s.blocks if isinstance(b, Figure)]
    assert [figure.key for figure in figures] == ["forest", "trade-off", "splits", "curves", "loss"]
    assert all(figure.see.endswith(".") for figure in figures)
    assert "for full: a sign of overfitting" in figures[-1].see


def test_final_runs_say_which_weights_they_kept(view: ReportView) -> None:
    found = [b for b in view.section("loss").blocks if isinstance(b, Table)][1]
    rows = {(row[0], row[1]): row[2:] for row in found.rows}
    assert rows["full", "1"] == ("30 of 40", "1.5", "0.443", "0.499", "0.703", "0.678")
    assert rows["lora", "2"] == ("40 of 40", "2", "0.439", "0.439", "0.703", "0.703")


def test_checks_that_scored_are_shown_with_their_losses() -> None:
    def scored(trial: TrialSummary) -> TrialSummary:
        if trial.arm != "full" or trial.checkpoint is None:
            return trial
        scores = {20: 0.6, 30: 0.72, 40: 0.7}
        steps = tuple(replace(s, validation_score=scores.get(s.step)) for s in trial.steps)
        kept = replace(trial.checkpoint, validation_score=0.72, last_validation_score=0.7)
        return replace(trial, steps=steps, checkpoint=kept)

    whole = study()
    changed = replace(whole, trials=tuple(map(scored, whole.trials)))
    view = view_of(changed, findings(), now=NOW)
    losses, weights = (b for b in view.section("loss").blocks if isinstance(b, Table))
    rows = {(row[0], row[1]): row for row in losses.rows}
    assert [column.heading for column in losses.columns[-3:]] == [
        "Best score of a check", "at its step", "Score of the last check",
    ]  # fmt: skip
    assert rows["full", "1"][-3:] == ("0.720", "30", "0.700")
    assert rows["lora", "1"][-3:] == ("not measured", "-", "not measured")
    rows = {(row[0], row[1]): row for row in weights.rows}
    assert rows["full", "1"][-2:] == ("0.720", "0.700")
    assert "the one with the best" in weights.notes[0]


def test_what_was_scored_later_has_a_column_of_its_own() -> None:
    def sizes(found: Findings) -> Table:
        blocks = view_of(study(), found, now=NOW).section("cost").blocks
        return next(b for b in blocks if isinstance(b, Table) and b.caption == "Time and size")

    assert "Scored later" not in [column.heading for column in sizes(findings()).columns]
    arms = tuple(
        replace(row, cost=replace(row.cost, added_seconds=90.0 if row.arm == "lora" else 0.0))
        for row in findings().arms
    )
    shown = sizes(replace(findings(), arms=arms))
    assert shown.columns[2].heading == "Scored later"
    rows = {row[0]: row[2] for row in shown.rows}
    assert rows["lora"] != rows["full"]


def test_where_all_kept_their_last_weights_a_sentence_says_so() -> None:
    whole = study()
    trials = tuple(t for t in whole.trials if t.arm != "full")
    view = view_of(replace(whole, trials=trials), findings(), now=NOW)
    assert view.section("loss").blocks[-1] == Prose(
        "Every final run kept the weights of its last step."
    )


def test_an_unfinished_study_shows_what_there_is() -> None:
    view = view_of(unfinished_study(), no_findings(), now=NOW)
    assert [section.key for section in view.sections] == ["leakage", "run", "plain", "words",
                                                          "unmeasured"]  # fmt: skip
    assert view.verdict.sentence == "There is no result yet."
    assert view.title == "Fine-tune or prompt? feedback"


def test_only_the_compared_arm_says_on_the_page_when_it_repays_itself() -> None:
    whole = findings()
    (own,) = whole.break_even
    other = replace(own, arm="qlora", sentence="qlora never pays back.")
    view = view_of(study(), replace(whole, break_even=(own, other)), now=NOW)
    blocks = view.section("cost").blocks
    told = [b for b in blocks if isinstance(b, Bullets) and "repay itself" in b.heading]
    assert [(block.items, block.folded) for block in told] == [
        ((own.sentence,), False), (("qlora never pays back.",), True),
    ]  # fmt: skip


def test_what_the_page_leaves_out_of_the_contrast_stands_in_the_appendix(view: ReportView) -> None:
    section = view.section("primary")
    (open_facts,) = (dict(b.items) for b in section.shown if isinstance(b, Facts))
    (folded,) = (dict(b.items) for b in section.details if isinstance(b, Facts))
    assert {"Margin", "p-value", "Based on", "Not compared"} <= open_facts.keys()
    assert {"Compared", "What it counts", "Scores", "Difference", "Reading"} <= folded.keys()
    assert not open_facts.keys() & folded.keys()
    run = view.section("run")
    assert {"Model fingerprint", "Seeds"} <= facts_of(view, "run").keys()
    assert not any(isinstance(block, Facts) for block in run.shown)


def test_a_table_of_nothing_vanishes() -> None:
    whole = findings()
    untested = tuple(
        replace(
            row,
            test=None,
            test_interval=None,
            cost=replace(row.cost, upfront=None, per_thousand_requests=None, first_year=None),
        )
        for row in whole.arms
    )
    view = view_of(study(), replace(whole, arms=untested, primary=None), now=NOW)
    assert not {"arms", "cost"} & {section.key for section in view.sections}
    (missing,) = view.section("unmeasured").blocks
    assert isinstance(missing, Bullets)
    assert {"Scores of the arms", "Cost"} <= {item.partition(":")[0] for item in missing.items}


def test_findings_without_numbers_draw_no_chart() -> None:
    whole = findings()
    assert whole.primary is not None
    empty = replace(whole.primary, difference=math.nan, interval=Interval(math.nan, math.nan))
    view = view_of(study(), replace(whole, primary=empty, secondary=()), now=NOW)
    assert "contrasts" not in {section.key for section in view.sections}


def test_the_canaries_and_failures_are_counted(view: ReportView) -> None:
    said = " ".join(texts(view))
    assert "27 trials: 26 complete, 0 stopped early, 1 failed." in said
    assert "Correctness checks (canaries): 15 of 15 trials passed." in said
    assert "needed 9 GiB" in said
    assert "The test data was read 2 times" in said


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (scale_of("acc").score(0.5), "50.0 %"),
        (scale_of("own_metric", share=True).score(0.5), "50.0 %"),
        (form_name("adapter-on-nf4"), "adapter on the base in 4 bits (NF4)"),
        (form_name("adapter-on-fp4"), "adapter on the base in 4 bits (FP4)"),
    ],
)
def test_scales_and_forms_by_name(shown: str, expected: str) -> None:
    assert shown == expected


def test_hostile_characters_become_visible() -> None:
    assert wording.clean("a\x00\x1b[31m\u202eb\u200b\ud800") == (
        "a⟨U+0000⟩⟨U+001B⟩[31m⟨U+202E⟩b⟨U+200B⟩⟨U+D800⟩"
    )
    assert wording.clean(HUGE).endswith("… [cut: 11,400 more characters]")
    assert wording.cell("one\ntwo") == "one ⏎ two"
    assert wording.clean("👩‍🚀 می‌خواهم") == "👩‍🚀 می‌خواهم"
