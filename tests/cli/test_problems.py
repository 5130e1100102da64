"""Problems are told once, however many rows have them."""

from __future__ import annotations

from harness.cli.problems import problem_lines
from harness.errors import Problem


def test_rows_with_the_same_problem_share_a_line() -> None:
    empty = [Problem(f"a.csv:{n}", "the text is empty; fill it in") for n in range(2, 9)]
    other = Problem("a.csv:4", "2 fields where the header has 3")
    assert list(problem_lines([empty[0], other, *empty[1:]], "left out")) == [
        "left out: a.csv:2, 3, 4, 5, 6 and 2 more: the text is empty; fill it in",
        "left out: a.csv:4: 2 fields where the header has 3",
    ]


def test_places_that_are_no_lines_stay_whole() -> None:
    same = [Problem("arms.a", "unknown key"), Problem("arms.b", "unknown key")]
    assert list(problem_lines(same, "error")) == [
        "error: arms.a: unknown key",
        "error: arms.b: unknown key",
    ]
    assert list(problem_lines([Problem("", "nothing")], "error")) == ["error: nothing"]
    twice = [Problem("a.csv:3", "x"), Problem("b.csv:3", "x")]
    assert len(list(problem_lines(twice, "error"))) == 2


def test_what_is_not_shown_is_counted() -> None:
    many = [Problem(f"a.csv:{n}", f"problem {n // 2}") for n in range(30)]
    *shown, last = problem_lines(many, "error")
    assert len(shown) == 10
    assert last == "error: and 10 more problems like these"
