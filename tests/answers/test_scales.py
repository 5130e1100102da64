"""Words that multiply the number before them, and those that only look so."""

from __future__ import annotations

import pytest

from harness.answers.number_reader import reply_number


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        # Behind money, a letter or slang may begin what is paid for.
        ("We earn $6m.", 6e6), ("a $6 M deal", 6e6), ("$6 m for the house", 6e6),
        ("$6m/year", 6e6),
        ("$6b/yr", 6e9), ("$6M/yr", 6e6), ("$6 m per year", 6e6), ("$6 grand.", 6000),
        ("$6 k", 6000),
        ("It costs $6 grand in all", 6000), ("€6 m, no more", 6e6), ("(about $6 m)", 6e6),
        ("a $95 grand total", None), ("the $95 grand prize", None),
        ("$95 grand opening sale", None),
        ("$15 m long rope", None), ("$15m long rope", None), ("the $6 mill rate", None),
        ("$6 M&Ms", 6), ("$6 B&B", 6), ("$6M&A", None), ("$6 b vitamins", None), ("$6 T", None),
        ("$6m/s", None), ("$6 K-pop album", 6), ("6k-run", None), ("6 k run", None),
        ("6 k", 6000),
        ("**$6** m", 6e6), ("**$6**m", 6e6), ("**6**k", 6000), ("**$6** m cable", None),
        ("6*k", 6), ("6-bin", 6),
        ("He owes 6 grand.", None), ("6 grand pianos", 6), ("300 K", 300),
        # What a scale begins is another thing.
        ("4 hundred-dollar bills", None), ("3 million-dollar homes", None), ("4-hundred", 400),
        ("a 3-million-dollar home", 3e6), ("a $3 million-dollar home", 3e6), ("4 hundred", 400),
        ("4 hundred sixty", None), ("4 hundred and sixty-two", None), ("4 thousand five", None),
        ("4 million five hundred", None), ("$4 million three years ago", 4e6),
        ("4 hundred one-way tickets", 400), ("4 hundred thousand", 4e5),
        # Ordinals before a noun are no parts.
        ("There are 31 fifth graders.", 31), ("14 second-grade pupils", 14),
        ("6 third-graders", 6),
        ("4 third parties", 4), ("8 sixteenth notes", 8), ("4 half gallons", 4), ("9 seconds", 9),
        ("4 fifths", None), ("4 quarters", None), ("5 halves", None), ("7-tenths", None),
        ("1 third of the pie", None), ("1 third", None), ("1 half.", None), ("6 tens", None),
        # In other languages
        ("6 milionů", 6e6), ("6 millió", 6e6), ("6 ezer forint", 6000), ("6 triệu đồng", 6e6),
        ("6 nghìn", 6000), ("6 nghìn tỷ", 6e12), ("6 milliers de livres", 6000),
        ("6 ล้านบาท", 6e6),
        ("6ล้าน", 6e6), ("6 พันล้าน", 6e9), ("6 मिलियन", 6e6), ("6 miljoonaa", 6e6),
        ("6 мільйонів", 6e6), ("6 milioane", 6e6), ("6 Dutzend", 72), ("2 douzaines", 24),
        ("6 bin", None), ("6 bins", 6), ("6 lacs", None), ("₹6 lacs", 6e5), ("6 अरब", None),
        ("6 mie", None),
        ("6 mia. kr.", None), ("6 mkr", None), ("6 Mill. Euro", None), ("6 тис. грн", 6000),
        ("6 jt", None), ("6 RBs", 6), ("6 লাখ", 6e5), ("6 migliaia", 6000), ("6 thou", None),
        ("6 triệu chứng", None), ("6 พันธุ์", 6),
        # With and without a space
        ("3 万元", 30_000), ("3 千", 3000), ("3 億", 3e8), ("3 만", 30_000), ("3 만 원", 30_000),
        ("3 만원", 30_000), ("3 百万円", 3e6), ("15 兆円", None), ("15兆円", None),
        ("3 千米", 3), ("3千米", 3), ("3 万能工具", None), ("3 만화", None), ("3 천사", None),
    ],
)  # fmt: skip
def test_what_multiplies_a_number(reply: str, value: float | None) -> None:
    number = reply_number(reply)
    assert (None if number is None else float(number.value)) == value
