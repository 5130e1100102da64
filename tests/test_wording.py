"""How amounts, names and texts read: asserted here alone."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from harness import wording
from harness.findings import Interval
from harness.wording import PER_CENT, PLAIN


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "0.00"),
        (0.3, "0.30"),
        (12.346, "12.35"),
        (1234.5, "1,234.50"),
        (0.0994, "0.099"),
        (0.000123, "0.00012"),
        (-0.05, "−0.050"),
        (Decimal("0.000123"), "0.00012"),
        (None, "not measured"),
        (float("nan"), "not measured"),
    ],
)
def test_money(amount: float | Decimal | None, shown: str) -> None:
    assert wording.money(amount) == shown
    known = shown != "not measured"
    assert wording.money(amount, "EUR") == (f"{shown} EUR" if known else shown)


def test_shares_and_levels() -> None:
    assert wording.per_cent(0.2) == "20 %"
    assert wording.per_cent(0.1234, 1) == "12.3 %"
    assert wording.confidence(1 - 0.05 / 3) == "98.33 %"
    assert wording.level(Interval(0, 1, 0.95)) == "95 %"


def test_scores_and_differences() -> None:
    assert (PER_CENT.score(0.5), PLAIN.score(0.5)) == ("50.0 %", "0.500")
    assert (PER_CENT.difference(-0.05), PLAIN.difference(0.05)) == ("−5.0 points", "+0.050")
    assert (PER_CENT.signed(0.0004), PER_CENT.number(-0.0004)) == ("0.0", "0.0")
    # A metric from 0 to 100, as chrF.
    assert (PLAIN.number(45.123), PLAIN.signed(-45.123)) == ("45.1", "−45.1")


@pytest.mark.parametrize(
    ("seconds", "shown", "rough"),
    [
        (0.25, "250 ms", "a minute"),
        (63, "1 min 3 s", "a minute"),
        (300, "5 min", "5 minutes"),
        (1400, "23 min 20 s", "25 minutes"),
        (9000, "2 h 30 min", "2 hours"),
        (200_000, "55 h 33 min", "2 days"),
    ],
)
def test_durations(seconds: float, shown: str, rough: str) -> None:
    assert wording.seconds(seconds) == shown
    assert wording.rough_duration(seconds) == rough


def test_how_long_ago() -> None:
    shown = {-90: "just now", 3: "just now", 40: "a minute ago", 7200: "2 hours ago"}
    assert {seconds: wording.ago(seconds) for seconds in shown} == shown
    assert wording.ago(3 * 86_400) == "3 days ago"


def test_sizes() -> None:
    assert (wording.mebibytes(900.4), wording.mebibytes(23_201)) == ("900 MiB", "22.7 GiB")
    assert (wording.file_size(900), wording.file_size(3 * 2**30)) == ("900 bytes", "3.0 GiB")
    assert (wording.large(134_515_008), wording.large(7_000_000_000)) == ("134.5 M", "7 B")


def test_names_and_numbers_of_them() -> None:
    assert wording.listed([]) == ""
    assert wording.listed(["a"]) == "a"
    assert wording.listed(["a", "b"]) == "a and b"
    assert wording.listed(iter("abc"), "or") == "a, b or c"
    assert (wording.plural(1, "item"), wording.plural(2000, "item")) == ("1 item", "2,000 items")
    assert wording.plural(0, "ability", "abilities") == "0 abilities"
    assert wording.agreeing(1, "is", "are") == "is"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (PLAIN.score(None), "not measured"),
        (PLAIN.score(math.nan), "not measured"),
        (PLAIN.score(0.0), "0.000"),
        (PLAIN.score(-0.00001), "−0.000010"),
        (PLAIN.score(1e-12), "0.000"),
        (PLAIN.score(54.321), "54.3"),
        (PER_CENT.score(0.5432), "54.3 %"),
        (PER_CENT.score(1.0), "100.0 %"),
        (PER_CENT.difference(-0.0081), "−0.8 points"),
        (PER_CENT.difference(-0.0001), "0.0 points"),
        (PER_CENT.gap(0.05), "5.0 points"),
        (PER_CENT.margin(0.05), "5.0 points"),
        (PER_CENT.margin(0.0125), "1.25 points"),
        (PER_CENT.margin(0.0204), "2.04 points"),
        (PLAIN.margin(0.03), "0.030"),
        (PLAIN.margin(0.0005), "0.0005"),
        (PER_CENT.interval(Interval(0.5, 0.55)), "50.0 to 55.0"),
        (PER_CENT.difference_interval(Interval(-0.01, 0.02)), "−1.0 to +2.0"),
        (PER_CENT.difference_interval(Interval(math.nan, 0.02)), "not measured"),
        (PLAIN.difference(0.0), "0.000"),
        (PLAIN.difference(-0.0002), "−0.00020"),
        (PLAIN.difference(-1e-15), "0.000"),
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
    ],
)
def test_numbers_in_words(shown: str, expected: str) -> None:
    assert shown == expected
