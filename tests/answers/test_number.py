"""Numbers: how they are written, when a reply is near enough, and how far off it is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.answers import NumberAnswer
from harness.answers.cells import AnswerError
from harness.answers.number_reader import DecimalMark, cell_number, reply_number
from harness.answers.recognise import recognise_answer
from harness.data import prepare
from harness.errors import DataError
from tests.data.tiny import example, experiment, table, words, write_jsonl


def answer(**fields: Any) -> NumberAnswer:
    return NumberAnswer(kind="number", column="y", **fields)


def value_of(text: str, decimal: DecimalMark | None = None) -> float | None:
    number = cell_number(text, decimal)
    return None if number is None else float(number.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("72", 72), ("-72.50", -72.5), ("+3", 3), (".5", 0.5), ("0.123", 0.123), ("007", 7),
        # Thousands
        ("1,234,567.8", 1234567.8), ("1,234", 1234), ("1.234,5", 1234.5), ("1.234.567", 1234567),
        ("12,5", 12.5), ("0,123", 0.123), ("1 234 567,8", 1234567.8), ("1\u202f234.5", 1234.5),
        ("1\u2009234", 1234), ("1\u00a0234", 1234), ("1'234.50", 1234.5), ("1’234", 1234),
        ("1_000", 1000), ("12,34,567", 1234567), ("1{,}234", 1234), (r"1\,234", 1234),
        # Signs
        ("\u22125", -5), ("–5", -5), ("－５", -5), ("minus 5", -5), ("negative 0.5", -0.5),
        ("-$5", -5), ("$-5", -5), ("€ -5", -5), (r"-\frac{3}{4}", -0.75), ("−½", -0.5),
        (r"$-\dfrac{1}{2}$", -0.5), (r"-\text{5}", -5), ("-1 1/2", -1.5),
        # Units
        ("$1,234.50", 1234.5), ("12 €", 12), ("EUR 12", 12), ("12 EUR", 12), ("US$ 3", 3),
        ("Rs. 500", 500), ("USD5", 5), ("5 km/h", 5), ("5 m²", 5), ("7 apples", 7), ("12 %", 12),
        ("12 percent", 12), ("5‰", 5), ("$72$", 72), (r"\$5", 5),
        # Fractions, powers, scales
        ("3/4", 0.75), ("-3/4", -0.75), ("1 1/2", 1.5), ("½", 0.5), ("1½", 1.5), ("3⁄4", 0.75),
        (r"\frac{3}{4}", 0.75), ("1.5e3", 1500), ("2E-2", 0.02), ("1.5 × 10^3", 1500),
        ("1.5x10³", 1500), ("1.5*10**3", 1500), ("10^-2", 0.01), ("5k", 5000), ("$1.2M", 1.2e6),
        ("1.5 million", 1.5e6), ("2 bn", 2e9), ("300 K", 300),
        ("1,5 Millionen", 1.5e6), ("2 Milliarden", 2e9), ("3 milliards", 3e9), ("$5 M", 5e6),
        # Words and letters that multiply
        ("7 hundred", 700), ("3 hundred thousand", 3e5), ("4 dozen", 48), ("-2 dozens", -24),
        ("$3tn", 3e12), ("$4bn", 4e9), ("6 trn", 6e12), ("$5M", 5e6), ("£2m", 2e6), ("€9 m", 9e6),
        ("$7t", 7e12), ("$6b", 6e9), ("$8mm", 8e6), ("$4 grand", 4000), ("8m€", 8e6), ("8 k", 8000),
        ("8 M EUR", 8e6), ("6 k€", 6000), ("7 M$", 7e6), ("7 lakh", 7e5), ("2 lakh crore", 2e12),
        ("₹3 Cr", 3e7), ("₹4L", 4e5), ("4-million", 4e6), ("**4** million", 4e6),
        ("$1.5$ billion", 1.5e9), ("<b>4</b> million", 4e6), ("4&nbsp;million", 4e6),
        ("6 Billionen", 6e12), ("6 млн", 6e6), ("6 тыс.", 6000), ("6万", 60_000),
        ("2.5億円", 2.5e8), ("3百万", 3e6), ("6만원", 60_000), ("10**6", 1e6),
        ("2X10^3", 2000), ("1.5e3.", 1500), ("&minus;8", -8), ("9e99", 9e99),
        # Units that only look like them
        ("8 m", 8), ("$8 m$", 8), (r"$8\text{ m}$", 8), ("$8 m/s$", 8), ("8 T", 8), ("8 cr", 8),
        ("8 mm", 8), ("8千米", 8), ("$8 t-shirt", 8), ("$8 a month", 8),
        ("$8 USD", 8), ("$8USD", 8), ("8 mills", 8), ("8 km squared", 8),
        # Digits of other scripts and widths
        ("１２３．５", 123.5), ("١٢٣", 123), ("१२", 12), ("١٬٢٣٤٫٥", 1234.5),
        # Marks around
        ("**72**", 72), (r"\boxed{72}", 72), ("`72`", 72), ("72.", 72), ("\u200b72", 72),
    ],
)  # fmt: skip
def test_a_number_is_read_however_it_is_written(text: str, value: float) -> None:
    assert value_of(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "N/A", "none", "-", "nan", "inf", "Infinity", "true", "H2O", "seventy", "", " ",
        "10-20", "3 of 5", "12:30", "2024-01-05", "12/05/2024", "1.2.3", "1,23,4", "1,234,5",
        "3/0", "2^5", "<5", "≥ 5", "±5", "(1,234)", "5-", "- 5", "about 5", "5 big red apples",
        "1e999", "1e400", "9" * 500, "1e100", "9" * 160, "-1e100",
        # Another number, and who knows which
        "8 mil", "R$ 8 mil", "8兆", "8 T€", "$8qd", "$8each", "3 tenths", "2 thirds",
        "8 thousandths", "8 and a half", "8 squared", "2³", "7⁴", "2**2", "10^6.5", "√9",
        r"\sqrt{9}", "[8,9]", "[8,234]", "3万5千", "<=8", ">= 8", "+/-8", "8+", "3x4", "2+2",
        "5h30", "1m80", "8.(3)", "1\n2", "+-5", "($5)", "-(5)", "0x1F", "0b11",
    ],
)  # fmt: skip
def test_what_is_no_single_number_is_refused(text: str) -> None:
    assert value_of(text) is None


def test_the_decimal_mark_decides_where_a_number_leaves_it_open() -> None:
    assert (value_of("1.234"), value_of("1,234")) == (1.234, 1234)
    assert (value_of("1.234", ","), value_of("1,234", ",")) == (1234, 1.234)
    assert (value_of("1,234", "."), value_of("12,5", ".")) == (1234, 12.5)
    assert (value_of("1,234.5", ","), value_of("0.123", ",")) == (1234.5, 0.123)


@given(
    whole=st.integers(-(10**12), 10**12),
    decimals=st.integers(0, 999),
    written=st.sampled_from(["{:,.3f}", "{:.3f}", "{:_.3f}", "${:,.3f}", "{:.16e}", "{:,.3f} kg"]),
)
def test_what_python_writes_is_read_back(whole: int, decimals: int, written: str) -> None:
    value = whole + decimals / 1000
    assert value_of(written.format(value)) == pytest.approx(value, abs=5e-4)


@given(text=st.text(alphabet="0123456789.,'-+/eE^%$€k M()<½²\n ", max_size=30))
def test_no_text_breaks_the_reader(text: str) -> None:
    for number in (cell_number(text), reply_number(text)):
        assert number is None or math.isfinite(float(number.value))


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("The answer is 72.", 72),
        ("It is about $1,234.50!", 1234.5),
        ("<answer>72</answer>", 72),
        ("```\n72\n```", 72),
        ("72 (72.0)", 72),
        ("72\n\nBecause 3 times 24 is 72.", 72),
        ("72 km\nfor 3 times 24", 72),
        ("Room A4 holds 7", 7),
        # Of several numbers none is the answer.
        ("3 boxes of 24 make 72", None),
        ("5 + 3 = 8", None),
        ("from 10 to 20", None),
        ("Step 1\nAdd 5 and 7", None),
        ("1. Add\n2. Sum", None),
        ("In 2024 it was 5", None),
        ("- 72", None),
        ("5'11", None),
        ("He is 5' 11\" tall", None),
        ("'5'", 5),
        # Signs count, wherever they stand; what may be one or not is none.
        (r"So x = -\boxed{5}", -5),
        (r"x = - \frac{1}{2}", -0.5),
        ("x = - 5", -5),
        # Brackets of a formula are none of the number's.
        (r"\(72\)", 72),
        ("\\[\n-72.5\n\\]", -72.5),
        (r"It is \( \boxed{72} \).", 72),
        (r"\((72)\)", None),
        ("The answer is - 5", None),
        ("$(1,234.50)", None),
        ("5-", None),
        ("(a) 5", 5),
        ("5 (five)", 5),
        ("<72", None),
        # The last point of an ellipsis is none of decimals.
        ("The answer is…72", 72),
        ("...72", 72),
        ("Hmm..$8.50", 8.5),
        ("Total . . . .72", 72),
        ("It is…-72…", -72),
        ("7...72", None),
        ("x = .72", 0.72),
        # Signs that say that it is another number
        ("x<=72", None),
        ("x >= 72", None),
        ("x<72", None),
        (r"\(x \leq 72\)", None),
        ("x &lt; 72", None),
        ("≠ 72", None),
        ("!=72", None),
        ("It lasts 72+ hours", None),
        ("72 < x", None),
        ("+/- 72", None),
        (r"\pm 72", None),
        ("Answer--72", None),
        ("It is √72", None),
        (r"$\sqrt[3]{72}$", None),
        ("log(72)", None),
        ("catalog(72)", 72),
        ("x^2", None),
        ("The point is (3,4)", None),
        ("The interval [3,4)", None),
        (r"\left[3,4\right]", None),
        ("[72]", 72),
        ("72000 (72,000)", 72000),
        # The same figure twice is not one number.
        ("2 + 2", None),
        ("2*2", None),
        ("2x2", None),
        ("9-9", None),
        ("7:07", None),
        ("7 point 7", None),
        ("7 m2", 7),
        ("7 kg CO2", 7),
        ("1e99999", None),
        ("1.5e3.2", None),
        ("It is about 3 dozen eggs", 36),
        ("He had 72 grand pianos", 72),
        ("RUN 72 m", 72),
        ("no idea", None),
        ("", None),
    ],
)
def test_the_number_of_a_reply(reply: str, value: float | None) -> None:
    number = reply_number(reply)
    assert (None if number is None else float(number.value)) == value


@pytest.mark.parametrize(
    ("fields", "target", "reply", "exact"),
    [
        ({}, "72", "72.0", 1),
        ({}, "72", "72.01", 0),
        ({}, "$1,200", "1200 dollars", 1),
        ({"tolerance": 0.1}, "1.0", "1.1", 1),
        ({"tolerance": 0.1}, "1.0", "1.1000001", 0),
        ({"tolerance": 0.1}, "1.0", "0.9", 1),
        ({"relative_tolerance": 0.01}, "200", "202", 1),
        ({"relative_tolerance": 0.01}, "-200", "-202.1", 0),
        ({"relative_tolerance": 0.01}, "0", "0.001", 0),
        ({"relative_tolerance": 0.01, "tolerance": 5}, "10", "15", 1),
        ({"decimal": ","}, "1,5", "1.5", 1),
        # Where one of both has a percent sign, it is a unit or a hundredth.
        ({}, "12%", "12", 1),
        ({}, "12%", "0.12", 1),
        ({}, "0.12", "12 %", 1),
        ({}, "12", "12 percent", 1),
        ({}, "12%", "13%", 0),
    ],
)
def test_a_reply_within_a_tolerance_is_right(
    fields: dict[str, Any], target: str, reply: str, exact: int
) -> None:
    metrics = answer(**fields).reader(("0", "9999"))(target, reply).metrics
    assert (metrics["exact_match"], metrics["valid"]) == (exact, 1)


def test_errors_are_measured_and_no_number_is_the_worst() -> None:
    number = answer()
    known = number.known_from([example("a", "t", "40"), example("b", "t", "-10"),
                               example("c", "t", "5")])  # fmt: skip
    assert known == ("-10", "40")
    read = number.reader(known)

    def errors(target: str, reply: str) -> tuple[float, float]:
        metrics = read(target, reply).metrics
        return metrics["absolute_error"], metrics["relative_error"]

    assert errors("20", "15") == (5, 0.25)
    assert errors("-20", "-15") == (5, 0.25)
    # Off by more than the number itself is off by all of it.
    assert errors("20", "900") == (880, 1)
    assert errors("0", "0") == (0, 0)
    assert errors("0", "3") == (3, 1)
    # As far off as the farthest number of training, and never nothing.
    assert errors("20", "no idea") == (30, 1)
    assert errors("35", "7 or 8") == (45, 1)
    alone = number.reader(("7", "7"))
    assert alone("7", "").metrics == {
        "exact_match": 0, "relative_error": 1, "absolute_error": 7, "valid": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (True, "True is a truth value"),
        ("N/A", "'N/A' is not one number"),
        ("3 or 4", "is not one number"),
        ([3], "holds a list"),
        (math.inf, "is not one number"),
    ],
)
def test_cells_that_are_no_number_are_bad_rows(cell: Any, problem: str) -> None:
    with pytest.raises(AnswerError, match=problem):
        answer().row_reader().read({"y": cell})


def test_cells_stay_as_they_are_written() -> None:
    rows = answer().row_reader()
    for cell, text in ((12, "12"), (0.5, "0.5"), (" $1,200 ", "$1,200"), ("１２", "１２")):
        assert rows.read({"y": cell}) == text
    commas = answer(decimal=",").row_reader()
    with pytest.raises(AnswerError, match="another decimal mark"):
        commas.read({"y": "1,234.5"})
    # A number of the file, not a text, is no thousand and more.
    assert [commas.read({"y": cell}) for cell in (1.234, 2, "1.234")] == ["1,234", "2", "1.234"]


def test_notations_that_cannot_be_told_apart_stop() -> None:
    assert answer().respelt(["1.0", "2.0", "30.0"]) == {"1.0": "1", "2.0": "2", "30.0": "30"}
    assert answer().respelt(["1.0", "2.5"]) == {}
    assert answer().respelt(["1.234", "1.234,5"[:5], "3"]) == {}
    with pytest.raises(DataError, match=r"holds '12,5', with a decimal comma, and '1\.234', whose"):
        answer().respelt(["12,5", "1.234"])
    assert answer(decimal=",").respelt(["12,5", "1.234"]) == {}


def test_units_and_percent_signs_that_differ_are_named() -> None:
    assert list(answer().notes(["5 km", "6 km", "7"])) == []
    (units,) = answer().notes(["5 km", "300 m", "7 km"])
    assert "'km' (2 rows) and 'm' (1 rows)" in units
    (scales,) = answer().notes(["$3 zillion", "$4bn", "$5M"])
    assert "'$' (2 rows) and '$ zillion' (1 rows)" in scales
    assert list(answer().notes(["$3tn", "$4bn", "$5M", "$6"])) == []
    (percent,) = answer().notes(["5%", "0.05", "6 %"])
    assert percent.startswith("2 of 3 numbers in `y` have a percent sign")


def test_the_same_number_in_two_notations_contradicts_nothing(tmp_path: Path) -> None:
    rows = [{"text": words(n, 8), "label": f"{n},500"} for n in range(1, 30)]
    rows += [{**rows[0], "label": "1500.0"}, {**rows[1], "label": "9"}]
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    prepared = prepare(experiment(path, answer={"kind": "number", "column": "label"}))
    assert prepared.contradictions.texts == 1
    assert prepared.labels is None


def test_neither_chosen_nor_constrained() -> None:
    assert answer().why_not_chosen().startswith("needs a short closed list")
    assert "which answers of kind number have not" in answer().why_not_constrained()


def test_init_knows_columns_of_numbers() -> None:
    def guessed(values: list[Any]) -> str:
        return recognise_answer([table({"y": value} for value in values)["y"]]).value.kind

    assert guessed([n / 7 for n in range(20)]) == "number"
    assert guessed([f"${n:,}.50" for n in range(900, 950)]) == "number"
    assert guessed([*(f"{n} kg" for n in range(29)), "N/A"]) == "number"
    # Many different ones are a measure, whether or not they repeat; few are a scale.
    assert guessed([n % 50 for n in range(400)]) == "number"
    assert guessed([n % 5 for n in range(400)]) == "label"
    assert guessed([f"0{n}123" for n in range(20)]) != "number"
    assert guessed([f"{n}0{n % 10}-{n}4" for n in range(20)]) != "number"
    assert guessed([f"{n} {words(n, 1)}" for n in range(20)]) == "text"


def test_init_finds_the_decimal_comma() -> None:
    column = table({"y": f"{n},5"} for n in range(30))["y"]
    (form,) = [recognise_answer([column]).value]
    assert form.drafted()["decimal"] == ","
    with pytest.raises(DataError, match="holds no numbers"):
        recognise_answer([table({"y": words(n, 3)} for n in range(9))["y"]], "number")


def test_a_number_after_a_calculation_is_recognised() -> None:
    column = table({"y": f"{words(n, 9)}\n#### {n * 37:,}"} for n in range(40))["y"]
    form = recognise_answer([column]).value
    assert (form.kind, form.drafted()["extract"]) == ("number", {"after": "####"})
    read = form.reader(("0", "9999"))
    metrics = read("3 and 4. #### 1,480", "So it is 1480.\n#### 1480").metrics
    assert (metrics["exact_match"], metrics["absolute_error"]) == (1, 0)
    assert read("3 and 4. #### 1,480", "1480").metrics["valid"] == 0
