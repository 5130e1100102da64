"""Columns that tell no two rows apart become a note, and nothing that they held is lost."""

from __future__ import annotations

from dataclasses import replace

from harness.findings import Overfitting
from harness.report.document import Column, Table
from harness.report.tables import lean, shortened

from .example_study import NOW, findings, study, view_of

HEADINGS = ("Arm", "Score", "Interval", "Loss", "Interval", "Seeds", "Device", "Runs")
ROWS = (
    ("a", "0.1", "0 to 1", "not measured", "not measured", "3", "-", "3"),
    ("b", "0.2", "0 to 1", "not measured", "not measured", "3", "-", "3"),
    ("c", "0.2", "0 to 1", "not measured", "not measured", "3", "-", "3"),
)
TABLE = Table("Scores", tuple(Column(name) for name in HEADINGS), ROWS, ("Higher is better.",))


def test_what_every_row_has_alike_is_told_once() -> None:
    shown = lean(TABLE)
    # An interval stays beside its value, though it is the same in every row.
    assert [column.heading for column in shown.columns] == ["Arm", "Score", "Interval"]
    assert shown.rows == (("a", "0.1", "0 to 1"), ("b", "0.2", "0 to 1"), ("c", "0.2", "0 to 1"))
    assert shown.notes == (
        "Higher is better.", "In every row: Loss: not measured; Seeds and Runs: 3.",
    )  # fmt: skip


def test_a_value_and_its_interval_go_together() -> None:
    alike = replace(TABLE, rows=tuple((name, "0.2", "0 to 1", *row[2:]) for name, *row in ROWS))
    shown = lean(alike)
    assert [column.heading for column in shown.columns] == ["Arm"]
    assert "In every row: Score: 0.2, 0 to 1; Loss" in shown.notes[-1]


def test_links_go_with_their_columns() -> None:
    linked = replace(TABLE, links=tuple(f"s{place}" for place in range(len(HEADINGS))))
    assert lean(linked).links == ("s0", "s1", "s2")


def test_the_appendix_and_short_tables_keep_every_column() -> None:
    for whole in (replace(TABLE, folded=True), replace(TABLE, rows=ROWS[:2])):
        assert lean(whole) == whole


def test_a_table_whose_columns_all_differ_stays_as_it_is() -> None:
    whole = replace(TABLE, columns=TABLE.columns[:2], rows=(("a", "1"), ("b", "2"), ("c", "3")))
    assert lean(whole) == whole


def test_the_rows_that_show_something_come_first_and_all_in_the_appendix() -> None:
    first, every = shortened(replace(TABLE, strong=(0, 2)), [2, 1], "Those that differ.")
    assert first.rows == (ROWS[2], ROWS[1]) and first.strong == (0,)
    assert first.notes == ("Those that differ. The appendix has all 3.", "Higher is better.")
    assert every.rows == ROWS and every.folded and not first.folded
    assert shortened(TABLE, [], "None.") == [replace(TABLE, folded=True)]


def test_a_chosen_score_is_said_to_flatter_and_to_be_another_training_where_it_is() -> None:
    def notes(row: Overfitting) -> str:
        changed = replace(findings(), overfitting=(row, *findings().overfitting[1:]))
        blocks = view_of(study(), changed, now=NOW).section("overfitting").blocks
        return " ".join(note for b in blocks if isinstance(b, Table) for note in b.notes)

    (row, *_) = findings().overfitting
    assert "flattered the chosen setting; only test scores are the result" in notes(row)
    assert "another training" not in notes(row)
    other = replace(row, selected=0.7)
    assert f"another training, had: {row.arm} 0.700." in notes(other)
