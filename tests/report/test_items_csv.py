"""Every item and reply for a spreadsheet, which computes nothing of them."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from harness.analysis.arms.samples import gather_samples
from harness.report import items_csv
from harness.report.formats.items_csv import HEADER

from .example_study import ATTACKS, study
from .many_items import many_samples


def rows(text: str) -> list[dict[str, str]]:
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_each_run_and_item_is_a_row() -> None:
    samples = many_samples(40, 2, seeds=3)
    found = rows(items_csv(samples))
    assert len(found) == 40 * 2 * 3
    assert tuple(found[0]) == HEADER
    assert {(row["arm"], row["seed"]) for row in found} == {
        (f"arm-{arm}", str(seed)) for arm in (0, 1) for seed in (1, 2, 3)
    }
    first = found[0]
    assert (first["item"], first["text"]) == ("item-0", samples.texts[0])
    assert float(first["score"]) == samples.arms[0].runs[0].scores[0]
    assert first["valid"] == "no" and found[1]["valid"] == "yes"


@pytest.mark.parametrize(
    "formula", ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "  =1+1", "\n=1", "＝1", "=cmd|' /C'!A0"]
)
def test_no_cell_is_a_formula(formula: str) -> None:
    made = many_samples(1, 1)
    run = replace(made.arms[0].runs[0], outputs=(formula,))
    hostile = replace(
        made,
        item_ids=(formula,),
        texts=(formula,),
        targets=(formula,),
        arms=(replace(made.arms[0], arm=formula, runs=(run,)),),
    )
    (row,) = rows(items_csv(hostile))
    for name in ("item", "text", "right_answer", "arm", "reply"):
        assert row[name] == f"'{formula}", name


def test_text_that_is_none_is_left_as_it_is() -> None:
    made = many_samples(1, 1)
    plain = 'a "quoted", text\nof 2 - 1 lines = two'
    (row,) = rows(items_csv(replace(made, texts=(plain,))))
    assert row["text"] == plain


def test_hostile_text_makes_a_file_that_can_be_read() -> None:
    made = many_samples(len(ATTACKS), 1)
    run = replace(made.arms[0].runs[0], outputs=ATTACKS)
    hostile = replace(made, texts=ATTACKS, arms=(replace(made.arms[0], runs=(run,)),))
    text = items_csv(hostile)
    assert text.encode("utf-8") and "\x00" not in text
    csv.field_size_limit(2_000_000)
    assert len(rows(text)) == len(ATTACKS)


def test_what_is_not_known_is_empty() -> None:
    found = rows(items_csv(gather_samples(study())))
    unscored = [row for row in found if row["item"] == "unscored"]
    assert len(unscored) == 2 and {row["score"] for row in unscored} == {""}
    assert items_csv(None) == "\ufeff" + ",".join(HEADER) + "\r\n"
