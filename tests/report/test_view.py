"""What the report says, and that it never says more than was measured."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from harness.findings import Interval
from harness.report import ReportView, build_view, wording
from harness.report.document import Examples, Facts, Figure, Table
from harness.report.scales import PER_CENT, PLAIN, scale_of

from .example_study import (
    HUGE,
    NOW,
    contrast,
    findings,
    no_findings,
    study,
    undecided,
    unfinished_study,
)
from .reading import texts

SECTIONS = (
    "primary", "sensitivity", "arms", "claims", "contrasts", "trade-off", "search", "general",
    "out-of-domain", "overfitting", "curves", "loss", "cost", "examples", "run", "rules", "words",
)  # fmt: skip


def table(view: ReportView, section: str, caption: str) -> dict[str, dict[str, str]]:
    for block in view.section(section).blocks:
        if isinstance(block, Table) and block.caption.startswith(caption):
            headings = [column.heading for column in block.columns]
            return {row[0]: dict(zip(headings, row, strict=True)) for row in block.rows}
    raise KeyError(caption)


def test_every_section_is_there_in_order(view: ReportView) -> None:
    assert tuple(section.key for section in view.sections) == SECTIONS


def test_every_row_is_as_wide_as_its_table(view: ReportView) -> None:
    tables = [b for s in view.sections for b in s.blocks if isinstance(b, Table)]
    assert len(tables) > 10
    for found in tables:
        assert {len(row) for row in found.rows} == {len(found.columns)}, found.caption


def test_the_primary_contrast_is_told_in_full(view: ReportView) -> None:
    facts = dict(next(b for b in view.section("primary").blocks if isinstance(b, Facts)).items)
    assert facts["Difference"] == "+0.083 (95 % interval +0.041 to +0.125)"
    assert facts["p-value"].startswith("below 0.001")
    assert facts["Smallest difference this test can find"].startswith("0.046")
    assert "Items needed to settle it" not in facts


def test_an_undecided_contrast_says_how_many_items_would_settle_it() -> None:
    view = build_view(study(), undecided(), now=NOW)
    facts = dict(next(b for b in view.section("primary").blocks if isinstance(b, Facts)).items)
    assert facts["Items needed to settle it"] == "1,240"
    assert view.verdict.figures[-1] == ("Test items that would settle it", "about 1,240")


def test_key_figures_name_what_was_compared() -> None:
    assert build_view(study(), findings(), now=NOW).verdict.figures[:2] == (
        ("Best fine-tuned arm (lora)", "0.695"),
        ("Best prompt arm (few-shot)", "0.612"),
    )
    whole = findings()
    two = replace(whole, primary=contrast("lora", "full", 0.022, 0.01, primary=True))
    figures = build_view(study(), two, now=NOW).verdict.figures
    assert figures[:2] == (("Fine-tuned arm (lora)", "0.695"), ("Fine-tuned arm (full)", "0.673"))
    assert not any("prompt" in name for name, _ in figures)
    assert [name for name, _ in figures if name.startswith("Change")] == [
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
    view = build_view(study(), replace(whole, verdict=verdict), now=NOW)
    assert view.verdict.reasons == ("Another reason.",)
    assert view.verdict.headline == "Fine-tune with lora."


def test_missing_values_are_words_and_never_zero() -> None:
    view = build_view(study(), undecided(), now=NOW)
    row = table(view, "arms", "Quality")["zero-shot"]
    assert row["Test score (field F1)"] == row["Interval"] == row["macro F1"] == "not measured"
    effort = table(view, "arms", "Effort")["zero-shot"]
    assert effort["Cost per 1,000 requests"] == "not measured"
    assert effort["Latency (median / 95th percentile)"] == "not measured"
    assert table(view, "out-of-domain", "Out")["qlora"]["tweets"] == "not measured"
    assert table(view, "overfitting", "Train")["few-shot"]["Train"] == "not measured"
    assert not any(text == "nan" or "None" in text.split() for text in texts(view))


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


def test_examples_are_four_each_way_with_the_largest_difference_first(view: ReportView) -> None:
    blocks = [b for b in view.section("examples").blocks if isinstance(b, Examples)]
    assert [len(block.items) for block in blocks] == [4, 4]
    assert [block.heading for block in blocks] == ["lora did better", "few-shot did better"]
    assert "unscored" not in "".join(texts(view))


def test_charts_say_what_to_see(view: ReportView) -> None:
    figures = [b for s in view.sections for b in s.blocks if isinstance(b, Figure)]
    assert [figure.key for figure in figures] == ["forest", "trade-off", "splits", "curves", "loss"]
    assert all(figure.see.endswith(".") for figure in figures)
    assert "for full: a sign of overfitting" in figures[-1].see


def test_an_unfinished_study_has_every_section() -> None:
    view = build_view(unfinished_study(), no_findings(), now=NOW)
    assert tuple(section.key for section in view.sections) == SECTIONS
    assert all(section.blocks for section in view.sections)
    assert view.verdict.sentence == "There is no result yet."
    assert view.title == "Fine-tune or prompt? feedback"


def test_findings_without_numbers_draw_no_chart() -> None:
    whole = findings()
    assert whole.primary is not None
    empty = replace(whole.primary, difference=math.nan, interval=Interval(math.nan, math.nan))
    view = build_view(study(), replace(whole, primary=empty, secondary=()), now=NOW)
    assert not any(isinstance(block, Figure) for block in view.section("contrasts").blocks)


def test_the_canaries_and_failures_are_counted(view: ReportView) -> None:
    said = " ".join(texts(view))
    assert "27 trials: 26 complete, 0 stopped early, 1 failed." in said
    assert "15 of 15 checked trials passed" in said
    assert "needed 9 GiB" in said
    assert "The test data was read 2 times" in said


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (PLAIN.score(None), "not measured"),
        (PLAIN.score(math.nan), "not measured"),
        (PLAIN.score(0.0), "0.000"),
        (PLAIN.score(-0.00001), "0.000"),
        (PLAIN.score(54.321), "54.3"),
        (PER_CENT.score(0.5432), "54.3 %"),
        (PER_CENT.score(1.0), "100.0 %"),
        (PER_CENT.difference(-0.0081), "−0.8 points"),
        (PER_CENT.difference(-0.0001), "0.0 points"),
        (PER_CENT.gap(0.05), "5.0 points"),
        (PER_CENT.interval(Interval(0.5, 0.55)), "50.0 to 55.0"),
        (PER_CENT.difference_interval(Interval(-0.01, 0.02)), "−1.0 to +2.0"),
        (PER_CENT.difference_interval(Interval(math.nan, 0.02)), "not measured"),
        (scale_of("acc").score(0.5), "50.0 %"),
        (scale_of("own_metric", share=True).score(0.5), "50.0 %"),
        (PLAIN.difference(0.0), "0.000"),
        (PLAIN.difference(-0.0002), "0.000"),
        (PLAIN.difference(-0.0312), "−0.031"),
        (PLAIN.difference(0.0312), "+0.031"),
        (wording.p_value(0.00001), "below 0.001"),
        (wording.seconds(0.0412), "41 ms"),
        (wording.seconds(59.99), "1 min"),
        (wording.seconds(3661), "1 h 1 min"),
        (wording.mebibytes(812.4), "812 MiB"),
        (wording.mebibytes(2048), "2.0 GiB"),
        (wording.file_size(10), "10 bytes"),
        (wording.money(0, "EUR"), "0.00 EUR"),
        (wording.money(0.000412, "EUR"), "0.00041 EUR"),
        (wording.money(1234.5, "EUR"), "1,234.50 EUR"),
        (wording.money(None, "EUR"), "not measured"),
        (wording.parameters(0, 10), "none"),
        (wording.parameters(4_884_480, 134_515_008), "4.9 M (3.6 %)"),
        (wording.decimal(7.333), "7.3"),
        (wording.setting([1, 2]), "1, 2"),
        (wording.setting(False), "no"),
        (wording.setting(0.0004731), "0.0004731"),
        (wording.form("adapter-on-nf4"), "adapter on the base in 4 bits (NF4)"),
        (wording.form("adapter-on-fp4"), "adapter on the base in 4 bits (FP4)"),
    ],
)
def test_numbers_in_words(shown: str, expected: str) -> None:
    assert shown == expected


def test_hostile_characters_become_visible() -> None:
    assert wording.clean("a\x00\x1b[31m\u202eb\u200b\ud800") == (
        "a⟨U+0000⟩⟨U+001B⟩[31m⟨U+202E⟩b⟨U+200B⟩⟨U+D800⟩"
    )
    assert wording.clean(HUGE).endswith("… [cut: 11,400 more characters]")
    assert wording.cell("one\ntwo") == "one ⏎ two"
    assert wording.clean("👩‍🚀 می‌خواهم") == "👩‍🚀 می‌خواهم"
